"""Pages of lists of guilds, in the order of ids.

A page costs what it shows, however many guilds there are: whoever may see few of them has these looked up one
by one, and for the others a list is read from the cursor on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

from quart import g

from flora.api.auth import visible_guilds
from flora.ids import GuildId
from flora.storage import cursors

T = TypeVar("T")

Read = Callable[[int, int, Collection[GuildId] | None], Awaitable[list[T]]]
"""(after, limit, among): at most `limit` items with ids above `after`, in their order; of these guilds only,
where `among` names some."""


async def visible_page(
    read: Read[T], guild_of: Callable[[T], GuildId], *, limit: int, cursor: str | None
) -> tuple[list[T], str | None]:
    """Those behind `cursor` that the caller may read, at most `limit`, and the next cursor.

    A page may be short of `limit` where others follow: no page asks Discord about more than `limit` guilds.
    Raises InvalidCursorError.
    """
    after = cursors.after(cursor)
    among = await g.services.authenticator.reach(g.identity)
    found = await read(after, limit + 1, among)
    page = found[:limit]
    visible = set(await visible_guilds(guild_of(item) for item in page))
    more = cursors.of_guild(guild_of(page[-1])) if len(found) > limit else None
    return [item for item in page if guild_of(item) in visible], more
