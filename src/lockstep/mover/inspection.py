"""``inspect``: what lies in a database, and what a move will meet.

Owns the findings: dirt that no schema shows. The plan's own losses are told too,
because what the other engine lacks is what a person asks about first.
"""

from __future__ import annotations

import sqlite3
from codecs import getincrementaldecoder
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lockstep.engine.urls import DatabaseUrl
from lockstep.migrations.sqlite.tokens import quote
from lockstep.moments.found import SQLITE_COUNTS, MomentsFound, sqlite_kind
from lockstep.moments.names import is_time_type
from lockstep.moments.units import Unit
from lockstep.mover.asking import rows_of
from lockstep.mover.connecting import open_sqlite_source
from lockstep.mover.failures import told
from lockstep.mover.model.declared import may_be_moment
from lockstep.mover.model.plan import Plan, TablePlan
from lockstep.mover.model.profile import ColumnProfile
from lockstep.mover.model.results import (
    Finding,
    Inspection,
    Progress,
    ProgressCallback,
    silent,
)
from lockstep.mover.model.sqlite import Column, Table
from lockstep.mover.model.values import PLACEHOLDERS, RawText, Value, shown, text_of
from lockstep.mover.plan.times import unit_of
from lockstep.mover.sqlite.rows import decoding
from lockstep.schema.types.portable import quoted

if TYPE_CHECKING:
    from lockstep.mover.sqlite.source import SqliteSource

EXAMPLES_MAX = 3
EXAMPLE_BYTES_MAX = 1_000
"""More than is shown of one."""
_HAS_NUL = "typeof({}) = 'text' AND instr({}, char(0)) > 0"
_IS_NO_UTF8 = "typeof({}) = 'text' AND lockstep_is_no_utf8(CAST({} AS BLOB))"


def inspect_database(
    url: str | Path, on_progress: ProgressCallback = silent, *, check: bool = True
) -> Inspection:
    """Look at every value of a database; nothing of it is changed.

    Args:
        url: A SQLite file, or the URL of a libSQL server or of PostgreSQL.
        on_progress: Told about every table, about long ones more than once.
        check: Let SQLite check all of a file, its indexes too; otherwise its pages
            only, which is quick.

    Raises:
        LockstepError: It cannot be read.
    """
    parsed = DatabaseUrl.parse(url)
    with told("make room for temporary files"):
        if parsed.dialect_name == "postgresql":
            return _inspect_postgresql(parsed, on_progress)
        source = open_sqlite_source(parsed)
        try:
            source.profiles(on_progress)  # more than a plan must know
            if check:
                on_progress(Progress("inspect", "pages and indexes", 0))
                source.check(is_full=True)
            return _Report(source, source.make_plan(silent)).inspection(str(parsed))
        finally:
            source.close()


def _inspect_postgresql(url: DatabaseUrl, on_progress: ProgressCallback) -> Inspection:
    from lockstep.mover.postgresql.source import PostgresqlSource

    source = PostgresqlSource(url)
    try:
        plan = source.make_plan(on_progress)
        tables: list[dict[str, Any]] = []
        for table in source.schema.tables:
            name = table.full_name
            planned = next((t for t in plan.tables if t.source == name), None)
            tables.append(
                {
                    "name": name,
                    "kind": "table",
                    "rows": planned.rows if planned else 0,
                    "columns": [
                        {
                            "name": column.name,
                            "declared": column.full_type,
                            "not_null": column.not_null,
                            "default": column.default,
                            "becomes": planned.column(column.name).type
                            if planned
                            else "",
                        }
                        for column in table.columns
                    ],
                    "keys": [key.definition for key in table.keys],
                    "indexes": [index.definition for index in table.indexes],
                }
            )
        objects = [
            {"kind": item.kind, "name": item.name, "sql": "", "schema": item.schema}
            for item in source.schema.others
        ]
        return Inspection(
            str(url),
            "postgresql",
            tables,
            _losses(plan),
            objects,
            [*source.notices, *plan.notices],
        )
    finally:
        source.close()


def _losses(plan: Plan) -> list[Finding]:
    return [
        Finding(f"not carried: {loss.kind}", loss.name, loss.why)
        for loss in plan.losses
        if loss.kind != "damage"
    ]


class _Report:
    """Collects what is known about one SQLite database."""

    def __init__(self, source: SqliteSource, plan: Plan) -> None:
        self._source = source
        self._plan = plan
        self._findings: list[Finding] = []
        lines = [loss.why for loss in plan.losses if loss.kind == "damage"]
        self._damage = [Finding("damage", "the file", line) for line in lines]

    def inspection(self, url: str) -> Inspection:
        tables = [self._table(table) for table in self._source.schema.tables]
        schema = self._source.schema
        objects = [
            {"kind": kind, "name": name, "sql": sql}
            for kind, name, sql in schema.objects
            if kind != "table"
        ]
        path = self._source.path
        return Inspection(
            url,
            "libsql" if path is None else "sqlite",
            tables,
            self._damage + self._findings + _losses(self._plan),
            objects,
            list(self._plan.notices),
            {
                "encoding": schema.encoding,
                "has_wal": path is not None and Path(f"{path}-wal").exists(),
                "missing_collations": list(self._source.missing_collations),
                **self._plan.pragmas,
            },
        )

    def _table(self, table: Table) -> dict[str, Any]:
        profile = self._source.profiles().get(table.name)
        planned = next(
            (item for item in self._plan.tables if item.source == table.name), None
        )
        document: dict[str, Any] = {
            "name": table.name,
            "kind": table.kind,
            "module": table.module,
            "rows": profile.rows if profile else None,
            "without_rowid": table.without_rowid,
            "strict": table.strict,
            "rowid_alias": table.rowid_alias,
            "autoincrement": table.autoincrement,
            "sequence": table.sequence,
            "key": table.key,
            "problem": table.problem,
            "columns": [],
            "foreign_keys": [
                f"({', '.join(key.columns)}) → {key.parent} ({', '.join(key.referred)})"
                for key in table.foreign_keys
            ],
            "checks": [expression for _, expression in table.checks],
            "indexes": [
                {
                    "name": index.name,
                    "unique": index.unique,
                    "partial": index.partial,
                    "on_expression": any(p.column is None for p in index.parts),
                    "sql": index.sql or "",
                }
                for index in table.indexes
            ],
        }
        if profile is not None:
            for column in table.columns:
                stored = profile.column(column.name)
                document["columns"].append(_column(column, stored, planned))
                self._look(table, column, stored)
        return document

    def _look(self, table: Table, column: Column, stored: ColumnProfile) -> None:
        where = f"{table.name}.{column.name}"
        classes = stored.classes
        if len(classes) > 1 and not _is_number_column(column, classes):
            rare = min(sorted(classes), key=lambda name: stored.counts[name])
            found = ", ".join(f"{stored.counts[c]} {c}" for c in sorted(classes))
            examples = self._examples(table, column, f"typeof({{}}) = '{rare}'")
            self._add("mixed types", where, found, stored.counts[rare], examples)
        if stored.invalid_text:
            message = "texts that are not valid UTF-8"
            examples = self._broken_texts(table, column)
            self._add("invalid text", where, message, stored.invalid_text, examples)
        if stored.nul_text:
            message = "texts with a NUL character, which PostgreSQL cannot hold"
            examples = self._examples(table, column, _HAS_NUL)
            self._add("NUL in text", where, message, stored.nul_text, examples)
        if stored.placeholder_text:
            words = ", ".join(sorted(map(quoted, PLACEHOLDERS)))
            message = "texts such as 'nan' or 'NULL' that a program wrote for nothing"
            examples = self._examples(table, column, f"{{}} IN ({words})")
            self._add("placeholder", where, message, stored.placeholder_text, examples)
        if column.not_null and stored.counts["null"]:
            message = "NULL in a column that is declared NOT NULL"
            self._add("null", where, message, stored.counts["null"])
        self._look_at_times(table, column, stored, where)

    def _look_at_times(
        self, table: Table, column: Column, stored: ColumnProfile, where: str
    ) -> None:
        unit = unit_of(column, stored)
        if unit is not None:
            message = f"moments in {unit.name}{_span(unit, stored)}"
            self._add("epoch", where, message, stored.counts["integer"])
            return
        is_time, classes = is_time_type(column.declared), stored.classes
        # What has a form becomes what it was declared as.
        if stored.forms or not classes or not (is_time or may_be_moment(column)):
            return
        found = self._moments(table, column)
        is_mixed = len(found.units) > 1
        if is_time and classes == {"text"}:
            told = f": {found.in_words()}" if found.counts else ""
            message = f"texts that are not all moments in one form{told}"
            examples = self._examples(
                table,
                column,
                "{} IS NOT NULL AND (date({}) IS NULL "
                "OR {} < '0001-01-01' OR {} > '9999-12-31')",
            )
            self._add("dates", where, message, 0, examples)
        elif is_mixed or len(found.iso_spellings) > 1:
            message = f"moments written in different ways: {found.in_words()}"
            self._add("mixed epochs", where, message)
        elif is_time and "text" in classes and len(classes) > 1:
            message = "moments written in different ways: numbers and texts"
            self._add("mixed epochs", where, message)
        elif found.numeric_units:
            (kind,) = found.numeric_units
            self._add("epoch", where, f"moments in {kind}", found.counts[kind])

    def _moments(self, table: Table, column: Column) -> MomentsFound:
        """Count the values that are moments, by the unit or spelling they are in."""
        row = sqlite_kind(quote(column.name))
        # With a LIMIT, SQLite looks at a value once, and not for each of the counts.
        ((*counts,),) = rows_of(
            self._source.connection,
            f"SELECT {', '.join(SQLITE_COUNTS)} "
            f"FROM (SELECT {row} FROM {quote(table.name)} LIMIT -1)",
        )
        found = MomentsFound()
        found.add(counts)
        return found.without_other_numbers()

    def _broken_texts(self, table: Table, column: Column) -> list[str]:
        connection = self._source.connection
        if not isinstance(connection, sqlite3.Connection):
            return []  # a server lends no function
        connection.create_function(
            "lockstep_is_no_utf8", 1, _is_no_utf8, deterministic=True
        )
        return self._examples(table, column, _IS_NO_UTF8)

    def _examples(self, table: Table, column: Column, condition: str) -> list[str]:
        name = quote(column.name)
        key = [table.rowid_name] if table.rowid_name else table.key
        shown_key = (
            " || ', ' || ".join(f"quote({quote(name)})" for name in key) or "'?'"
        )
        connection = self._source.connection
        # As bytes, because a text may be no text; its class says which it was.
        with decoding(connection, is_clean=False):
            rows = rows_of(
                connection,
                f"SELECT {shown_key}, CASE WHEN typeof({name}) IN ('text', 'blob') "
                f"THEN substr(CAST({name} AS BLOB), 1, {EXAMPLE_BYTES_MAX}) "
                f"ELSE {name} END, typeof({name}) = 'text' "
                f"FROM {quote(table.name)} "
                f"WHERE {condition.replace('{}', name)} LIMIT {EXAMPLES_MAX}",
            )
        return [
            f"row {name}: {shown(_text_of(value) if is_text else value)}"
            for name, value, is_text in rows
        ]

    def _add(
        self,
        kind: str,
        where: str,
        message: str,
        count: int = 0,
        examples: list[str] | None = None,
    ) -> None:
        self._findings.append(
            Finding(kind, where, message, count, tuple(examples or ()))
        )


def _is_no_utf8(stored: bytes) -> bool:
    return isinstance(text_of(stored), RawText)


def _text_of(stored: bytes) -> Value:
    """Return the beginning of a text, at whose end a character may be parted."""
    if len(stored) == EXAMPLE_BYTES_MAX:
        with suppress(UnicodeDecodeError):
            return getincrementaldecoder("utf-8")().decode(stored)
    return text_of(stored)


def _span(unit: Unit, stored: ColumnProfile) -> str:
    """Return the first and the last day, by which a person judges the unit."""
    low, high = stored.integer_positive_min, stored.integer_max
    if not unit.word or low is None or high is None:
        return ""
    days = [f"{unit.moment(number):%Y-%m-%d}" for number in (low, high)]
    return f", {' to '.join(dict.fromkeys(days))}"


def _is_number_column(column: Column, classes: set[str]) -> bool:
    return classes == {"integer", "real"} and column.affinity == "numeric"


def _column(
    column: Column, stored: ColumnProfile, planned: TablePlan | None
) -> dict[str, Any]:
    document = stored.to_json()
    document |= {
        "declared": column.declared,
        "affinity": column.affinity,
        "not_null": column.not_null,
        "default": column.default,
        "generated": column.generated,
        "collation": column.collation,
        "becomes": "",
    }
    if planned is not None:
        document["becomes"] = planned.column(column.name).type
    return document
