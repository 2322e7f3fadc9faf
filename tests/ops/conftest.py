from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.ops.world import World, world


@pytest.fixture
async def discord() -> AsyncIterator[World]:
    async with world() as made:
        yield made
