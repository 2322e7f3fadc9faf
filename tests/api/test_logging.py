from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from flora.config import LogConfig
from flora.errors import StartupError
from flora.logs import configure_logging, parse_filter


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in ("flora", "flora.runtime", "hypercorn"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    logging.captureWarnings(False)
    structlog.reset_defaults()


def written(filter_text: str) -> list[dict[str, Any]]:
    out = io.StringIO()
    configure_logging(LogConfig(level=filter_text, format="json"), out)
    structlog.get_logger("flora.runtime").debug("runtime debug")
    structlog.get_logger("flora.runtime.worker").debug("worker debug")
    structlog.get_logger("flora.api").debug("api debug")
    structlog.get_logger("flora.api").info("api info", guild="1")
    logging.getLogger("hypercorn.error").info("hypercorn info")
    logging.getLogger("hypercorn.error").warning("hypercorn %s", "warning")
    return [json.loads(line) for line in out.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("flora::runtime=debug,flora=info", {"flora.runtime": 10, "flora": 20}),
        ("flora:runtime = DEBUG , flora.api=off", {"flora.runtime": 10, "flora.api": 60}),
        ("warn", {"": 30}),
        ("flora", {"flora": 5}),
        ("", {}),
        (",,", {}),
    ],
)
def test_the_filter_names_targets_and_levels(text: str, levels: dict[str, int]) -> None:
    assert parse_filter(text) == levels


@pytest.mark.parametrize("text", ["flora=loud", "=info", "a b=info", "flora::=info", "flora==info"])
def test_a_filter_that_is_none_is_one_clear_line(text: str) -> None:
    with pytest.raises(StartupError, match=r"log\.level") as caught:
        parse_filter(text)
    assert caught.value.exit_code == 2


@given(st.text(max_size=40))
def test_a_filter_parses_or_says_what_is_wrong(text: str) -> None:
    with suppress(StartupError):
        assert all(isinstance(level, int) for level in parse_filter(text).values())


def test_the_longest_target_that_matches_wins() -> None:
    events = [line["event"] for line in written("flora::runtime=debug,flora=info")]
    assert events == ["runtime debug", "worker debug", "api info", "hypercorn warning"]


def test_other_libraries_are_heard_when_named() -> None:
    events = [line["event"] for line in written("off,hypercorn=info")]
    assert events == ["hypercorn info", "hypercorn warning"]


def test_a_line_has_its_target_level_time_and_facts() -> None:
    line = written("flora=info")[0]
    assert (line["target"], line["level"], line["guild"]) == ("flora:api", "info", "1")
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize("format", ["json", "console"])
def test_no_secret_is_ever_written(format: str) -> None:
    out = io.StringIO()
    configure_logging(LogConfig(level="debug", format=format), out)  # type: ignore[arg-type]
    log = structlog.get_logger("flora.api")
    password = "hunter-2"
    log.info("x", secret=SecretStr(password), bot_token=password, Authorization=f"Bearer {password}")
    try:
        raise ValueError("no")
    except ValueError as error:
        log.error("crashed", exc_info=error)
    assert "crashed" in out.getvalue()
    assert password not in out.getvalue()


def test_setting_up_again_starts_from_nothing() -> None:
    assert len(written("flora=debug")) == 5
    assert [line["event"] for line in written("flora=error")] == ["hypercorn warning"]
