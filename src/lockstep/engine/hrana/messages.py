"""What a client and a server say to each other, as values.

Owns the structures of Hrana that this driver uses; their spelling on the wire is
the codecs'. A value of SQL is a Python value: None, int, float, str, bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

Value: TypeAlias = int | float | str | bytes | None
Row: TypeAlias = tuple[Value, ...]

INTEGER_MIN, INTEGER_MAX = -(2**63), 2**63 - 1


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement with its values; ``sql_id`` names a stored text."""

    sql: str | None
    args: tuple[Value, ...] = ()
    named_args: tuple[tuple[str, Value], ...] = ()
    want_rows: bool = True
    sql_id: int | None = None


@dataclass(frozen=True, slots=True)
class StepOk:
    """True when step ``step`` was executed and succeeded."""

    step: int


@dataclass(frozen=True, slots=True)
class StepFailed:
    """True when step ``step`` was executed and failed."""

    step: int


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of ``condition``."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class All:
    """True when each of ``conditions`` is."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class IsAutocommit:
    """True when no transaction is open on the stream. Since Hrana 3."""


Condition: TypeAlias = StepOk | StepFailed | Not | All | IsAutocommit


@dataclass(frozen=True, slots=True)
class Step:
    """A statement of a batch, executed if ``condition`` (None: always) is true."""

    statement: Statement
    condition: Condition | None = None


@dataclass(frozen=True, slots=True)
class Execute:
    """Run one statement."""

    statement: Statement


@dataclass(frozen=True, slots=True)
class Batch:
    """Run steps one after another."""

    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Sequence:
    """Run statements that are separated by semicolons; rows are ignored."""

    sql: str


@dataclass(frozen=True, slots=True)
class Describe:
    """Compile a statement, do not run it."""

    sql: str


@dataclass(frozen=True, slots=True)
class StoreSql:
    """Keep a text on the stream, so that statements can name it by number."""

    sql_id: int
    sql: str


@dataclass(frozen=True, slots=True)
class CloseSql:
    """Forget a stored text."""

    sql_id: int


@dataclass(frozen=True, slots=True)
class GetAutocommit:
    """Ask whether no transaction is open. Since Hrana 3."""


@dataclass(frozen=True, slots=True)
class Close:
    """Close the stream; an open transaction is rolled back."""


Request: TypeAlias = (
    Execute | Batch | Sequence | Describe | StoreSql | CloseSql | GetAutocommit | Close
)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a result; the type is the one its table declares."""

    name: str
    decltype: str | None = None


@dataclass(slots=True)
class ResultSet:
    """What a statement gave.

    Attributes:
        holds_lost_numbers: The encoding could not carry a float of it (infinity
            in JSON); such a value stands as None, and the rows must not be used.
        replication_index: How many pages the server had ever committed when it
            answered; None where it does not say.
    """

    columns: tuple[Column, ...] = ()
    rows: list[Row] = field(default_factory=list[Row])
    affected_row_count: int = 0
    last_insert_rowid: int | None = None
    holds_lost_numbers: bool = False
    replication_index: int | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """The server's ``Error`` structure."""

    message: str
    code: str | None = None


@dataclass(frozen=True, slots=True)
class BatchResult:
    """Per step what it gave: a result, a failure, or None when it was skipped."""

    steps: tuple[ResultSet | Failure | None, ...]


@dataclass(frozen=True, slots=True)
class Description:
    """What a server knows of a statement without running it."""

    parameters: tuple[str | None, ...]
    columns: tuple[Column, ...]
    is_explain: bool
    is_readonly: bool


@dataclass(frozen=True, slots=True)
class Done:
    """A request that answers with nothing (close, sequence, store_sql, …)."""


@dataclass(frozen=True, slots=True)
class Autocommit:
    """The answer to ``GetAutocommit``."""

    is_autocommit: bool


Result: TypeAlias = ResultSet | BatchResult | Description | Done | Autocommit | Failure


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a pipeline: one result per request, in order."""

    baton: str | None
    base_url: str | None
    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True)
class StepBegin:
    """A step of a cursor's batch begins to give rows."""

    step: int
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class StepEnd:
    """The step that began last has given all its rows."""


@dataclass(frozen=True, slots=True)
class StepError:
    """A step failed; ``step`` is None where the whole batch did."""

    step: int | None
    failure: Failure


Entry: TypeAlias = StepBegin | StepEnd | StepError | Row | None
"""A piece of a cursor's answer; None for one that this driver has no use for."""
