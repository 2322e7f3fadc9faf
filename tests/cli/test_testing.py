"""`flora test`: the test kit's own tests, written with it, and what the command makes of tests that fail."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trio

from flora.build.sdk import types_file
from flora.build.toolchain import Toolchain
from flora.build.typecheck import check_types
from flora.testkit.runner import Runner, Wanted, find_tests

KIT = Path(__file__).parent / "kit"
REPOSITORY = Path(__file__).parents[2]
PATIENCE = 60.0


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


def environment(data: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "PYTHONPATH": str(REPOSITORY), "FLORA_DATA_DIR": str(data), "NO_COLOR": "1"}


def flora_test(tmp_path: Path, *words: str) -> Ran:
    done = subprocess.run(
        [sys.executable, "-m", "flora", "test", *words],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        cwd=tmp_path,
        env=environment(tmp_path / "data"),
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def project(tmp_path: Path, *, main: str = "", **tests: str) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.ts").write_text(main)
    for name, text in tests.items():
        header = 'import { bot, expect, test } from "flora:test";\n'
        (tmp_path / "src" / f"{name}.test.ts").write_text(header + text)


def outcomes(ran: Ran) -> dict[str, dict[str, Any]]:
    return {test["name"]: test for file in json.loads(ran.out)["files"] for test in file["tests"]}


def test_the_kit_does_what_its_own_tests_say(tmp_path: Path) -> None:
    ran = flora_test(tmp_path, "--root", str(KIT), "--json")
    answer = json.loads(ran.out)
    wrong = {name: test["error"] for name, test in outcomes(ran).items() if test["status"] == "failed"}
    assert wrong == {}
    assert ran.code == 0, ran.err
    assert (answer["passed"] > 30, answer["failed"], answer["skipped"], answer["todo"]) == (True, 0, 1, 1)
    assert [file["path"] for file in answer["files"]] == ["src/bot.test.ts", "src/harness.test.ts"]


async def test_the_examples_pass_their_tests() -> None:
    examples = sorted(file.parent for file in (REPOSITORY / "examples").glob("*/package.json"))
    wrong: list[str] = []
    with trio.fail_after(PATIENCE):
        async with Runner.open() as runner:
            for example in examples:
                paths = find_tests(example)
                assert paths, example
                for path in paths:
                    report = await runner.run(example, "src/main.ts", path, Wanted(timeout_secs=30))
                    wrong += [each.title for each in report.outcomes if each.status != "passed"]
                    assert report.failure is None, report.failure
    assert wrong == []


async def test_the_kit_keeps_what_its_types_promise(tmp_path: Path) -> None:
    tools = await Toolchain.ensure()
    result = await check_types(tools, KIT, ("src/main.ts", "src/bot.test.ts"), types_file(), tmp_path)
    assert [str(error) for error in result.errors] == []
    assert result.failure == ""


def test_a_failure_is_shown_at_its_line_with_what_was_logged(tmp_path: Path) -> None:
    project(
        tmp_path,
        main='on("messageCreate", (ctx) => {\n  console.log("heard", ctx.msg.content);\n  helper();\n});\n'
        'function helper() {\n  throw new Error("no such luck");\n}\n',
        main_tests='test("expects", () => {\n  expect({ a: [1] }).toEqual({ a: [2] });\n});\n'
        'test("asks", async () => {\n  await bot.message("hello");\n});\n'
        'test("is fine", () => {});\n',
    )
    ran = flora_test(tmp_path)
    assert ran.code == 1
    assert "AssertionError: expected { a: [ 1 ] } to equal { a: [ 2 ] }" in ran.out
    assert "src/main_tests.test.ts:3:" in ran.out
    assert "3 |   expect({ a: [1] }).toEqual({ a: [2] });" in ran.out
    assert "Error: no such luck" in ran.out
    assert "at helper (src/main.ts:6:" in ran.out
    assert "info  heard hello" in ran.out
    assert "ok is fine" in ran.out
    assert "1 passed, 2 failed in 1 file" in ran.out


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("await new Promise(() => {})", "longer than 0.5 s"),
        ("await new Promise((done) => setTimeout(done, 2000))", "due in 2000 ms of the test's time"),
        ("for (;;) {}", "without a pause"),
        ('void Promise.reject(new Error("nobody looked")); await bot.advance(1)', "nobody looked"),
        ('setTimeout(() => { throw new Error("late") }, 5); await bot.advance(5)', "late"),
        ('await bot.slash("nothing")', "There is no command 'nothing'"),
    ],
)
def test_what_else_fails_a_test(tmp_path: Path, body: str, words: str) -> None:
    project(tmp_path, one=f'test("one", async () => {{ {body}; }});\ntest("two", () => {{}});\n')
    ran = flora_test(tmp_path, "--json", "--timeout", "0.5" if "new Promise" in body else "30")
    found = outcomes(ran)
    assert words in found["one"]["error"], found
    assert found["two"]["status"] == "passed", "the next test has a process of its own"
    assert ran.code == 1


def test_commands_that_discord_refuses_fail_each_test(tmp_path: Path) -> None:
    project(
        tmp_path,
        main='const long = { name: "o", description: "x", maxLength: 9000 };\n'
        'registerSlashCommands([{ name: "a", description: "x", options: [long] }]);\n',
        one='test("one", () => {});\n',
    )
    ran = flora_test(tmp_path, "--json")
    assert "Discord refuses the commands" in outcomes(ran)["one"]["error"]


def test_a_file_that_does_not_build_or_load_fails_the_others_run(tmp_path: Path) -> None:
    project(
        tmp_path,
        broken='test("one", () => {\n',
        throws='import "./main";\nthrow new Error("at the top");\n',
        works='test("two", () => {});\n',
    )
    ran = flora_test(tmp_path)
    assert ran.code == 1
    assert "src/broken.test.ts:3:" in ran.out
    assert "Error: at the top" in ran.out
    assert "src/throws.test.ts:3:" in ran.out
    assert "1 passed, 2 files not loaded in 3 files" in ran.out


def test_which_tests_run(tmp_path: Path) -> None:
    project(
        tmp_path,
        first='test("a cat", () => {});\ntest("a dog", () => {});\n',
        second='test("a cow", () => {});\ntest.only("a cat too", () => {});\n',
    )
    assert set(outcomes(flora_test(tmp_path, "--json", "--filter", "CAT"))) == {"a cat", "a cat too"}
    assert set(outcomes(flora_test(tmp_path, "--json", "first"))) == {"a cat", "a dog"}
    second = outcomes(flora_test(tmp_path, "--json", "src/second.test.ts"))
    assert [second["a cow"]["status"], second["a cat too"]["status"]] == ["skipped", "passed"]


@pytest.mark.parametrize("words", [(), ("--filter", "zebra"), ("nowhere",), ("--watch", "--json")])
def test_wrong_uses(tmp_path: Path, words: tuple[str, ...]) -> None:
    if words:
        project(tmp_path, one='test("one", () => {});\n')
    ran = flora_test(tmp_path, *words)
    assert ran.code == 2
    assert "error:" in ran.err
    assert "Traceback" not in ran.err


def test_watching_runs_them_again_after_a_save(tmp_path: Path) -> None:
    project(tmp_path, one='test("one", () => {});\n')
    output = tmp_path.parent / f"{tmp_path.name}.out"
    with output.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "flora", "test", "--watch"],
            stdout=sink,
            stderr=sink,
            stdin=subprocess.DEVNULL,
            cwd=tmp_path,
            env=environment(tmp_path / "data"),
        )

    def until(words: str) -> None:
        end = time.monotonic() + PATIENCE
        while words not in output.read_text():
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < end, output.read_text()
            time.sleep(0.05)

    try:
        until("waiting for changes")
        (tmp_path / "src" / "two.test.ts").write_text(
            'import { test } from "flora:test";\ntest("two", () => {});\n'
        )
        until("2 passed in 2 files")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0, output.read_text()
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in output.read_text()
