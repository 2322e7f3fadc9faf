"""npm packages of a project: what its `package.json` asks for, installed into its own `node_modules` by npm.

Install scripts never run, so a package is only ever read. A `package-lock.json` is law: what is installed is
what it names, hash by hash. Only packages of the registry are allowed, since anything else (folders, git,
URLs, aliases) is not what a lock and its reader think it is. A `node_modules` that has what the lock names is
left alone, without asking anybody, so that a project builds without a network once it is installed.

What is installed is read from npm's own record, `node_modules/.package-lock.json` (npm 7 and later).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import trio

from flora.build.sandbox import Sandbox
from flora.build.toolchain import Progress, find_npm, npm_said, offline_mark, run_npm
from flora.build.types import BuildError

MANIFEST: Final = "package.json"
LOCK: Final = "package-lock.json"
RECORD: Final = "node_modules/.package-lock.json"
MAX_DEPENDENCIES: Final = 50
MAX_LOCKED: Final = 2000
"""Packages in the lock of a project that is built on a server."""
NPM_REGISTRY: Final = "https://registry.npmjs.org/"
"""What npm takes for whichever registry it is told to use (its setting replace-registry-host)."""
MAX_JSON_BYTES: Final = 16 * 2**20
INSTALL_DEADLINE: Final = 120.0

# What could make npm do something else than its manifest and lock say (another registry, hooks, other roots).
_REFUSED_FILES: Final = (
    ".npmrc",
    ".pnpmfile.cjs",
    ".pnpmfile.mjs",
    ".yarnrc",
    ".yarnrc.yml",
    "bun.lock",
    "bun.lockb",
    "npm-shrinkwrap.json",
    "pnpm-lock.yaml",
    "pnpm-workspace.yaml",
    "pnpm-workspace.yml",
    "yarn.lock",
)
_REFUSED_KEYS: Final = ("workspaces", "bundleDependencies", "bundledDependencies", "overrides")
_TABLES: Final = ("dependencies", "devDependencies", "optionalDependencies")
# A version, a range or a tag: `^1.2.3`, `>=1 <3 || 5.x`, `latest`.
_SPECIFIER: Final = re.compile(r"[\w.+*^~<>=|\- ]{0,200}", re.ASCII)
_NAME: Final = re.compile(r"(?:@[a-z0-9~-][a-z0-9._~-]*/)?[a-z0-9~-][a-z0-9._~-]*", re.ASCII | re.IGNORECASE)

# Whatever the user's own settings are: here, in a lock, and not as a part of a workspace further up.
_FLAGS: Final = ("--workspaces=false", "--package-lock=true", "--package-lock-only=false", "--global=false")


class PackagesError(BuildError):
    """The project's packages cannot be installed as it asks for them."""

    code = "PACKAGES_REFUSED"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class PackagesOfflineError(PackagesError):
    """npm could not reach its registry, and not all packages are in its cache."""

    code = "PACKAGES_OFFLINE"


@dataclass(frozen=True, slots=True)
class Manifest:
    """The part of `package.json` that counts: package name -> specifier, of each kind."""

    tables: Mapping[str, Mapping[str, str]]

    @property
    def names(self) -> set[str]:
        return {name for table in self.tables.values() for name in table}


@dataclass(frozen=True, slots=True)
class Installer:
    """npm for strangers' projects: `sandbox` has the network, `registry` (a URL with a slash at its end) is
    all it may be told to ask.
    """

    npm: tuple[str | Path, ...]
    sandbox: Sandbox
    registry: str


async def ensure_packages(
    root: Path, progress: Progress, *, update_lock: bool = False, installer: Installer | None = None
) -> bool:
    """Install what the project in `root` lacks; returns whether anything had to be done.

    Without a lock, npm chooses the versions and writes one. With one that does not belong to `package.json`
    any more, `update_lock` decides whether npm may bring it up to date or PackagesError is raised. An
    `installer` needs a lock, and one that names packages of its registry only.
    Cancellation stops npm; what it left half done counts as not installed.
    Raises PackagesError, PackagesOfflineError, NodeMissingError.
    """
    root = await trio.to_thread.run_sync(Path.resolve, root)
    missing = await trio.to_thread.run_sync(_what_is_missing, root, update_lock)
    if missing is None:
        return False
    command, count = missing
    flags: tuple[str, ...] = _FLAGS
    if installer is None:
        npm = await find_npm()
    else:
        await trio.to_thread.run_sync(_review_for_server, root, installer.registry)
        npm = installer.npm
        flags = (*_FLAGS, "--bin-links=false", f"--registry={installer.registry}")
    progress(f"installing {count} {'package' if count == 1 else 'packages'} of {MANIFEST} (npm {command})")
    began = trio.current_time()
    with trio.move_on_after(INSTALL_DEADLINE) as patience:
        sandbox = None if installer is None else installer.sandbox
        result = await run_npm(npm, command, *flags, cwd=root, sandbox=sandbox)
    if patience.cancelled_caught:
        raise PackagesOfflineError(
            f"npm did not finish within {INSTALL_DEADLINE:.0f} s.", hint="Check the network and try again."
        )
    if result.status != 0:
        if mark := offline_mark(result):
            raise PackagesOfflineError(
                f"The npm registry cannot be reached ({mark}), and not all packages are in npm's cache.",
                hint="Connect to the network and run `flora install`.",
            )
        raise PackagesError(f"npm could not install the packages {npm_said(result)}")
    await trio.to_thread.run_sync(_review_installed, root)
    progress(f"packages ready ({trio.current_time() - began:.1f} s)")
    return True


def _what_is_missing(root: Path, update_lock: bool) -> tuple[str, int] | None:
    """npm's command and the number of packages that the project names; None when all is in place."""
    manifest = read_manifest(root)
    if manifest is None or not manifest.names:
        return None
    lock = _read_json(root / LOCK)
    if lock is None:
        if _foreign_packages(root, manifest):
            return None
        review_files(root)
        return "install", len(manifest.names)
    review_lock(lock)
    review_files(root)
    if not _belongs_to(lock, manifest):
        if not update_lock:
            raise PackagesError(
                f"{MANIFEST} and {LOCK} do not name the same packages.",
                hint="Run `flora install` to bring the lock up to date.",
            )
        return "install", len(manifest.names)
    if _is_installed(root, lock):
        return None
    return "ci", len(manifest.names)


def read_manifest(root: Path) -> Manifest | None:
    """The project's `package.json`, None when it has none. Raises PackagesError for what is not allowed."""
    data = _read_json(root / MANIFEST)
    if data is None:
        return None
    for key in _REFUSED_KEYS:
        if data.get(key):
            raise PackagesError(f"{MANIFEST}: `{key}` is not supported.", hint="Remove it.")
    tables: dict[str, dict[str, str]] = {}
    for kind in _TABLES:
        table = data.get(kind, {})
        if not isinstance(table, dict):
            raise PackagesError(f"{MANIFEST}: `{kind}` must be an object of names and versions.")
        tables[kind] = {name: _specifier(name, value) for name, value in table.items()}
    manifest = Manifest(tables)
    if len(manifest.names) > MAX_DEPENDENCIES:
        raise PackagesError(
            f"{MANIFEST} names {len(manifest.names)} packages; the limit is {MAX_DEPENDENCIES}."
        )
    return manifest


def _specifier(name: str, value: object) -> str:
    if not _NAME.fullmatch(name):
        raise PackagesError(f"{MANIFEST}: {name[:80]!r} is not the name of a package.")
    if not isinstance(value, str) or not _SPECIFIER.fullmatch(value):
        raise PackagesError(
            f"{MANIFEST}: {name} asks for {str(value)[:80]!r}, which is not a version.",
            hint="Only packages of the npm registry are allowed, by version (^1.2.3) or tag (latest).",
        )
    return value


def review_files(root: Path) -> None:
    """Refuses files that change what npm does, or that belong to another package manager."""
    for name in _REFUSED_FILES:
        if (root / name).is_file():
            raise PackagesError(
                f"the project has a file {name}: flora installs with npm, from {MANIFEST} and {LOCK} only.",
                hint=f"Remove {name}, or install the packages with the tool that it belongs to.",
            )


def review_lock(lock: Mapping[str, Any]) -> None:
    """Refuses a lock with anything but hashed packages of a registry. Raises PackagesError."""
    packages = lock.get("packages")
    if not isinstance(packages, dict):
        raise PackagesError(f"{LOCK} is of an npm before 7.", hint="Delete it and run `flora install`.")
    for path, entry in packages.items():
        if not path:
            continue
        if not isinstance(entry, dict) or not _is_inside(path) or entry.get("link"):
            raise PackagesError(f"{LOCK}: {path[:120]!r} is not a package of a registry.")
        if entry.get("inBundle"):  # comes inside another package's archive, whose hash covers it
            continue
        source = entry.get("resolved", "")
        if not isinstance(source, str) or (source and not source.startswith(("https://", "http://"))):
            raise PackagesError(f"{LOCK}: {path} comes from {str(source)[:120]!r}, not from a registry.")
        if not isinstance(entry.get("integrity"), str):
            raise PackagesError(
                f"{LOCK}: {path} has no hash (integrity).", hint="Delete the lock and run `flora install`."
            )


def _review_for_server(root: Path, registry: str) -> None:
    """Refuses what could make npm ask anybody but the registry. Raises PackagesError."""
    lock = _read_json(root / LOCK)
    if lock is None:
        raise PackagesError(
            f"the project has no {LOCK}.",
            hint="Run `flora install` where you develop, and send the lock too.",
        )
    packages = lock["packages"]
    if len(packages) > MAX_LOCKED:
        raise PackagesError(f"{LOCK} names {len(packages)} packages; the limit is {MAX_LOCKED}.")
    for path, entry in packages.items():
        source = entry.get("resolved", "") if path else ""
        if source and not source.startswith((registry, NPM_REGISTRY)):
            raise PackagesError(f"{LOCK}: {path} comes from {source[:120]!r}, not from {registry}.")
        for kind in (*_TABLES, "peerDependencies"):
            table = entry.get(kind) or {}
            if not isinstance(table, dict) or not all(map(_is_of_registry, table.values())):
                raise PackagesError(f"{LOCK}: {path or 'the project'} asks for what is not a version.")


def _is_of_registry(specifier: object) -> bool:
    """A version, also of a package under another name (`npm:name@^1`)."""
    if not isinstance(specifier, str):
        return False
    if specifier.startswith("npm:"):
        name, at, version = specifier.removeprefix("npm:").rpartition("@")
        return bool(_NAME.fullmatch(name if at and name else version) and _SPECIFIER.fullmatch(version))
    return bool(_SPECIFIER.fullmatch(specifier))


def _is_inside(path: str) -> bool:
    names = re.split(r"(?:^|/)node_modules/", path)
    return names[0] == "" and all(_NAME.fullmatch(name) for name in names[1:])


def _belongs_to(lock: Mapping[str, Any], manifest: Manifest) -> bool:
    """Whether the lock was made for this manifest; npm keeps a copy of its tables in the first entry."""
    top = lock["packages"].get("", {})
    return isinstance(top, dict) and all(top.get(kind, {}) == manifest.tables[kind] for kind in _TABLES)


def _is_installed(root: Path, lock: Mapping[str, Any]) -> bool:
    record = _read_json(root / RECORD)
    packages = record.get("packages") if record else None
    if not isinstance(packages, dict):
        return False
    for path, wanted in _required(lock):
        found = packages.get(path)
        if not isinstance(found, dict) or any(
            found.get(key) != wanted.get(key) for key in ("version", "integrity")
        ):
            return False
        if not (root / path / MANIFEST).is_file():
            return False
    return True


def _required(lock: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Without what npm may leave out: packages for other platforms, and those for development."""
    for path, entry in lock["packages"].items():
        if path and not any(entry.get(key) for key in ("optional", "devOptional", "dev", "peer")):
            yield path, entry


def _foreign_packages(root: Path, manifest: Manifest) -> bool:
    """Whether another package manager has installed everything that the script can import."""
    return all(
        (root / "node_modules" / name / MANIFEST).is_file() for name in manifest.tables["dependencies"]
    )


def _review_installed(root: Path) -> None:
    """What npm has resolved must be what a lock may name: a tag can lead anywhere."""
    if (lock := _read_json(root / LOCK)) is not None:
        review_lock(lock)


def _read_json(file: Path) -> dict[str, Any] | None:
    try:
        if not file.is_file():
            return None
        if file.stat().st_size > MAX_JSON_BYTES:
            raise PackagesError(f"{file.name} is larger than {MAX_JSON_BYTES // 2**20} MiB.")
        data = json.loads(file.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise PackagesError(f"{file.name} is not valid JSON: {error}.") from error
    except OSError as error:
        raise PackagesError(f"Cannot read {file.name}: {os.strerror(error.errno or 0)}.") from error
    if not isinstance(data, dict):
        raise PackagesError(f"{file.name} is not a JSON object.")
    return data
