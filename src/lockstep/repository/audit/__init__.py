"""The audit trail: who changed which row, when, from what, to what.

Owns the recording of changes, in the transaction that makes them, so that a
rolled-back change leaves no entry and no entry is missing for a committed one.

    values    one column value as JSON
    images    a row before and after, and what differs
    trail     which models are recorded; entries in and out; append only
    recorder  ordinary ORM flushes in our sessions
"""

from __future__ import annotations

from lockstep.repository.audit import recorder

recorder.install()
