"""Host, SDK and types know the events from one schema."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import generate_events


@pytest.mark.parametrize("path", generate_events.wanted(), ids=lambda path: path.name)
def test_it_is_made_from_the_schema(path: Path) -> None:
    """`python -m tools.generate_events` makes it anew."""
    assert path.read_text("utf-8") == generate_events.wanted()[path]
