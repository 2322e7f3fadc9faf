"""flora with the waits of its gateway cut short, so that a matrix of faults takes minutes and not hours.

    python -m tests.e2e.impatient run

What it does in them is unchanged. The long ones are tested under virtual time (tests/gateway).
"""

from __future__ import annotations

from typing import Any

import flora.gateway.identify
import flora.gateway.session
import flora.gateway.shard
from flora.cli import main

WAITS: dict[Any, dict[str, Any]] = {
    flora.gateway.shard: {"BACKOFF_FIRST": 0.05, "BACKOFF_MAX": 0.2, "LAST_WORD": 0.2},
    flora.gateway.identify: {"IDENTIFY_INTERVAL": 0.05},
    flora.gateway.session: {
        "HELLO_DEADLINE": 1.0,
        "READY_DEADLINE": 2.0,
        "INVALID_SESSION_PAUSE": (0.05, 0.1),
    },
}

if __name__ == "__main__":
    for module, waits in WAITS.items():
        for name, seconds in waits.items():
            assert hasattr(module, name), (module.__name__, name)
            setattr(module, name, seconds)
    main()
