"""Which engine a database should be on: measured, stated, decided, in that order.

    file | server ──► measuring ──► Facts ─┐
    the user ─────────────────────► Stated ┴─► decision (a table of rules) ──► Advice

Invariant: the decision is a pure function of the two; what is not measured and not
stated is said to be unknown and decides nothing.
"""

from lockstep.doctor.advice.decision import Advice, Judgement, decide
from lockstep.doctor.advice.measuring import measure
from lockstep.doctor.advice.situation import Facts, Stated, Verdict

__all__ = ["Advice", "Facts", "Judgement", "Stated", "Verdict", "decide", "measure"]
