"""The fork server rehearses a guild's life before it forks; no guild may notice."""

from __future__ import annotations

from flora.engine.api import Script

from .conftest import GUILD, SDK, RecordingHost, event, eventually, running_engine

# The rehearsal uses `on` and `off` where the SDK has both.
SDK_WITH_OFF = SDK.replace(
    "globalThis.op = host.op;",
    """globalThis.op = host.op;
  let heard = 0;
  globalThis.off = (name) => { handlers.delete(name); host.declare({ listens: listens() }); };
  globalThis.heard = () => heard;""",
).replace(
    "return { dispatch: (name, payload, meta) =>",
    "return { dispatch: (name, payload, meta) => heard++ && ",
)
SCRIPT = """
console.log(`guild ${guildId()}, timer ${setTimeout(() => {}, 60000)}, heard ${heard()}`);
console.log(`${Object.keys(globalThis).sort()}`);
on('A', async () => { await op('first', 1); });
"""


async def test_a_guild_starts_as_if_nothing_had_run_before_it() -> None:
    host = RecordingHost()
    async with running_engine(sdk=SDK_WITH_OFF) as engine:
        process = await engine.spawn(GUILD, host)
        manifest = await process.load(Script("bundle.js", SCRIPT), timeout_secs=10)
        assert manifest.listens == {"A"}
        assert manifest.commands is None
        await process.dispatch(event())
        await eventually(lambda: len(host.lines) == 2)
        rehearsed, names = host.texts()
        assert rehearsed.startswith(f"guild {GUILD}, timer 1, heard ")
        assert not rehearsed.endswith(" 0"), "the rehearsal did not reach the SDK"
        assert "listener" not in names
        assert [call.call_index for call in host.calls] == [0]
        assert host.manifests == []
        assert host.faults == []


async def test_an_sdk_that_fails_the_rehearsal_still_starts() -> None:
    failing = SDK.replace("handlers.get(name)?.(payload, meta)", "{ if (meta.id === 'rehearsal') throw 1; }")
    waiting = SDK.replace(
        "handlers.get(name)?.(payload, meta)", "meta.id === 'rehearsal' && new Promise(() => {})"
    )
    for sdk in (failing, waiting):
        async with running_engine(sdk=sdk) as engine:
            process = await engine.spawn(GUILD, RecordingHost())
            await process.load(Script("bundle.js", "1"), timeout_secs=10)
            await process.dispatch(event())
            assert engine.report().fork == "prepared"
