"""What a built script would declare, without deploying it: it is loaded here, in a sealed guild process.

As on the host the process has no file, no network and no secret. Whatever the script asks of Discord or of
its stores while it loads is refused, so a script that needs such an answer to load cannot be previewed.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import trio

from flora.build.sdk import ensure_sdk, script_file
from flora.build.toolchain import Progress
from flora.build.types import Bundle
from flora.config import RuntimeConfig
from flora.engine.api import Manifest, Script
from flora.engine.host import Engine
from flora.engine.limits import EngineOptions
from flora.engine.selftest import SilentHost
from flora.errors import FloraError
from flora.ids import GuildId

LOAD_SECS: Final = 30.0


class PreviewError(FloraError):
    """The script cannot be loaded here; what it would do on the host is not known."""

    code = "PREVIEW_FAILED"


async def declared_commands(guild_id: GuildId, bundle: Bundle, progress: Progress) -> list[dict[str, Any]]:
    """The application commands that the script declares when it loads. Raises PreviewError.

    Cancellation ends the guild process.
    """
    found: list[Manifest] = []
    try:
        await ensure_sdk(progress)
        engine = Engine(
            RuntimeConfig(),
            script_file().read_text(encoding="utf-8"),
            options=EngineOptions(self_test=False),
        )
        async with trio.open_nursery() as nursery:
            await nursery.start(engine.run)
            process = await engine.spawn(guild_id, SilentHost())
            script = Script(f"file:///guild/{guild_id}/bundle.js", bundle.code)
            found.append(await process.load(script, timeout_secs=LOAD_SECS))
            nursery.cancel_scope.cancel()
    except* (FloraError, OSError) as group:
        raise PreviewError(f"the script could not be loaded here: {_first(group)}") from group
    declared = found[0].commands
    return [] if declared is None else msgspec.json.decode(declared, type=list[dict[str, Any]])


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
