"""What the SQLite connections of a running program really do.

    lockstep db doctor --trace -- python app.py      a program as it is
    with watching() as trace: …                      in this process, as in a test

``recorder`` runs inside the program and knows nothing of lockstep; ``programs``
starts a program with the recorder in it; ``context`` gives what was recorded to the
checks.
"""

from lockstep.doctor.trace.watching import Trace, watching

__all__ = ["Trace", "watching"]
