"""`flora run` as a child of `flora dev`: it stops in order when the other end of its standard input is gone.

So it ends with its parent however that one ends, a `kill -9` included.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

STDIN = 0


def main() -> None:
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    from flora.cli import main as flora

    sys.argv = ["flora", "run"]
    flora()


def _stop_with_parent() -> None:
    while os.read(STDIN, 64):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
