"""Misfortunes at random against a real host under load, and whether it kept its promises.

    just soak 60                                   minutes
    just soak 10 --seed 7 --rate 30 --guilds 20
    just soak 5 --database-url URL --cache-url URL   servers of the machine instead of the soak's own

Writes what it does to standard error, and its summary, Markdown, to standard output. Exit status 1: a promise
was broken; the folder with the logs and the event log is kept and named.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

from tests.soak.report import markdown
from tests.soak.run import Options, run


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="just soak", description=__doc__.splitlines()[0] if __doc__ else None
    )
    parser.add_argument("minutes", type=float, nargs="?", default=10.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--guilds", type=int, default=8)
    parser.add_argument("--rate", type=float, default=15.0, help="messages a second")
    parser.add_argument(
        "--database-url", help="a PostgreSQL database for this soak alone; it is not restarted"
    )
    parser.add_argument("--cache-url", help="a Redis; it is not restarted")
    arguments = parser.parse_args()
    servers = {"DATABASE_URL": arguments.database_url, "CACHE_URL": arguments.cache_url}
    options = Options(
        arguments.minutes * 60,
        arguments.seed,
        arguments.guilds,
        arguments.rate,
        {name: url for name, url in servers.items() if url},
    )
    folder = Path(tempfile.mkdtemp(prefix="flora-soak-"))
    print(f"soak: seed {options.seed}, in {folder}", file=sys.stderr)
    outcome = run(options, folder, lambda text: print(text, file=sys.stderr, flush=True))
    print(markdown(outcome))
    if outcome.problems:
        print(f"soak: everything is in {folder}", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
