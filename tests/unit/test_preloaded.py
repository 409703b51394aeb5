"""A fork of the process that has imported is what a new process would be."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.preloaded import run

PROBE = """
import atexit, json, os, signal, sys, threading
streams = [sys.stdin, sys.stdout, sys.stderr]
print(json.dumps({
    "arguments": sys.argv,
    "path": sys.path,
    "name": __name__,
    "main": sys.modules["__main__"].__dict__ is globals(),
    "folder": os.getcwd(),
    "environment": dict(os.environ),
    "typed": sys.stdin.read(),
    "streams": [
        (s.isatty(), s.seekable(), s.encoding, s.errors, s.line_buffering)
        for s in streams
    ],
    "signals": [str(signal.getsignal(n)) for n in sorted(signal.valid_signals())],
    "open": sorted(os.listdir("/proc/self/fd")) if os.path.exists("/proc") else [],
    "threads": threading.active_count(),
    "group": os.getpgid(0),
    "flags": str(sys.flags),
}))
print("a complaint", file=sys.stderr)
atexit.register(print, "the end")
sys.exit(int(sys.argv[1]))
"""


@pytest.mark.parametrize("way", ["-c", "-m"])
def test_a_fork_is_like_a_process(way: str, tmp_path: Path) -> None:
    (tmp_path / "probe.py").write_text(PROBE)
    words = [sys.executable, way, PROBE if way == "-c" else "probe", "7", "ü"]
    environment = {**os.environ, "LOCKSTEP_PROBE": "ü"}
    stdin = "typed ü\n" * 20_000  # more than a pipe holds

    forked = run(words, cwd=tmp_path, env=environment, stdin=stdin)
    started = subprocess.run(
        words,
        cwd=tmp_path,
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
    )

    ours, theirs = (
        json.loads(done.stdout.splitlines()[0]) for done in (forked, started)
    )
    assert ours == theirs
    assert forked.stdout == started.stdout
    assert (forked.stderr, forked.returncode) == (started.stderr, started.returncode)
    assert (forked.stderr, forked.returncode) == ("a complaint\n", 7)


def test_a_killed_fork_says_so() -> None:
    program = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    done = run([sys.executable, "-c", program])
    assert done.returncode == -signal.SIGKILL
    assert run([sys.executable, "-c", "print(1)"]).stdout == "1\n"


def test_what_is_read_at_the_start_starts_a_process() -> None:
    program = "import sys; print('lockstep.cli.root' in sys.modules)"
    words = [sys.executable, "-c", program]
    assert run(words).stdout == "True\n"
    assert run(words, env={**os.environ, "PYTHONUTF8": "1"}).stdout == "False\n"
    assert run([sys.executable, "-P", *words[1:]]).stdout == "False\n"
