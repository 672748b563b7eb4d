"""The search for a minor embedding, as a program of its own that can be ended at any time.

It imports nothing of qnroute, so that it starts in no time. JSON comes in; a line of JSON goes out for each embedding,
every one better than those before.
"""

from __future__ import annotations

import json
import signal
import sys
import time


def main() -> None:
    """Look for an embedding, print it, then shorten its chains."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started this decides when it ends
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # minorminer then ends with the best it has
    from minorminer import find_embedding

    started, asked = time.perf_counter(), json.load(sys.stdin)
    graphs = [list(zip(*asked[name])) for name in ("couplers", "edges")]
    how = {"random_seed": asked["seed"], "tries": asked["tries"], "interactive": True}
    try:
        chains = find_embedding(*graphs, timeout=asked["timeout"], chainlength_patience=0, **how)
    except RuntimeError:  # what it says where not even overlapping chains could be laid out
        chains = {}
    _say(chains)
    left = asked["timeout"] - (time.perf_counter() - started)
    if chains and left > 0.0:
        _say(find_embedding(*graphs, timeout=left, initial_chains=chains, skip_initialization=True, **how))


def _say(chains: dict[int, list[int]]) -> None:
    print(json.dumps([[v, *chain] for v, chain in chains.items()]), flush=True)


if __name__ == "__main__":
    main()
