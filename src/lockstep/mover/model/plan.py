"""The plan of a move: every table and column, and everything that stays behind.

Owns the values that the rules fill, the mapping file shows and the copy obeys.
It knows no database.

Invariant: what the plan does not name does not happen: a loss is a row of
``losses`` before the first byte moves.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

Dialect = Literal["sqlite", "postgresql"]
OnDirt = Literal["fail", "quarantine", "coerce"]
Purpose = Literal["primary key", "unique", "index", "check", "foreign key", "view"]
ON_DIRT: tuple[OnDirt, ...] = ("fail", "quarantine", "coerce")
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
ORDERED_CODECS = frozenset({"integer", "text", "bytes"})
"""Codecs whose values sort alike on both engines, texts by their bytes."""


BROKEN_TEXT = "broken text"
"""The kind of a loss: texts of a UTF-16 file that are no UTF-16."""


@dataclass(frozen=True)
class Instead:
    """What a column could be but for a few rows, which ``quarantine`` sets aside.

    Attributes:
        rows: How many they are, of this column alone.
    """

    type: str
    codec: str
    default: str | None
    rows: int


@dataclass
class ColumnPlan:
    """How one column travels.

    Attributes:
        source, target: Its names.
        type: The target's type, as it stands in CREATE TABLE.
        codec: The conversion (``lockstep.mover.codecs``).
        default: The default in the target's SQL; None without one.
        identity: The target counts it up by itself.
        on_dirt: What happens to a row whose value does not fit ``type``.
        note: Why it is so, for people.
        generated: The source computes it (``virtual``, ``stored``); its way back
            writes no value.
        source_type: The type it had on PostgreSQL, for the way back.
        computed: The target computes it so; no value is sent.
        comment: What people wrote beside it.
        read_as: What PostgreSQL is asked for instead of ``source``.
        refuses_null: Rows hold NULL, and the target's statement takes none.
        refuses_negative_zero: Rows hold -0.0, and the target's column stores 0 of it.
        instead: Another type, for a person to choose; None where nothing is gained.
        recomputed: Cells that the target computes otherwise than they are: how many
            were named, and once they were compared which (``SetSum``); else empty.
        wanted: The type it had on PostgreSQL, until its values were tried with it.
    """

    source: str
    target: str
    type: str
    codec: str
    not_null: bool = False
    default: str | None = None
    identity: bool = False
    on_dirt: OnDirt = "fail"
    note: str = ""
    generated: str = ""
    source_type: str = ""
    computed: str = ""
    comment: str = ""
    read_as: str = ""
    refuses_null: bool = False
    refuses_negative_zero: bool = False
    instead: Instead | None = None
    recomputed: str = ""
    wanted: str = ""


@dataclass
class Statement:
    """Something built behind the rows: a key, an index, a constraint.

    Attributes:
        purpose: What it is.
        name: Its name in the target.
        sql: The statement.
        fallback: What is built instead when rows of the source contradict it,
            such as the constraint ``NOT VALID``; empty for nothing.
    """

    purpose: Purpose
    name: str
    sql: str
    fallback: str = ""

    @property
    def step(self) -> str:
        """What a journal calls it: a trigger may have the name of an index."""
        digest = hashlib.sha256(self.sql.encode("utf-8", "surrogatepass")).hexdigest()
        return f"{self.purpose} {self.name} {digest[:12]}"


@dataclass(frozen=True)
class Reference:
    """One column of a foreign key, and the column it refers to; source names."""

    column: str
    parent: str
    parent_column: str


@dataclass
class TablePlan:
    """How one table travels.

    Attributes:
        carry: Whether it travels at all.
        left: Columns that do not, by the names that SQLite or the source has for them.
        primary_key: Target names of the columns of the key; empty without one.
        order_key: Source names whose order is the same on both engines; empty
            when the rows are compared as a set.
        create: The CREATE TABLE to use as it stands; empty to make one.
        sequence: The last number given, for the identity column.
        greatest_key: The greatest number in use where AUTOINCREMENT counts: the
            target counts on behind both. None where it was not asked.
        counts_exactly: Whether the target's counter is set to ``sequence``, whatever
            SQLite has made of it while rows were written.
        rows: In the source when it was inspected; 0 where it was not.
        references: What its columns refer to, each of a key alone.
        row_bytes_max: Of the texts and blobs of the longest row; 0 when not known.
        widest_cell: Which cell of that row is the longest, in words; if it was asked.
    """

    source: str
    target: str
    columns: list[ColumnPlan]
    carry: bool = True
    primary_key: list[str] = field(default_factory=list[str])
    order_key: list[str] = field(default_factory=list[str])
    statements: list[Statement] = field(default_factory=list[Statement])
    create: str = ""
    sequence: int | None = None
    greatest_key: int | None = None
    counts_exactly: bool = False
    rows: int = 0
    comment: str = ""
    references: list[Reference] = field(default_factory=list[Reference])
    row_bytes_max: int = 0
    widest_cell: str = ""
    left: list[str] = field(default_factory=list[str])

    def column(self, source: str) -> ColumnPlan:
        """Return the plan of a column of the source.

        Raises:
            KeyError: There is none.
        """
        for column in self.columns:
            if column.source == source:
                return column
        raise KeyError(source)


@dataclass
class Loss:
    """Something of the source that the target will not have, and why.

    Attributes:
        kind: ``trigger``, ``view``, ``check``, ``default``, ``type`` …
        name: Which one.
        why: The reason, one sentence.
        is_data: Whether rows or values are left behind, not only behaviour.
        sql: Of a view, a trigger, a rule: what somebody has to write anew.
    """

    kind: str
    name: str
    why: str
    is_data: bool = False
    sql: str = ""


@dataclass
class Plan:
    """A whole move.

    Attributes:
        source, target: The dialects.
        tables: In the order they are copied.
        losses: What is not carried over.
        notices: What a person should know: renamed things, chosen types.
        way_back: Statements that make the source's own schema again.
        before: Statements of the target before the tables (types, extensions).
        pragmas: What a SQLite source says of itself: encoding, user_version, …
        views: Those that are built: the target's name, and how the source reads it.
        is_way_back: Whether it undoes an earlier move.
        is_copy: Whether both sides speak one dialect, and everything stays as it is.
        needs_models: Whether models filled the source, and only they say what its
            application stores on the other engine.
        schema: Of PostgreSQL, in which the tables were made.
    """

    source: Dialect
    target: Dialect
    tables: list[TablePlan]
    losses: list[Loss] = field(default_factory=list[Loss])
    notices: list[str] = field(default_factory=list[str])
    way_back: list[list[str]] = field(default_factory=list[list[str]])
    before: list[str] = field(default_factory=list[str])
    creates_tables: bool = True
    pragmas: dict[str, str] = field(default_factory=dict[str, str])
    views: dict[str, str] = field(default_factory=dict[str, str])
    is_way_back: bool = False
    is_copy: bool = False
    needs_models: bool = False
    schema: str = "public"

    @property
    def leaves_no_trace(self) -> bool:
        """Whether a verified target keeps no journal: it is what the source is.

        Where something was left behind, the journal says so.
        """
        is_whole = all(table.carry and not table.left for table in self.tables)
        is_whole = is_whole and not any(loss.is_data for loss in self.losses)
        return is_whole and self.keeps_statements

    @property
    def is_rekeyed(self) -> bool:
        """Whether integer keys became UUIDs."""
        codecs = (column.codec for table in self.tables for column in table.columns)
        return any(codec.startswith("uuid7") for codec in codecs)

    @property
    def keeps_statements(self) -> bool:
        """Whether tables are made by statements that no mapping file changes."""
        return self.is_way_back or self.is_copy

    def carried(self) -> Iterator[TablePlan]:
        """Yield the tables that travel."""
        return (table for table in self.tables if table.carry)

    def table(self, source: str) -> TablePlan:
        """Return the plan of a table of the source.

        Raises:
            KeyError: There is none.
        """
        for table in self.tables:
            if table.source == source:
                return table
        raise KeyError(source)

    def to_json(self) -> dict[str, Any]:
        """Return it as an object that ``from_json`` and ``--json`` carry."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Plan:
        """Build a plan from what ``to_json`` gave."""
        tables: Any = [
            TablePlan(
                **_with(
                    table,
                    columns=[_column(column) for column in table["columns"]],
                    statements=[Statement(**item) for item in table["statements"]],
                    references=[Reference(**item) for item in table["references"]],
                )
            )
            for table in document["tables"]
        ]
        losses: Any = [Loss(**loss) for loss in document["losses"]]
        return cls(**_with(document, tables=tables, losses=losses))

    def digest(self) -> str:
        """Return a text that is another one when anything of the move is."""
        document = self.to_json()
        for ignored in ("notices", "losses", "schema"):
            document.pop(ignored)
        text = json.dumps(document, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def _column(document: dict[str, Any]) -> ColumnPlan:
    instead = document["instead"]
    found = None if instead is None else Instead(**instead)
    return ColumnPlan(**_with(document, instead=found))


def _with(document: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return {**document, **parts}
