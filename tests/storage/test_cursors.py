"""Cursors come back as they went out, or not at all."""

from __future__ import annotations

import pytest

from flora.ids import GuildId
from flora.storage import cursors


@pytest.mark.parametrize("text", ["", "x", "-1", "+1", " 1", "1.0", "1_0", "٣", "²", str(2**64), "9" * 5000])
def test_what_no_list_gave_is_refused(text: str) -> None:
    for read in (cursors.before, cursors.after):
        with pytest.raises(cursors.InvalidCursorError):
            read(text)


def test_a_list_begins_without_one() -> None:
    assert (cursors.before(None), cursors.after(None)) == (2**63 - 1, 0)


def test_each_list_takes_what_it_gives() -> None:
    assert cursors.before(str(2**63 - 1)) == 2**63 - 1
    assert cursors.after(cursors.of_guild(GuildId(str(2**64 - 1)))) == 2**64 - 1


def test_a_row_has_no_number_that_postgres_cannot_hold() -> None:
    with pytest.raises(cursors.InvalidCursorError):
        cursors.before(str(2**63))
