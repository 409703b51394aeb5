"""An interrupt ends a verb that may be killed, also where nobody answers any more."""

from __future__ import annotations

import sys

import pytest

from tests import preloaded

PROGRAM = """
import os, signal, sys, time
from lockstep.cli import root
from lockstep.cli.run import Run
root.UNWIND_MAX_S = 0.2
run = Run()
run.may_be_killed = sys.argv[1] == "may be killed"
run.keeps("half was kept")
with root._termination_unwinds(run):
    try:
        os.kill(os.getpid(), getattr(signal, sys.argv[2]))
        time.sleep(60)
    finally:
        time.sleep(0.6 if sys.argv[1] == "may not" else 60)
"""


@pytest.mark.parametrize(
    ("name", "code", "word"),
    [("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "terminated")],
)
def test_nobody_is_waited_for_who_does_not_answer(
    name: str, code: int, word: str
) -> None:
    words = [sys.executable, "-c", PROGRAM, "may be killed", name]
    done = preloaded.run(words)
    assert (done.returncode, done.stderr) == (code, f"{word}; half was kept\n")


def test_a_verb_that_may_not_be_killed_is_waited_for() -> None:
    done = preloaded.run([sys.executable, "-c", PROGRAM, "may not", "SIGTERM"])
    assert "half was kept" not in done.stderr
    assert "Terminated" in done.stderr
