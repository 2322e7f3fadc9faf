"""The other contender of bench/api.py: the two routes on plain quart-trio and Hypercorn's own server on Trio.

    python -m bench.contenders.quart_trio PORT

What flora stands on, doing the work of bench/contenders/quart_asyncio.py: what is left of flora's figure is
flora's.
"""

from __future__ import annotations

import sqlite3
import sys
from datetime import UTC, datetime
from typing import Any

import hypercorn.trio
import trio
from hypercorn.config import Config
from quart_trio import QuartTrio

app = QuartTrio(__name__)
database = sqlite3.connect(":memory:")
database.execute("create table entries (store text, key text, value text, primary key (store, key))")
database.execute("insert into entries values ('settings', 'a', 'hello')")


@app.get("/health")
async def health() -> dict[str, Any]:
    return {"status": "ok", "timestamp": datetime.now(UTC).isoformat()}


@app.get("/kv/<guild_id>/stores/<store>/keys/<key>")
async def value(guild_id: str, store: str, key: str) -> dict[str, Any]:
    row = database.execute("select value from entries where store = ? and key = ?", (store, key)).fetchone()
    return {"value": row[0], "version": 1, "metadata": None, "expiration": None}


def main(port: int) -> None:
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.accesslog = None
    trio.run(hypercorn.trio.serve, app, config)


if __name__ == "__main__":
    main(int(sys.argv[1]))
