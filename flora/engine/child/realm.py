"""The border between Python and the realm: text in, text out, nothing else.

In: text goes to JavaScript with one character outside the basic plane at its end. PythonMonkey then copies
it; text without one is shared with the engine and costs a scan of all shared text when it is freed (88
seconds of garbage collection after 40,000 messages).
Out: JavaScript writes the frames for the host, as they are sent, into one buffer that both sides see; a `str`
returned from JavaScript leaks 80 bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from .libc import LIBC
from .spidermonkey import SpiderMonkey

_COPY_ME: Final = "\U00010000"
_HEADER_BYTES: Final = 16
_WINDOW_BYTES: Final = 128 << 10
_PIECE: Final = 64 << 10  # characters; PythonMonkey needs ten bytes for each while it copies a text
_AT_END_OF_TURN: Final = 1  # a bit of the header's last number
_TRACKER_NAME: Final = "__floraTrackRejection"
_COLLECT_EVERY: Final = 2000  # turns; at that rate memory stays flat for a cost of 2 us per turn
_ENGINE_ERROR = re.compile(r"Error in file (?P<file>.*), on line (?P<line>\d+), column (?P<column>\d+):")


class ScriptError(Exception):
    """A script that the engine could not compile. `stack` is `file:line:column`."""

    def __init__(self, name: str, message: str, stack: str) -> None:
        super().__init__(message)
        self.name = name
        self.stack = stack


class Realm:
    """The prelude's hooks. Each of them runs JavaScript; only `run_jobs` runs promise jobs."""

    def __init__(self, engine: SpiderMonkey, prelude: str) -> None:
        self._engine = engine
        self._buffer = bytearray(_HEADER_BYTES + _WINDOW_BYTES)
        view = memoryview(self._buffer)
        self._window = view[_HEADER_BYTES:]
        self._header = view[:_HEADER_BYTES].cast("I")
        hooks = engine.evaluate(prelude, "flora:prelude")(self._buffer)
        self._deliver: Callable[[str], Any] = hooks["deliver"]
        self._receive: Callable[[str], Any] = hooks["receive"]
        self._end_turn: Callable[[], Any] = hooks["endTurn"]
        self._more: Callable[[], Any] = hooks["more"]
        self._orders: Callable[[], Any] = hooks["orders"]
        self.fire: Callable[[int], Any] = hooks["fire"]
        self.interrupted: Callable[[int], Any] = hooks["interrupted"]
        self.report_rejections: Callable[[], Any] = hooks["reportRejections"]
        self.run_jobs: Callable[[], None] = engine.run_jobs
        self._load: Callable[[Any], Any] = hooks["load"]
        self._enter: Callable[[str], Any] = hooks["enter"]
        self._use_sdk: Callable[[Any], Any] = hooks["useSdk"]
        self.forget: Callable[[], Any] = hooks["forget"]
        self._hooks = hooks
        self._turns = 0
        self.tracks_rejections = self._install_tracker()

    def use_sdk(self, source: str) -> None:
        """Evaluate the SDK, a script whose value is a function (host) => sdk. Raises what it throws."""
        self._use_sdk(self._engine.evaluate(source, "flora:sdk"))

    def enter(self, guild_id: str, entropy: bytes = b"") -> None:
        """Say whose process this is. `entropy` seeds the script's random numbers; never in the fork server,
        whose children would share it.
        """
        self._enter(f"{guild_id}\n{entropy.hex()}{_COPY_ME}")

    def deliver(self, frame: str) -> None:
        at = 0
        while len(frame) - at > _PIECE:
            self._receive(frame[at : at + _PIECE] + _COPY_ME)
            at += _PIECE
        self._deliver((frame[at:] if at else frame) + _COPY_ME)

    def load(self, name: str, code: str) -> None:
        """Compile a bundle and start its top level. Raises ScriptError.

        It becomes the body of an async function, so that `await` works at its top level; the function's
        head is line 0 of the file, so that positions are those of the bundle.
        """
        try:
            script = self._engine.evaluate(f"(async () => {{\n{code}\n}})", name, first_line=0)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - PythonMonkey raises plain exceptions
            raise _script_error(str(error), name) from None
        if not self._engine.is_function(script):
            raise ScriptError(
                "SyntaxError", "the bundle is not one script: its brackets do not match", f"{name}:1:1"
            )
        self._load(script)

    def has_rejections(self) -> bool:
        return self._header[2] != 0

    def end_turn(self) -> None:
        """Call it when no promise job is left, before `frames`."""
        if self._header[3] & _AT_END_OF_TURN:
            self._end_turn()

    def frames(self) -> Iterator[memoryview]:
        """Everything that the realm wants to send, in pieces that are only valid until the next one."""
        header, window = self._header, self._window
        if header[0]:
            yield window[: header[0]]
            header[0] = 0
        while header[1]:
            self._more()
            yield window[: header[0]]
            header[0] = 0

    def timer_orders(self) -> list[bytes]:
        """What to do for timers, `T<id> <ms>` or `C<id>` each. Call it after `frames`."""
        header = self._header
        if not header[3]:
            return []
        text = b""
        while header[3]:
            self._orders()
            text += bytes(self._window[: header[0]])
            header[0] = 0
        return text.splitlines()

    def trim(self) -> None:
        """Give back freed memory; after a load, half a megabyte of the compiler's."""
        _malloc_trim(0)

    def tidy(self) -> None:
        """Once in a while give back what is garbage. Call it after each turn."""
        self._turns += 1
        if self._turns % _COLLECT_EVERY == 0:
            self._engine.collect()
            _malloc_trim(0)

    def _install_tracker(self) -> bool:
        name = _TRACKER_NAME
        hooks = self._hooks
        self._engine.evaluate(f"(track) => {{ globalThis.{name} = track; }}", "flora:engine")(hooks["track"])
        try:
            return self._engine.track_rejections(name)
        finally:
            self._engine.evaluate(f"delete globalThis.{name}; undefined", "flora:engine")


def _script_error(text: str, name: str) -> ScriptError:
    """What PythonMonkey says: "Error in file F, on line L, column C:", the source line, "SyntaxError:
    message".
    """
    lines = text.strip().split("\n")
    kind, colon, message = lines[-1].partition(": ")
    if not colon or not kind.isidentifier():
        kind, message = "SyntaxError", lines[-1]
    match = _ENGINE_ERROR.match(text)
    position = f"{match['line']}:{match['column']}" if match else "1:1"
    return ScriptError(kind, message, f"{name}:{position}")


def _libc_malloc_trim() -> Callable[[int], int]:
    trim = getattr(LIBC, "malloc_trim", None)
    return trim if trim is not None else (lambda _keep: 0)  # musl has none


_malloc_trim = _libc_malloc_trim()
