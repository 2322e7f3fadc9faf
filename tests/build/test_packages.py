"""npm packages of a project, installed by real npm from a registry on loopback."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from flora.build.bundle import build_project
from flora.build.packages import (
    MAX_DEPENDENCIES,
    PackagesError,
    PackagesOfflineError,
    ensure_packages,
)
from flora.build.types import BuildError
from tests.build.conftest import MakeProject
from tests.build.registry import Registry, registry

MAIN = 'import { name } from "tulip";\nconsole.log(name);\n'


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """The only registry that npm knows, with a cache of its own; `tulip` 1.0.0 is in it."""
    with registry() as served:
        monkeypatch.setenv("npm_config_registry", served.url)
        monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm-cache"))
        monkeypatch.setenv("npm_config_fetch_retries", "0")
        served.publish("tulip", "1.0.0", 'export const name = "tulip 1.0.0";')
        yield served


def manifest(**dependencies: str) -> str:
    return json.dumps({"name": "bot", "version": "1.0.0", "dependencies": dependencies})


async def ensure(root: Path, *, update_lock: bool = False) -> tuple[bool, list[str]]:
    said: list[str] = []
    with trio.fail_after(60):
        return await ensure_packages(root, said.append, update_lock=update_lock), said


async def test_without_a_lock_npm_chooses_and_writes_one(project: MakeProject, shop: Registry) -> None:
    root = project({"src/main.ts": MAIN, "package.json": manifest(tulip="^1")})
    done, said = await ensure(root)
    assert done
    assert said[0] == "installing 1 package of package.json (npm install)"
    assert said[1].startswith("packages ready")
    assert json.loads((root / "package-lock.json").read_text())["packages"]["node_modules/tulip"]["integrity"]
    bundle = await build_project(root)
    assert "tulip 1.0.0" in bundle.code
    assert {file.path for file in bundle.files} == {"package.json", "package-lock.json", "src/main.ts"}


async def test_what_is_installed_needs_nobody(project: MakeProject, shop: Registry) -> None:
    root = project({"src/main.ts": MAIN, "package.json": manifest(tulip="^1")})
    await ensure(root)
    shop.asked.clear()
    assert await ensure(root) == (False, [])
    assert shop.asked == []


async def test_the_lock_decides_the_version(project: MakeProject, shop: Registry) -> None:
    root = project({"src/main.ts": MAIN, "package.json": manifest(tulip="^1")})
    await ensure(root)
    lock = (root / "package-lock.json").read_bytes()
    shop.publish("tulip", "1.1.0", 'export const name = "tulip 1.1.0";')
    shutil.rmtree(root / "node_modules")
    done, said = await ensure(root)
    assert done
    assert "npm ci" in said[0]
    assert "tulip 1.0.0" in (await build_project(root)).code
    assert (root / "package-lock.json").read_bytes() == lock


async def test_a_package_that_was_tampered_with_is_not_installed(
    project: MakeProject, shop: Registry, tmp_path: Path
) -> None:
    root = project({"src/main.ts": MAIN, "package.json": manifest(tulip="^1")})
    await ensure(root)
    shutil.rmtree(root / "node_modules")
    shutil.rmtree(tmp_path / "npm-cache")
    shop.publish("tulip", "1.0.0", 'export const name = "tulip with thorns";')
    with pytest.raises(PackagesError, match="EINTEGRITY"):
        await ensure(root)


async def test_install_scripts_do_not_run(
    project: MakeProject, shop: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("npm_config_ignore_scripts", "false")
    script = f"touch {tmp_path}/ran"
    shop.publish(
        "rose", "1.0.0", "export const name = 1", scripts={"postinstall": script, "preinstall": script}
    )
    own = json.loads(manifest(rose="1.0.0")) | {"scripts": {"prepare": script, "postinstall": script}}
    root = project({"src/main.ts": "", "package.json": json.dumps(own)})
    assert (await ensure(root))[0]
    assert (root / "node_modules/rose/index.js").is_file()
    assert not (tmp_path / "ran").exists()


async def test_a_damaged_installation_is_made_again(project: MakeProject, shop: Registry) -> None:
    root = project({"src/main.ts": MAIN, "package.json": manifest(tulip="^1")})
    await ensure(root)
    shutil.rmtree(root / "node_modules/tulip")
    assert (await ensure(root))[0]
    assert (root / "node_modules/tulip/index.js").is_file()


async def test_a_lock_of_another_manifest_is_only_changed_on_demand(
    project: MakeProject, shop: Registry
) -> None:
    root = project({"src/main.ts": MAIN, "package.json": manifest(tulip="^1")})
    await ensure(root)
    shop.publish("rose", "2.0.0", "export const name = 1")
    (root / "package.json").write_text(manifest(tulip="^1", rose="^2"))
    with pytest.raises(PackagesError, match="Run `flora install`"):
        await ensure(root)
    assert (await ensure(root, update_lock=True))[0]
    assert await ensure(root) == (False, [])
    assert (root / "node_modules/rose").is_dir()


async def test_without_a_network_it_is_said_what_to_do(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with registry() as closed:
        url = closed.url
    monkeypatch.setenv("npm_config_registry", url)
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm-cache"))
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    root = project({"src/main.ts": MAIN, "package.json": manifest(tulip="^1")})
    with pytest.raises(PackagesOfflineError, match=r"ECONNREFUSED.*flora install"):
        await ensure(root)


async def test_a_package_that_does_not_exist_is_named(project: MakeProject, shop: Registry) -> None:
    root = project({"src/main.ts": MAIN, "package.json": manifest(lily="^1")})
    with pytest.raises(PackagesError, match=r"E404.*lily"):
        await ensure(root)


async def test_a_project_without_packages_never_starts_npm(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    for text in (None, "{}", manifest()):
        root = project({"src/main.ts": "", **({"package.json": text} if text is not None else {})})
        assert await ensure(root) == (False, [])


@pytest.mark.parametrize(
    "specifier",
    [
        "file:../other",
        "link:../other",
        "workspace:*",
        "catalog:",
        "npm:other@1",
        "patch:x",
        "portal:../x",
        "git+ssh://git@host/x.git",
        "git+https://host/x.git",
        "git://host/x.git",
        "git@host:x/y.git",
        "github:user/repo",
        "bitbucket:user/repo",
        "gitlab:user/repo",
        "http://host/x.tgz",
        "https://host/x.tgz",
        "user/repo",
        "./x.tgz",
        "../x",
        "~/x",
        "/x",
        "C:\\x",
        "--registry=x\n",
        7,
        None,
    ],
)
async def test_only_versions_of_the_registry_are_allowed(project: MakeProject, specifier: Any) -> None:
    data = {"dependencies": {"x": specifier}}
    root = project({"src/main.ts": "", "package.json": json.dumps(data)})
    with pytest.raises(PackagesError, match=r"x asks for .*not a version"):
        await ensure(root)


@pytest.mark.parametrize("specifier", ["^1.2.3", "~1", "1.x", ">=1 <3 || 5.0.0-beta.1+b7", "latest", "*", ""])
async def test_every_version_of_the_registry_is(project: MakeProject, specifier: str) -> None:
    installed = {"node_modules/x/package.json": "{}"}
    root = project({"src/main.ts": "", "package.json": manifest(x=specifier)} | installed)
    assert await ensure(root) == (False, []), "another tool has installed it"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"dependencies": {f"p{n}": "1" for n in range(MAX_DEPENDENCIES + 1)}}, "the limit is 50"),
        ({"dependencies": ["x"]}, "must be an object"),
        ({"dependencies": {"../x": "1"}}, "not the name of a package"),
        ({"dependencies": {"-g": "1"}, "workspaces": ["a"]}, "`workspaces` is not supported"),
        ({"dependencies": {"x": "1"}, "overrides": {"y": "file:.."}}, "`overrides` is not supported"),
        ([], "not a JSON object"),
    ],
)
async def test_other_manifests_are_refused(project: MakeProject, data: Any, said: str) -> None:
    root = project({"src/main.ts": "", "package.json": json.dumps(data)})
    with pytest.raises(PackagesError, match=said):
        await ensure(root)


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "\ud800".encode("utf-8", "surrogatepass")])
async def test_a_manifest_that_is_no_json_is_refused(project: MakeProject, text: str | bytes) -> None:
    root = project({"src/main.ts": ""})
    (root / "package.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(PackagesError, match="not valid JSON"):
        await ensure(root)


@pytest.mark.parametrize(
    "name", [".npmrc", ".pnpmfile.cjs", ".yarnrc.yml", "bun.lock", "npm-shrinkwrap.json"]
)
async def test_files_that_steer_a_package_manager_are_refused(project: MakeProject, name: str) -> None:
    root = project({"src/main.ts": "", "package.json": manifest(tulip="1"), name: ""})
    with pytest.raises(PackagesError, match="installs with npm"):
        await ensure(root)


@pytest.mark.parametrize(
    ("path", "entry", "said"),
    [
        ("node_modules/x", {"resolved": "git+ssh://git@host/x.git#1"}, "not from a registry"),
        ("node_modules/x", {"resolved": "file:../secret", "integrity": "sha512-x"}, "not from a registry"),
        ("node_modules/x", {"resolved": "../secret", "link": True}, "not a package of a registry"),
        ("node_modules/x", {"resolved": "https://host/x.tgz"}, "no hash"),
        ("../../x", {"version": "1"}, "not a package of a registry"),
        ("node_modules/../../x", {"version": "1"}, "not a package of a registry"),
        ("packages/x", {"version": "1"}, "not a package of a registry"),
        ("node_modules/x", "1.0.0", "not a package of a registry"),
    ],
)
async def test_a_lock_holds_nothing_but_hashed_packages(
    project: MakeProject, path: str, entry: Any, said: str
) -> None:
    lock = {"lockfileVersion": 3, "packages": {"": {"dependencies": {"x": "1"}}, path: entry}}
    files = {"package.json": manifest(x="1"), "package-lock.json": json.dumps(lock)}
    with pytest.raises(PackagesError, match=said):
        await ensure(project({"src/main.ts": "", **files}))


async def test_an_old_lock_is_refused(project: MakeProject) -> None:
    files = {
        "package.json": manifest(x="1"),
        "package-lock.json": '{"lockfileVersion": 1, "dependencies": {}}',
    }
    with pytest.raises(PackagesError, match="npm before 7"):
        await ensure(project({"src/main.ts": "", **files}))


async def test_packages_of_a_folder_above_are_not_the_projects(project: MakeProject) -> None:
    root = project({"src/main.ts": MAIN})
    above = root.parent / "node_modules/tulip"
    above.mkdir(parents=True)
    (above / "package.json").write_text('{"main": "index.js"}')
    (above / "index.js").write_text("export const name = 'from above';")
    with pytest.raises(BuildError, match="outside the project"):
        await build_project(root, check=False)


async def test_a_cancelled_installation_counts_as_none(project: MakeProject, shop: Registry) -> None:
    root = project({"src/main.ts": MAIN, "package.json": manifest(tulip="^1")})
    with trio.CancelScope() as scope:
        await ensure_packages(root, lambda _: scope.cancel())
    assert scope.cancelled_caught
    assert (await ensure(root))[0]
    assert (root / "node_modules/tulip/index.js").is_file()
