"""Pages of lists that are held in memory, in the order of guild ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from flora.api.auth import visible_guilds
from flora.ids import GuildId
from flora.storage.deployments import InvalidCursorError

T = TypeVar("T")


async def visible_page(
    items: Iterable[T], guild_of: Callable[[T], GuildId], *, limit: int, cursor: str | None
) -> tuple[list[T], str | None]:
    """Those of `items` behind `cursor` that the caller may read, at most `limit`, and the next cursor.

    Whoever may see few of many guilds finds pages that are not full: no page asks Discord about more than
    `limit` guilds. Raises InvalidCursorError.
    """
    if cursor is not None and not (cursor.isascii() and cursor.isdigit()):
        raise InvalidCursorError("the cursor is not one that this list gave.")
    after = int(cursor or 0)
    behind = sorted(
        ((int(guild_of(item)), item) for item in items if int(guild_of(item)) > after),
        key=lambda pair: pair[0],
    )
    page = [item for _, item in behind[:limit]]
    visible = set(await visible_guilds(guild_of(item) for item in page))
    more = len(behind) > limit
    return [item for item in page if guild_of(item) in visible], str(behind[limit - 1][0]) if more else None
