"""What `flora test` does and shows."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from typing import Any, Final

import trio

from flora.build.packages import ensure_packages
from flora.cli.dev.watch import watch
from flora.cli.output import note, plain, say, say_json, styled
from flora.cli.project import Project
from flora.cli.scaffold import refresh_types
from flora.cli.target import TargetError
from flora.testkit.runner import Failure, FileReport, Outcome, Runner, Wanted, find_tests

PASSED: Final = 0
FAILED: Final = 1
MOST_LINES: Final = 40
"""Of one test's console on the terminal; --json has all of them."""
_MARKS: Final = {"passed": ("ok", "green"), "failed": ("failed", "red")}


@dataclass(frozen=True, slots=True)
class Request:
    """`named` are parts of paths, `name_part` of titles; `secs` is for each test."""

    project: Project
    named: tuple[str, ...]
    name_part: str
    secs: float
    verbose: bool
    json: bool


async def test_once(request: Request) -> int:
    """Run the tests and say what came of them; the exit code. Raises TargetError when there is none."""
    await _prepare(request)
    paths = await _find(request)
    async with Runner.open(note) as runner:
        return await _run(runner, request, paths)


async def watch_tests(request: Request) -> None:
    """Run the tests after every change of the project, until SIGINT or SIGTERM."""
    await _prepare(request)
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with Runner.open(note) as runner, trio.open_nursery() as nursery:
            nursery.start_soon(_watch, runner, request)
            async for _ in signals:
                nursery.cancel_scope.cancel()
                break
    say("stopped")


async def _watch(runner: Runner, request: Request) -> None:
    changed = trio.Event()

    def heed(_: frozenset[str]) -> None:
        changed.set()

    async with trio.open_nursery() as nursery:
        folder = request.project.folder.resolve()
        nursery.start_soon(watch, folder, (folder / ".flora",), heed)
        while True:
            changed = trio.Event()
            try:
                await _run(runner, request, await _find(request))
            except TargetError as error:
                note(str(error))
            say(styled("waiting for changes", "dim"))
            await changed.wait()
            say()


async def _prepare(request: Request) -> None:
    folder = request.project.folder
    await trio.to_thread.run_sync(refresh_types, folder)
    await ensure_packages(folder, note)


async def _find(request: Request) -> list[str]:
    """The test files. Raises TargetError when there is none."""
    folder = request.project.folder
    paths = await trio.to_thread.run_sync(find_tests, folder.resolve(), request.named)
    if not paths:
        which = f" with {', '.join(request.named)} in its path" if request.named else ""
        raise TargetError(
            f"there is no test{which} in {folder}.",
            hint='Write one: `src/main.test.ts` with `import { bot, expect, test } from "flora:test";`.',
        )
    return paths


async def _run(runner: Runner, request: Request, paths: list[str]) -> int:
    project = request.project
    root = project.folder.resolve()
    entry = project.entry if (root / project.entry).is_file() else None
    wanted = Wanted(request.name_part, request.secs)
    began = time.perf_counter()
    reports = []
    for path in paths:
        shown = _Shown(path, request)
        report = await runner.run(root, entry, path, wanted, shown.outcome)
        shown.end(report)
        reports.append(report)
    seconds = time.perf_counter() - began
    if not any(report.outcomes or report.failure for report in reports):
        raise TargetError(
            f"no test has {request.name_part!r} in its name."
            if request.name_part
            else "the files declare no test.",
            hint="`flora test` without --filter runs all of them.",
        )
    if request.json:
        say_json(_json(reports, seconds))
    else:
        _summary(reports, seconds)
    bad = any(report.failure or report.count("failed") for report in reports)
    return FAILED if bad else PASSED


class _Shown:
    """One file on the terminal; its name comes before its first outcome."""

    def __init__(self, path: str, request: Request) -> None:
        self._path = path
        self._request = request
        self._named = False

    def outcome(self, outcome: Outcome) -> None:
        if self._request.json:
            return
        self._name()
        word, style = _MARKS.get(outcome.status, (outcome.status, "yellow"))
        took = f" ({outcome.millis:.0f} ms)" if outcome.status in _MARKS else ""
        say(f"  {styled(word, style)} {plain(outcome.title)}{styled(took, 'dim')}")
        if outcome.failure is not None or (self._request.verbose and outcome.lines):
            if (cut := len(outcome.lines) - MOST_LINES) > 0:
                say(styled(f"    | ... {cut} lines before", "dim"))
            for line in outcome.lines[-MOST_LINES:]:
                say(styled(_indented(plain(line), "    | "), "dim"))
        if outcome.failure is not None:
            _show(outcome.failure)

    def end(self, report: FileReport) -> None:
        if self._request.json or report.failure is None:
            return
        self._name()
        say(f"  {styled('failed', 'red')} the file does not load")
        if not report.diagnostics:
            _show(report.failure)
        for item in report.diagnostics:
            say(_indented(plain(item), "    "))
            if item.code_frame:
                say(_indented(plain(item.code_frame), "    "))

    def _name(self) -> None:
        if not self._named:
            self._named = True
            say(styled(self._path, "bold"))


def _show(failure: Failure) -> None:
    say(_indented(plain(failure.text), "    "))
    if failure.frame:
        say(_indented(plain(failure.frame), "    "))


def _indented(text: str, by: str) -> str:
    return "\n".join(f"{by}{line}".rstrip() for line in text.split("\n"))


def _summary(reports: list[FileReport], seconds: float) -> None:
    parts = []
    for status, style in (("passed", "green"), ("failed", "red"), ("skipped", "yellow"), ("todo", "yellow")):
        number = sum(each.status == status for report in reports for each in report.outcomes)
        if number or status == "passed":
            parts.append(styled(f"{number} {status}", style))
    broken = sum(report.failure is not None for report in reports)
    if broken:
        parts.append(styled(f"{broken} file{'s' if broken > 1 else ''} not loaded", "red"))
    say(f"\n{', '.join(parts)} in {len(reports)} file{'s' if len(reports) > 1 else ''} ({seconds:.1f} s)")


def _json(reports: list[FileReport], seconds: float) -> dict[str, Any]:
    return {
        "passed": sum(report.count("passed") for report in reports),
        "failed": sum(report.count("failed") for report in reports),
        "skipped": sum(report.count("skipped") for report in reports),
        "todo": sum(report.count("todo") for report in reports),
        "seconds": round(seconds, 3),
        "files": [
            {
                "path": report.path,
                "error": None if report.failure is None else report.failure.text,
                "tests": [
                    {
                        "suite": list(each.suite),
                        "name": each.name,
                        "status": each.status,
                        "duration_ms": round(each.millis, 1),
                        "error": None if each.failure is None else each.failure.text,
                        "lines": list(each.lines),
                    }
                    for each in report.outcomes
                ],
            }
            for report in reports
        ],
    }
