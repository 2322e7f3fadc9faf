"""The bridge to asyncio, and the rule that there is only one."""

from __future__ import annotations

import ast
import asyncio
from contextlib import suppress
from pathlib import Path

import pytest
import trio

import flora
from flora.storage.aio import Bridge, BridgeClosedError, aio, open_aio

PACKAGE = Path(flora.__file__).parent
BRIDGE = PACKAGE / "storage" / "aio.py"


async def test_a_unit_gives_its_result_or_its_error() -> None:
    async def good() -> int:
        await asyncio.sleep(0)
        return 42

    async def bad() -> None:
        raise LookupError("mine")

    async with open_aio():
        assert await aio(good) == 42
        with pytest.raises(LookupError, match="mine"):
            await aio(bad)


async def test_a_cancelled_unit_cleans_up_before_the_cancellation_goes_on() -> None:
    steps: list[str] = []

    async def unit() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
            steps.append("cleaned up")
            raise

    async with open_aio():
        with trio.move_on_after(0.01) as scope:
            await aio(unit)
        steps.append("went on")
    assert scope.cancelled_caught
    assert steps == ["cleaned up", "went on"]


async def test_a_unit_that_ends_in_spite_of_cancellation_keeps_its_result() -> None:
    async def stubborn() -> str:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        return "committed"

    async with open_aio():
        with trio.move_on_after(0.01):
            assert await aio(stubborn) == "committed"
            return
    raise AssertionError("the result was lost")


async def test_a_warning_of_a_library_does_not_end_the_tree() -> None:
    async def unit() -> None:
        asyncio.get_running_loop().call_exception_handler({"message": "Unclosed client session"})

    async with open_aio():
        await aio(unit)
        await trio.lowlevel.checkpoint()


async def test_no_bridge_no_unit() -> None:
    async def unit() -> None:
        raise AssertionError

    with pytest.raises(BridgeClosedError):
        await aio(unit)
    async with open_aio() as bridge:
        pass
    with pytest.raises(BridgeClosedError):
        await bridge.run(unit)


async def test_a_bridge_can_be_carried_to_tasks_outside_its_block() -> None:
    results: list[int] = []

    async def outsider(bridge: Bridge, *, task_status: trio.TaskStatus[None]) -> None:
        async def unit() -> int:
            return 7

        results.append(await bridge.run(unit))
        task_status.started()

    async with trio.open_nursery() as outer, open_aio() as bridge:
        await outer.start(outsider, bridge)
    assert results == [7]


def _takes(node: ast.AST) -> bool:
    """`pool.acquire`, under whatever name a pool has."""
    if not isinstance(node, ast.Attribute) or node.attr != "acquire":
        return False
    owner = node.value
    name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
    return "pool" in name.lower()


def _gives_back(node: ast.AST) -> bool:
    """A `try` whose `finally` releases something."""
    return isinstance(node, ast.Try) and any(
        isinstance(each, ast.Attribute) and each.attr.endswith("release")
        for statement in node.finalbody
        for each in ast.walk(statement)
    )


class _Finder(ast.NodeVisitor):
    """Uses of asyncio outside the bridge, half units crossing it, and units that are halves."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name.split(".")[0] in {"asyncio", "trio_asyncio"}:
                self.found.append(f"line {node.lineno}: import {alias.name}")

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if node.level == 0 and module.split(".")[0] in {"asyncio", "trio_asyncio"}:
            self.found.append(f"line {node.lineno}: from {module}")

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        blocks = [item for each in ast.walk(node) if isinstance(each, ast.AsyncWith) for item in each.items]
        guarded = {id(inner) for item in blocks for inner in ast.walk(item.context_expr)}
        taken = [each for each in ast.walk(node) if _takes(each) and id(each) not in guarded]
        if taken and not any(_gives_back(each) for each in ast.walk(node)):
            self.found.append(
                f"line {node.lineno}: {node.name} takes a connection that it does not give back"
            )
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        if name in {"aio", "aio_as_trio", "run"}:
            for argument in node.args:
                # `run(pool.acquire)` and `run(lambda: pool.acquire())`; a unit that is a whole has a name.
                target = argument.body if isinstance(argument, ast.Lambda) else argument
                target = target.func if isinstance(target, ast.Call) else target
                if isinstance(target, ast.Attribute) and target.attr in {"acquire", "release"}:
                    self.found.append(f"line {node.lineno}: bridged {target.attr}")
        self.generic_visit(node)


def violations(source: str) -> list[str]:
    finder = _Finder()
    finder.visit(ast.parse(source))
    return finder.found


@pytest.mark.parametrize(
    "source",
    [
        "import asyncio",
        "def f():\n    import asyncio.subprocess",
        "from trio_asyncio import aio_as_trio",
        "async def f(): await aio(pool.acquire)",
        "async def f(): await self._bridge.run(lambda: self._pool.acquire())",
        "async def f(): await aio(pool.release)",
        "async def unit(): return await self._pool.acquire()",
    ],
)
def test_the_rule_catches_what_it_is_for(source: str) -> None:
    assert violations(source)


@pytest.mark.parametrize(
    "source",
    [
        "async def unit():\n    async with pool.acquire() as con, con.transaction(): await con.fetch('x')",
        "async def unit():\n    c = await pool.acquire()\n    try: ...\n    finally: await pool.release(c)",
        "async def f(): await semaphore.acquire()",
    ],
)
def test_the_rule_lets_whole_units_pass(source: str) -> None:
    assert violations(source) == []


def test_asyncio_is_used_in_the_bridge_only_and_no_half_unit_crosses_it() -> None:
    found = {
        str(file.relative_to(PACKAGE)): hits
        for file in PACKAGE.rglob("*.py")
        if file != BRIDGE and (hits := violations(file.read_text(encoding="utf-8")))
    }
    assert found == {}
