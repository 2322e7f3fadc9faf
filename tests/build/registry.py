"""A small npm registry on loopback: real npm installs from it, without a network."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Registry:
    url: str
    packages: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    tarballs: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def publish(self, name: str, version: str, source: str, **manifest: Any) -> None:
        """`source` is the package's index.js; every name it exports is typed as `any`."""
        data = {"name": name, "version": version, "main": "index.js", "types": "index.d.ts", **manifest}
        archive = _tarball(
            {
                "package.json": json.dumps(data),
                "index.js": source,
                "index.d.ts": "export const name: string\n",
            }
        )
        path = f"/{name}/-/{name}-{version}.tgz"
        self.tarballs[path] = archive
        digest = base64.b64encode(hashlib.sha512(archive).digest()).decode()
        dist = {"tarball": f"{self.url}{path}", "integrity": f"sha512-{digest}"}
        self.packages.setdefault(name, {})[version] = {**data, "dist": dist}

    def answer(self, path: str) -> bytes | None:
        self.asked.append(path)
        if path in self.tarballs:
            return self.tarballs[path]
        versions = self.packages.get(path.strip("/"))
        if versions is None:
            return None
        latest = list(versions)[-1]
        return json.dumps(
            {"name": path.strip("/"), "dist-tags": {"latest": latest}, "versions": versions}
        ).encode()


@contextmanager
def registry() -> Iterator[Registry]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = served.answer(self.path)
            self.send_response(200 if body is not None else 404)
            self.end_headers()
            self.wfile.write(body or b"{}")

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = Registry(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _tarball(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()
