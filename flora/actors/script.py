"""A guild's script as it is started, and its errors as its author should read them."""

from __future__ import annotations

from dataclasses import dataclass

from flora.build.sourcemap import SourceMap, SourceMapError, map_log, map_stack
from flora.engine.api import Script, ScriptFault
from flora.ids import GuildId


@dataclass(frozen=True, slots=True)
class DeployedScript:
    """Everything that a guild process is started from. `source_map` is JSON text, "" when there is none."""

    guild_id: GuildId
    code: str
    source_map: str

    def script(self) -> Script:
        return Script(name=f"file:///guild/{self.guild_id}/bundle.js", code=self.code)

    def describe(self, fault: ScriptFault, *, show_internal: bool = False) -> str:
        """`fault` as text: the error, then its stack with positions in the author's files."""
        head = f"{fault.name}: {fault.message}" if fault.message else fault.name
        stack = map_stack(fault.stack, self._parsed_map(), show_internal=show_internal)
        return f"{head}\n{stack}" if stack else head

    def readable(self, text: str, *, show_internal: bool = False) -> str:
        """What the script logged; stacks in it have positions in the author's files."""
        return map_log(text, self._parsed_map(), show_internal=show_internal)

    def _parsed_map(self) -> SourceMap | None:
        """Parsed anew for each error: errors are rare, and ten thousand parsed maps are large."""
        if not self.source_map:
            return None
        try:
            return SourceMap.parse(self.source_map)
        except SourceMapError:
            return None  # positions in the bundle are better than none
