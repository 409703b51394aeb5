"""How much memory the example application takes when nobody uses it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from importlib.util import find_spec
from pathlib import Path

from lockstep.bench.scenario import (
    Contestant,
    Metric,
    Missing,
    Place,
    Round,
    Scale,
    Scenario,
    Target,
)

MEBIBYTE = 1024 * 1024
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0
REQUESTS = 20

# Says on which port it listens, because it takes the next one that is free.
_SERVE = """
import sys
from fixit.project import open_database, prepare
from fixit import server
with open_database(sys.argv[1]) as db:
    prepare(db, demo=True)
    server.serve(db, host="127.0.0.1", port=0, browser=False)
"""


class FixIt(Contestant):
    """FixIt with its demo factory on a SQLite file, as ``fixit serve --demo`` runs it.

    Args:
        settle_s: How long it is left alone before it is looked at.
    """

    name = "FixIt, idle"

    def __init__(self, settle_s: float) -> None:
        self._settle_s = settle_s
        self._process: subprocess.Popen[str] | None = None

    def open(self, place: Place) -> None:
        """Start it, and let it show a few pages.

        Raises:
            Missing: FixIt is not here, or this system does not tell a process's memory.
        """
        if not Path("/proc/self/status").exists():
            raise Missing("needs /proc to see another process's memory")
        paths = [str(_folder()), os.environ.get("PYTHONPATH", "")]
        folder = place.folder()
        kept = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")
        environment = {k: v for k, v in os.environ.items() if k in kept}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-u", "-c", _SERVE, f"sqlite:///{folder / 'fixit.db'}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
        )
        assert self._process.stdout, "started with a pipe"
        line = self._process.stdout.readline()
        url = line.partition("FixIt is at ")[2].partition(" ")[0]
        assert url, f"FixIt did not start: {line}"
        _wait_for(f"{url}/login")
        for _ in range(REQUESTS):
            _wait_for(f"{url}/login")

    def round(self) -> Round:
        """Leave it alone for a while, then look at its memory."""
        time.sleep(self._settle_s)
        assert self._process is not None, "open comes before"
        return Round(1, self._settle_s, memory_bytes=resident_bytes(self._process.pid))

    def close(self) -> None:
        """End it."""
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout, "started with a pipe"
        process.stdout.close()


def resident_bytes(pid: int) -> int:
    """Return how much of a process is in memory."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    for line in status.splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise Missing("the process has no resident memory")


def _folder() -> Path:
    """Return the folder that holds the package ``fixit``."""
    found = find_spec("fixit")
    if found is not None and found.origin is not None:
        return Path(found.origin).parents[1]
    beside = Path(__file__).parents[4] / "examples" / "fixit"
    if (beside / "fixit" / "__init__.py").is_file():
        return beside
    raise Missing(
        "FixIt is not here", hint="run it from a checkout, or install examples/fixit"
    )


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - ours
                answer.read()
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _contestants(scale: Scale) -> list[Contestant]:
    return [FixIt(scale.pick(1.0, 0.1))]


SCENARIO = Scenario(
    name="fixit-memory",
    title="FixIt with its demo factory, idle: resident memory",
    why="An application on a small machine beside the workbench: pages, API and live "
    "updates in one process.",
    metric=Metric.MEMORY,
    baseline="FixIt, idle",
    contestants=_contestants,
    no_limit=("Memory at rest is not bounded by what a machine can do."),
    targets=(Target("FixIt, idle", "at most", 120 * MEBIBYTE),),
    rounds=3,
)
