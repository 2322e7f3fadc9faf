"""Each rung of each fallback runs scripts, keeps its limits, and says what it is."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from flora.engine.api import DispatchTimeoutError, ExitKind, ProcessDiedError
from flora.engine.host import _pythonmonkey_folder
from flora.engine.limits import EngineOptions
from flora.errors import StartupError

from .conftest import RecordingHost, event, eventually, running_engine, start

GOOD = """
on('A', async (payload) => {
  let sum = 0;
  for (let i = 0; i < 1000; i++) sum += await i;
  await new Promise((resolve) => setTimeout(resolve, 1));
  console.log(sum, await op('echo', payload));
  Promise.reject(new Error('unhandled'));
});
on('LOOP', () => { for (;;); });
on('SLOW_JOB', async () => { await null; for (;;); });
"""


@pytest.mark.parametrize(
    ("options", "config", "said"),
    [
        ({}, {}, {"fork": "prepared", "jobs": "internal", "interrupt": "soft", "jit": True}),
        ({}, {"engine_fork": "init_after"}, {"fork": "init_after", "jobs": "internal", "jit": True}),
        ({}, {"engine_jobs": "micro_loop"}, {"fork": "prepared", "jobs": "micro_loop"}),
        ({}, {"engine_interrupt": "kill"}, {"interrupt": "kill"}),
        ({}, {"jit": "off"}, {"jit": False, "interrupt": "soft"}),
        ({"seccomp": False}, {"jit": "on"}, {"jit": True}),
        (
            {},
            {
                "engine_fork": "init_after",
                "engine_jobs": "micro_loop",
                "engine_interrupt": "kill",
                "jit": "off",
            },
            {"fork": "init_after", "jobs": "micro_loop", "interrupt": "kill", "jit": False},
        ),
    ],
)
async def test_a_rung(options: dict[str, Any], config: dict[str, Any], said: dict[str, Any]) -> None:
    skip_without_micro_loop(said)
    host = RecordingHost()
    async with running_engine(options=EngineOptions(**options), cpu_ms=200, **config) as engine:
        report = engine.report()
        assert {name: getattr(report, name) for name in said} == said
        assert report.fallbacks == ()
        for _ in range(3):
            process = await start(engine, GOOD, host)
            await process.dispatch(event(payload=b'"p"'))
            await process.dispatch(event(payload=b'"p"'))
        assert host.texts() == ["499500 p"] * 6
        await eventually(lambda: len(host.faults) == 6)
        for name in ("LOOP", "SLOW_JOB"):
            process = await start(engine, GOOD, host)
            if report.interrupt == "soft":
                with pytest.raises(DispatchTimeoutError) as late:
                    await process.dispatch(event(name))
                assert late.value.limit == "cpu"
                await process.dispatch(event(payload=b'"p"'))
            else:
                with pytest.raises(ProcessDiedError) as died:
                    await process.dispatch(event(name))
                assert died.value.report.kind is ExitKind.KILLED


def skip_without_micro_loop(said: dict[str, Any]) -> None:
    if said.get("jobs") == "micro_loop" and sys.version_info >= (3, 13):
        pytest.skip("PythonMonkey 1.4.1 finds no event loop on CPython 3.13")


def broken_copy(folder: Path, *names: bytes) -> Path:
    """PythonMonkey with symbols of libmozjs renamed: a build that lacks them."""
    package = folder / "pythonmonkey"
    package.mkdir()
    source = _pythonmonkey_folder()
    shutil.copy(source / "pythonmonkey.so", package)
    library = next(source.glob("libmozjs-*.so"))
    image = library.read_bytes()
    for name in names:
        assert b"\0" + name + b"\0" in image
        # Only whole names, so that longer ones which contain it stay.
        image = image.replace(b"\0" + name + b"\0", b"\0" + b"X" + name[1:] + b"\0")
    (package / library.name).write_bytes(image)
    return package


@pytest.mark.parametrize(
    ("missing", "said", "reason"),
    [
        ([b"_ZN2js19DisableExtraThreadsEv"], {"fork": "init_after"}, "helper threads"),
        ([b"_ZN2js20UseInternalJobQueuesEP9JSContext"], {"jobs": "micro_loop"}, "queue of promise jobs"),
        ([b"_Z23JS_AddInterruptCallbackP9JSContextPFbS0_E"], {"interrupt": "kill"}, "no interrupt"),
        ([b"_ZN2js15AddRawValueRootEP9JSContextPN2JS5ValueEPKc"], {"reports_rejections": False}, ""),
    ],
)
async def test_a_build_that_lacks_a_symbol_takes_the_fallback_and_says_why(
    tmp_path: Path, missing: list[bytes], said: dict[str, Any], reason: str
) -> None:
    skip_without_micro_loop(said)
    options = EngineOptions(package=broken_copy(tmp_path, *missing))
    host = RecordingHost()
    async with running_engine(options=options, cpu_ms=200) as engine:
        report = engine.report()
        assert {name: getattr(report, name) for name in said} == said
        assert reason in " ".join(report.fallbacks)
        process = await start(engine, GOOD, host)
        await process.dispatch(event(payload=b'"p"'))
    assert host.texts() == ["499500 p"]


async def test_where_the_engine_cannot_be_loaded_flora_does_not_start(tmp_path: Path) -> None:
    options = EngineOptions(package=tmp_path)
    with pytest.RaisesGroup(
        pytest.RaisesExc(StartupError, match="no PythonMonkey extension"), flatten_subgroups=True
    ):
        async with running_engine(options=options):
            pass
