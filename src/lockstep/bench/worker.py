"""One of several processes that write to one SQLite file.

    stdin   {"way": …, "path": …, "writers": …, "first": …, "seconds": …}, then "go"
    stdout  "ready", then for each "go" one line {"elapsed": …, "taken": […], …}

Owns nothing: the contestant that starts it made the tables and counts the rows.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from lockstep.bench.contestants import SQLITE, open_database
from lockstep.bench.writers import BeginImmediate, LockstepWriters, Writers


def main() -> None:
    """Write whenever the parent says so, until it closes stdin."""
    request: dict[str, Any] = json.loads(sys.stdin.readline())
    count, seconds = int(request["writers"]), float(request["seconds"])
    writers: Writers
    if request["way"] == "lockstep":
        writers = LockstepWriters(SQLITE, count, seconds)
    else:
        writers = BeginImmediate(count, seconds)
    path = Path(request["path"])
    writers.use(open_database(f"sqlite:///{path}", path.parent))
    try:
        print("ready", flush=True)
        for _ in iter(sys.stdin.readline, ""):
            done = writers.load()
            answer = {
                "elapsed": done.elapsed_s,
                "taken": done.latencies_s,
                "refused": done.refused,
            }
            print(json.dumps(answer), flush=True)
    finally:
        writers.close()


if __name__ == "__main__":
    main()
