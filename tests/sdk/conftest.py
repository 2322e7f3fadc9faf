from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio

from flora.build.sdk import ensure_sdk
from flora.config import RuntimeConfig
from flora.engine.host import Engine


@pytest.fixture
async def engine(nursery: trio.Nursery) -> AsyncIterator[Engine]:
    """An engine with the SDK of this source tree."""
    script = await ensure_sdk()
    engine = Engine(RuntimeConfig(), script.read_text("utf-8"))
    with trio.fail_after(30):
        await nursery.start(engine.run)
    yield engine
    nursery.cancel_scope.cancel()
