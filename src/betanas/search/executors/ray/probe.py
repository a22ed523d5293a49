"""What a Ray cluster is made of, found out in a process of its own: connecting to a dead one can hang for minutes.

Run as `python -m betanas.search.executors.ray.probe ADDRESS`; the last line it prints is a JSON document with `nodes`
or `error`.
"""

from __future__ import annotations

import json
import logging
import sys


def main() -> None:
    """Connect, look, leave."""
    import ray

    try:
        ray.init(address=sys.argv[1], log_to_driver=False, logging_level=logging.ERROR)
        answer = {"nodes": ray.nodes()}
        ray.shutdown()
    except Exception as error:  # Ray raises what it pleases; all of it means that there is no connection
        answer = {"error": f"{type(error).__name__}: {error}"}
    sys.stdout.write("\n" + json.dumps(answer, default=str) + "\n")


if __name__ == "__main__":
    main()
