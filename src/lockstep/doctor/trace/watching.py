"""Trace this process, as long as a block runs.

Owns the form for tests and consoles; a whole program is traced from outside
(``programs``).
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager

from lockstep.doctor.findings import Finding
from lockstep.doctor.trace.recorder import Event, Recorder, install

_ONE_AT_A_TIME = threading.Lock()


class Trace:
    """What was recorded in a block."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    @property
    def events(self) -> list[Event]:
        """What was recorded so far."""
        return self._recorder.events()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the checks make of it, the worst first."""
        from lockstep.doctor.examination import examine_trace

        return examine_trace(self.events).findings


@contextmanager
def watching() -> Generator[Trace]:
    """Record what connections do that ``sqlite3.connect`` opens in the block.

    Connections that are open already are not seen; those of other libraries than
    the standard ``sqlite3`` neither. One block at a time.

    Example::

        with watching() as trace:
            run_the_application()
        assert trace.findings == ()
    """
    with _ONE_AT_A_TIME:
        recorder = Recorder()
        take_back = install(recorder)
        try:
            yield Trace(recorder)
        finally:
            recorder.is_active = False
            take_back()
