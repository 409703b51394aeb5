"""Processes that are all ready before the first of them begins."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Sequence

ENDS_WITHIN_S = 60


def let_go_together(program: str, each: Iterable[Sequence[str]]) -> list[str]:
    """Run a program in several processes at once; return what each printed.

    Args:
        program: Of Python. Prints ``ready`` and reads a line before it does anything.
        each: The arguments of each process.
    """
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for arguments in each
    ]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    ended = [process.communicate(timeout=ENDS_WITHIN_S) for process in processes]
    assert [errors for _, errors in ended] == [""] * len(ended)
    assert {process.returncode for process in processes} == {0}
    return [printed for printed, _ in ended]
