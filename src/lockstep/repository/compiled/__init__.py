"""The hot path: SQL and type processors compiled once, run on the raw driver.

Owns ``CompiledRepository``. Written to be read in this order:

    statement   one SQLAlchemy statement as a text and processors
    generated   the function that runs one and fetches one row
    plan        what is worked out once per model and dialect, and what cannot be
    place       the transaction: of a Session, or of a Unit
    questions   equality and order, split into text and values
    rows        what rows become: records, or instances
    reads       by key, by keys, lists, counts, pages, streams

The invariant is that of a cache: whatever is asked, the answer, the error and what
is left in the database are those of ``Repository``; only the time differs. What
cannot be compiled exactly goes to ``Repository`` itself, as does every write that
does not succeed at the first try, so errors are made in one place.
"""

from lockstep.repository.compiled.repository import CompiledRepository

__all__ = ["CompiledRepository"]
