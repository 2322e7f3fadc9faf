"""`flora db`: schema and backups, with flora running and without, on its own PostgreSQL and on yours."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from flora.playground.demo import GARDEN
from tests.e2e.running import ROOT, command, environment, running
from tests.storage.conftest import POSTGRES_URL, fresh_database, need_server


@pytest.fixture(params=["embedded", "server"])
def database(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """What the environment says of the database."""
    if request.param == "embedded":
        yield {}
        return
    for url in fresh_database(need_server(POSTGRES_URL, 5432)):
        yield {"DATABASE_URL": url.partition("?")[0]}


def db(env: dict[str, str], *words: str, expect: int = 0) -> str:
    done = subprocess.run(
        command("db", *words), env=env, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == expect, (words, done.stdout, done.stderr)
    return done.stdout + done.stderr


def test_a_backup_made_while_flora_runs_brings_everything_back(
    tmp_path: Path, database: dict[str, str]
) -> None:
    data, file = tmp_path / "data", tmp_path / "flora.dump"
    with running(data, **database) as flora:
        before = flora.call("GET", f"/deployments/{GARDEN}/history").json()["items"]
        status = json.loads(db(flora.env, "status", "--json"))
        assert status["pending"] == []
        assert "0001_deployments" in status["applied"]
        db(flora.env, "backup", str(file))
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.read_bytes()[:5] == b"PGDMP"
        refused = db(flora.env, "restore", str(file), "--yes", expect=1)
        assert "Stop it first" in refused
        flora.cli("undeploy", GARDEN)

    env = environment(data, **database)
    assert "applied  0001_deployments" in db(env, "status"), "flora does not run"
    assert "restored" in db(env, "restore", str(file), "--yes")
    assert "up to date" in db(env, "migrate")
    with running(data, **database) as flora:
        assert flora.call("GET", f"/deployments/{GARDEN}").status_code == 200
        after = flora.call("GET", f"/deployments/{GARDEN}/history").json()["items"]
        assert [item["id"] for item in after] == [item["id"] for item in before]


def test_what_is_no_backup_changes_nothing(tmp_path: Path, database: dict[str, str]) -> None:
    env, file = environment(tmp_path / "data", **database), tmp_path / "file"
    db(env, "migrate")
    file.write_bytes(b"PGDMP is not enough")
    assert "pg_restore failed" in db(env, "restore", str(file), "--yes", expect=1)
    assert "applied  0001_deployments" in db(env, "status")
    assert "--yes" in db(env, "restore", str(file), expect=2)
