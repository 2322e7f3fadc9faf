"""One guild's KV against a dictionary: expiry, cursors, versions, transactions, batches, reopening."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from flora.storage.kv.disk import FILE_NAME
from flora.storage.kv.errors import KvError, KvKeyNotFoundError, KvNumberError, KvQuotaError
from flora.storage.kv.guild_file import GuildFile, _range
from flora.storage.kv.limits import ENTRY_OVERHEAD, KvLimits, check
from flora.storage.kv.operations import (
    Check,
    Committed,
    Count,
    Counted,
    CreateStore,
    Delete,
    DropStore,
    Entry,
    Get,
    Increment,
    KeyInfo,
    List,
    Operation,
    Page,
    Set,
    Stores,
    Transaction,
    UpdateMetadata,
)

LIMITS = KvLimits(store_bytes=1200, guild_bytes=2000, stores=3, writes_per_minute=0, page_bytes=10**6)
REFUSED = "refused"


@dataclass(frozen=True)
class Cell:
    value: str
    metadata: str | None
    expires_at: float | None
    version: int

    def size(self, key: str) -> int:
        return len((key + self.value + (self.metadata or "")).encode()) + ENTRY_OVERHEAD


class Model:
    """What the store promises, in the simplest way that can be thought of. It never sweeps by itself."""

    def __init__(self) -> None:
        self.stores: dict[str, dict[str, Cell]] = {}

    def copy(self) -> Model:
        other = Model()
        other.stores = {name: dict(cells) for name, cells in self.stores.items()}
        return other

    def alive(self, store: str, now: float) -> dict[str, Cell]:
        cells = self.stores.get(store, {})
        return {k: c for k, c in cells.items() if c.expires_at is None or c.expires_at > now}

    def apply(self, op: Operation, now: float, given: Any) -> Any:
        """The answer; `given` is the store's own, for the versions that only it can choose."""
        match op:
            case Get(store, key):
                cell = self.alive(store, now).get(key)
                return cell and Entry(cell.value, cell.metadata, cell.expires_at, cell.version)
            case List():
                return self._list(op, now)
            case Count(store, prefix):
                return sum(key.startswith(prefix) for key in self.alive(store, now))
            case Transaction(steps):
                version = given.version if isinstance(given, Committed) else 0
                return self._transaction(steps, now, version)
            case Set():
                return self._set(op, now, given if isinstance(given, int) else 0)
            case UpdateMetadata(store, key, metadata):
                cell = self.alive(store, now).get(key)
                if cell is None:
                    return KvKeyNotFoundError
                version = given if isinstance(given, int) else 0
                return self._put(store, key, replace(cell, metadata=metadata, version=version), now, version)
            case Increment():
                return self._increment(op, now, given.version if isinstance(given, Counted) else 0)
            case Delete(store, key, if_version):
                seen = self.alive(store, now).get(key)
                if if_version is not None and (seen.version if seen else 0) != if_version:
                    return None
                self.stores.get(store, {}).pop(key, None)
                return seen is not None
            case DropStore(store):
                return None if self.stores.pop(store, REFUSED) is not REFUSED else KvError
            case _:
                raise AssertionError(op)

    def _list(self, op: List, now: float) -> Page:
        keys = sorted(self.alive(op.store, now), key=lambda key: key.encode(), reverse=op.reverse)
        keys = [key for key in keys if key.startswith(op.prefix)]
        if op.cursor is not None:
            cursor = op.cursor.encode()
            keys = [k for k in keys if (k.encode() < cursor if op.reverse else k.encode() > cursor)]
        page = keys[: op.limit]
        cells = self.stores.get(op.store, {})
        infos = (KeyInfo(k, cells[k].metadata, cells[k].expires_at, cells[k].version) for k in page)
        return Page(tuple(infos), page[-1] if page and len(keys) > len(page) else None)

    def _set(self, op: Set, now: float, version: int) -> Any:
        seen = self.alive(op.store, now).get(op.key)
        if op.if_absent and seen is not None:
            return None
        if op.if_version is not None and (seen.version if seen else 0) != op.if_version:
            return None
        expires_at = now + op.ttl if op.ttl is not None else op.expires_at
        return self._put(op.store, op.key, Cell(op.value, op.metadata, expires_at, version), now, version)

    def _increment(self, op: Increment, now: float, version: int) -> Any:
        seen = self.alive(op.store, now).get(op.key)
        try:
            value = (int(seen.value) if seen else 0) + op.by
        except ValueError:
            return KvNumberError
        expires_at = now + op.ttl if op.ttl is not None else (seen.expires_at if seen else None)
        cell = Cell(str(value), seen.metadata if seen else None, expires_at, version)
        done = self._put(op.store, op.key, cell, now, version)
        return done if done is KvQuotaError else Counted(value, version)

    def _put(self, store: str, key: str, cell: Cell, now: float, version: int) -> Any:
        """A quota is only ever exceeded by entries that live: expired ones make room."""
        if self._too_much(store, key, cell):
            for name, cells in self.stores.items():
                self.stores[name] = {k: c for k, c in cells.items() if k in self.alive(name, now)}
            if self._too_much(store, key, cell):
                return KvQuotaError
        if store not in self.stores and len(self.stores) >= LIMITS.stores:
            return KvQuotaError
        self.stores.setdefault(store, {})[key] = cell
        return version

    def _too_much(self, store: str, key: str, cell: Cell) -> bool:
        before = self.stores.get(store, {}).get(key)
        more = cell.size(key) - (before.size(key) if before else 0)
        if more <= 0:
            return False
        return self.bytes(store) + more > LIMITS.store_bytes or (
            sum(map(self.bytes, self.stores)) + more > LIMITS.guild_bytes
        )

    def bytes(self, store: str) -> int:
        return sum(cell.size(key) for key, cell in self.stores.get(store, {}).items())

    def _transaction(self, steps: Sequence[Any], now: float, version: int) -> Any:
        trial = self.copy()
        results: list[Any] = []
        for step in steps:
            if isinstance(step, Check):
                seen = trial.alive(step.store, now).get(step.key)
                if (seen.version if seen else None) != step.version:
                    return None
                continue
            hint = Counted(0, version) if isinstance(step, Increment) else version
            done = trial.apply(step, now, hint)
            if isinstance(done, type):
                return done
            if done is None:
                return None
            results.append(
                done.value if isinstance(done, Counted) else done if isinstance(step, Delete) else None
            )
        self.stores = trial.stores
        return Committed(version, tuple(results))


KEYS = st.sampled_from(["a", "aa", "ab", "b", "a\ud7ff", "a\ue000", "a\U0010ffff", "a\U0010ffffb", "é"])
STORES = st.sampled_from(["s", "t", "u", "v"])
VALUES = st.one_of(st.integers(-5, 5).map(str), st.sampled_from(["", "ä\0", "x" * 300]))
METADATA = st.sampled_from([None, '{"a":1}', '"' + "m" * 100 + '"'])
PREFIXES = st.sampled_from(["", "a", "ab", "a\U0010ffff", "\U0010ffff", "z", "a\ud7ff"])
TTLS = st.one_of(st.none(), st.sampled_from([0.5, 1.0, 3.0]))
VERSIONS = st.one_of(st.none(), st.integers(0, 40))
SETS = st.builds(Set, STORES, KEYS, VALUES, METADATA, ttl=TTLS, if_absent=st.booleans()) | st.builds(
    Set, STORES, KEYS, VALUES, if_version=VERSIONS
)
STEPS = st.one_of(
    SETS,
    st.builds(Set, STORES, KEYS, VALUES),
    st.builds(UpdateMetadata, STORES, KEYS, METADATA),
    st.builds(Delete, STORES, KEYS, VERSIONS),
    st.builds(Increment, STORES, KEYS, st.integers(-3, 3), ttl=TTLS),
)
CHECKS = st.builds(Check, STORES, KEYS, st.one_of(st.none(), st.integers(1, 40)))
OPERATIONS: st.SearchStrategy[Operation] = st.one_of(
    STEPS,
    st.builds(Get, STORES, KEYS),
    st.builds(List, STORES, PREFIXES, st.one_of(st.none(), KEYS), st.integers(0, 4), reverse=st.booleans()),
    st.builds(Count, STORES, PREFIXES),
    st.builds(Transaction, st.lists(STEPS | CHECKS, min_size=1, max_size=4).map(tuple)),
    st.builds(DropStore, STORES),
)


class Kv(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="flora-kv-"))
        self.now = 1000.0
        self.model = Model()
        self.newest = 0
        self.file = self.open()

    def open(self) -> GuildFile:
        return GuildFile.open(
            self.folder / "guild" / FILE_NAME,
            LIMITS,
            synchronous="normal",
            clock=lambda: self.now,
            create=True,
        )

    def teardown(self) -> None:
        self.file.close()
        shutil.rmtree(self.folder)

    @rule(batch=st.lists(OPERATIONS, min_size=1, max_size=6))
    def run(self, batch: list[Operation]) -> None:
        for operation in batch:
            check(operation)
        newest = self.newest
        for operation, answer in zip(batch, self.file.run([(op, False) for op in batch]), strict=True):
            expected = self.model.apply(operation, self.now, answer)
            if isinstance(expected, type):
                assert isinstance(answer, expected), operation
                continue
            assert answer == expected, operation
            version = _version(operation, answer)
            if version is not None:
                assert version > newest, "versions only grow"
                newest = version
        self.newest = newest

    @rule(seconds=st.sampled_from([0.5, 1.0, 2.5]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def sweep(self) -> None:
        self.file.sweep()
        for store in self.model.stores:
            self.model.stores[store] = self.model.alive(store, self.now)

    @rule()
    def reopen(self) -> None:
        self.file.close()
        self.file = self.open()

    @invariant()
    def counters_are_exact(self) -> None:
        [infos] = self.file.run([(Stores(), False)])
        assert isinstance(infos, tuple)
        assert {info.name: (info.keys, info.bytes) for info in infos} == {
            name: (len(cells), self.model.bytes(name)) for name, cells in self.model.stores.items()
        }


def _version(operation: Operation, answer: Any) -> int | None:
    if isinstance(answer, (Counted, Committed)):
        return answer.version
    return answer if isinstance(operation, (Set, UpdateMetadata)) else None


Kv.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestKv = pytest.mark.fuzz(Kv.TestCase)


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.text(st.characters(codec="utf-8")))
def test_a_prefix_is_a_range(prefix: str, text: str) -> None:
    low, high = _range(prefix)
    inside = low.encode() <= text.encode() and (high is None or text.encode() < high.encode())
    assert inside == text.startswith(prefix)


def test_a_store_is_made_once(tmp_path: Path) -> None:
    file = GuildFile.open(
        tmp_path / "g" / FILE_NAME, LIMITS, synchronous="full", clock=lambda: 5.0, create=True
    )
    made, again, infos = file.run([(CreateStore("s"), False), (CreateStore("s"), False), (Stores(), False)])
    assert infos == (made,)
    assert isinstance(again, KvError)
    assert again.code == "KV_STORE_CONFLICT"
    file.close()
