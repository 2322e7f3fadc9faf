"""flora's own log: structlog over the standard library's loggers, on standard error.

One pipeline renders everything, also what hypercorn, quart or asyncpg say: for people on a terminal, as one
JSON object per line elsewhere. What is shown is decided per target by a filter such as
`flora::runtime=debug,flora=info`: `target=level` pairs divided by commas, the longest matching target wins, a
level alone is for all targets. `flora::runtime`, `flora:runtime` and `flora.runtime` are one target and hold
for what is below it. Levels: trace, debug, info, warn, error, off. Other libraries are at warn unless named.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog
from pydantic import SecretBytes, SecretStr
from structlog.typing import Processor

from flora.config import LogConfig
from flora.errors import StartupError

TRACE: Final = 5
LEVELS: Final = {
    "trace": TRACE,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "off": logging.CRITICAL + 10,
}
TARGET: Final = re.compile(r"^[A-Za-z_][\w-]*(?:(?:::|:|\.)[A-Za-z_][\w-]*)*$")
DEFAULT_LEVEL: Final = logging.WARNING
# Fields that would carry a secret; their values never reach the output, whatever type they have.
SECRET_FIELDS: Final = re.compile(r"token|secret|password|authorization|cookie|master_key", re.IGNORECASE)
# Loggers that this function set a level on, so that setting up again starts from nothing.
_configured: set[str] = set()


def parse_filter(text: str) -> dict[str, int]:
    """The levels by dotted target; "" is the level of all targets. Raises StartupError.

    >>> parse_filter("flora::runtime=debug,info")
    {'flora.runtime': 10, '': 20}
    """
    levels: dict[str, int] = {}
    for directive in filter(None, (part.strip() for part in text.split(","))):
        target, separator, name = (part.strip() for part in directive.rpartition("="))
        if not separator and name.lower() not in LEVELS and TARGET.match(name):
            target, name = name, "trace"  # a target alone shows all of it
        elif separator and not TARGET.match(target):
            raise _bad_filter(directive, f"{target!r} is not a target")
        if name.lower() not in LEVELS:
            raise _bad_filter(directive, f"{name!r} is not one of {', '.join(LEVELS)}")
        levels[re.sub(r"::|:", ".", target)] = LEVELS[name.lower()]
    return levels


def configure_logging(config: LogConfig, stream: TextIO | None = None) -> None:
    """Set up logging for this process. May be called again; the last call counts. Raises StartupError."""
    levels = parse_filter(config.level)
    stream = stream or sys.stderr
    console = config.format == "console" or (config.format == "auto" and stream.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        _add_target,
        structlog.processors.TimeStamper(fmt="%H:%M:%S.%f" if console else "iso", utc=not console),
        structlog.processors.StackInfoRenderer(),
        _hide_secrets,
        _drop_empty,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(console=console, colors=console and stream.isatty()),
            ],
        )
    )
    logging.addLevelName(TRACE, "TRACE")
    for name in _configured:
        logging.getLogger(name).setLevel(logging.NOTSET)
    _configured.clear()
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(levels.pop("", DEFAULT_LEVEL))
    for target, level in levels.items():
        logging.getLogger(target).setLevel(level)
        _configured.add(target)
    logging.captureWarnings(True)


def _renderers(*, console: bool, colors: bool) -> list[Processor]:
    if console:
        return [
            structlog.dev.ConsoleRenderer(
                colors=colors, exception_formatter=structlog.dev.plain_traceback, pad_event_to=28
            )
        ]
    # Without the frames' local variables: one of them is a secret some day.
    tracebacks = structlog.processors.ExceptionRenderer(
        structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    )
    return [tracebacks, structlog.processors.JSONRenderer()]


def _add_target(logger: logging.Logger, _: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    record = event.get("_record")
    name = record.name if record is not None else logger.name
    # The targets' public form: flora:runtime.
    event["target"] = name.replace(".", ":") if name.startswith("flora") else name
    return event


def _drop_empty(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A field without a value says nothing."""
    for name in [name for name, value in event.items() if value is None]:
        del event[name]
    return event


def _hide_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, SecretStr | SecretBytes) or (
            SECRET_FIELDS.search(key) and isinstance(value, str)
        ):
            event[key] = "**********"
    return event


def _bad_filter(directive: str, problem: str) -> StartupError:
    return StartupError(
        f"log.level: {directive!r}: {problem}.",
        hint='It looks like "flora::runtime=debug,flora=info".',
        exit_code=2,
    )
