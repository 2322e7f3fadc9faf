"""Cursors of lists: the number where the page before ended, as text that goes out and comes back unread."""

from __future__ import annotations

from typing import Final

from flora.errors import FloraError
from flora.ids import MAX_SNOWFLAKE, GuildId

LAST_ROW: Final = 2**63 - 1
"""Postgres' bigint, of which the ids of rows are."""


class InvalidCursorError(FloraError):
    code = "INVALID_CURSOR"

    def __init__(self) -> None:
        super().__init__(
            "the cursor is not one that this list gave.", hint="Begin again without one for the first page."
        )


def before(cursor: str | None) -> int:
    """The number that every row of the page lies below, in a list that shows the newest row first.

    None begins at the newest. Raises InvalidCursorError.
    """
    return LAST_ROW if cursor is None else _number(cursor, LAST_ROW)


def after(cursor: str | None) -> int:
    """The guild's id that every guild of the page lies above, in a list in the order of ids.

    None begins at the first. Raises InvalidCursorError.
    """
    return 0 if cursor is None else _number(cursor, MAX_SNOWFLAKE)


def of_guild(guild_id: GuildId) -> str:
    """The cursor of a page that ends with this guild."""
    return str(int(guild_id))


def _number(cursor: str, most: int) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 20) or int(cursor) > most:
        raise InvalidCursorError
    return int(cursor)
