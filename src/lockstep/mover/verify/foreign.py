"""Compare databases that somebody else moved, by the names and types they have.

Owns what "the same value" means when no plan says it: the type of the column on
PostgreSQL decides how a cell of SQLite is read. A number is the same number, a
moment the same moment in the unit most of the column counts in, bytes the same
bytes; nothing is rounded and nothing is forgiven.

    SQLite value ──encode──► one canonical text ◄──decode── PostgreSQL's text
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from lockstep.migrations.sqlite.tokens import fold
from lockstep.moments.units import (
    JULIAN_DAY_OF_1970,
    SECONDS,
    UNIX,
    Unit,
    unit_of_range,
)
from lockstep.mover.codecs import Codec
from lockstep.mover.plan.model import ColumnPlan, Plan, TablePlan
from lockstep.mover.postgresql.schema import PgColumn, PgSchema, PgTable
from lockstep.mover.results import Difference, VerifyReport
from lockstep.mover.values import RawText, Value

_NUMBERS = frozenset(
    {"smallint", "integer", "bigint", "numeric", "double precision", "real", "oid"}
)
_MOMENTS = frozenset({"timestamp without time zone", "timestamp with time zone"})


class Canonical(str):
    """A text that is canonical already."""

    __slots__ = ()


class Foreign(Codec):
    """One column of a database that was moved by something else.

    Args:
        type: Its type on PostgreSQL.
        unit: What integers count where the type is a moment.
    """

    def __init__(self, type: str, unit: Unit = SECONDS) -> None:
        self._type = type
        self._unit = unit

    def encode(self, value: Any) -> str:
        """Return the canonical text of what SQLite stores."""
        if isinstance(value, Canonical):
            return value
        if self._type == "boolean":
            return _boolean(value)
        if self._type in _NUMBERS:
            return _number(value)
        if self._type == "bytea":
            return "\\x" + _bytes_of(value).hex()
        if self._type in _MOMENTS:
            return self._moment(value)
        if self._type == "uuid":
            return _uuid(value)
        if self._type in ("json", "jsonb"):
            return _document(value)
        return _text(value)

    def decode(self, text: str) -> Value:
        """Return PostgreSQL's text as the canonical one."""
        if self._type == "boolean":
            return Canonical({"t": "1", "f": "0"}.get(text, text))
        if self._type in ("double precision", "real"):
            return Canonical(_number(float(text)))
        if self._type in _NUMBERS:
            return Canonical(_number(text))
        if self._type in _MOMENTS:
            return Canonical(self._moment(text))
        if self._type in ("json", "jsonb"):
            return Canonical(_document(text))
        return Canonical(text)

    def respelled(self, text: str) -> str:
        """Return the canonical text: the type says what is the same value."""
        return self.encode(self.decode(text))

    def _moment(self, value: Any) -> str:
        if isinstance(value, int):
            return _plain(self._unit.moment(value))
        if isinstance(value, float):
            days = value - JULIAN_DAY_OF_1970
            return _plain(UNIX + timedelta(microseconds=round(days * 86_400e6)))
        text = _text(value)
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return text
        return _plain(moment)


def _plain(moment: datetime) -> str:
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat(" ", "microseconds")


def _boolean(value: Any) -> str:
    words = {"t": "1", "f": "0", "true": "1", "false": "0"}
    text = _text(value)
    return words.get(text, text)


def _number(value: Any) -> str:
    try:
        # A double is the shortest decimal that reads as the same double.
        exact = Decimal(repr(value) if isinstance(value, float) else value)
    except (InvalidOperation, ValueError, TypeError):
        return _text(value)
    if not exact.is_finite():
        return str(exact)
    normal = exact.normalize()
    return "0" if not normal else format(normal, "f")


def _bytes_of(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    return bytes(value) if isinstance(value, bytes) else _text(value).encode()


def _uuid(value: Any) -> str:
    if isinstance(value, bytes) and not isinstance(value, RawText) and len(value) == 16:
        value = value.hex()
    digits = _text(value).replace("-", "").lower()
    parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    return "-".join(parts)


def _document(value: Any) -> str:
    text = _text(value)
    try:
        document = json.loads(text, parse_float=Decimal)
    except ValueError:
        return text
    return json.dumps(document, sort_keys=True, default=lambda d: format(d, "f"))


def _text(value: Any) -> str:
    if isinstance(value, RawText):
        return "\\x" + value.hex()
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    return repr(value) if isinstance(value, float) else str(value)


class ForeignPair:
    """What two databases have in common, and what one of them lacks."""

    def __init__(self, schema: PgSchema, report: VerifyReport) -> None:
        self._schema = schema
        self._report = report
        self.codecs: dict[str, list[Codec]] = {}

    def adapt(
        self, plan: Plan, units: Mapping[tuple[str, str], tuple[int, int]]
    ) -> Plan:
        """Make a plan of SQLite's own name what the other database has.

        Args:
            plan: From the SQLite side; changed in place.
            units: Least and greatest integer, by (table, column).
        """
        for table in plan.carried():
            found = self._find(table)
            if found is None:
                table.carry = False
                self._lacks("missing table", table.source)
                continue
            table.target = found.name
            self._columns(table, found, units)
        return plan

    def _find(self, table: TablePlan) -> PgTable | None:
        for name in (table.target, table.source, fold(table.source)):
            for found in self._schema.tables:
                if found.name == name:
                    return found
        same = [
            found
            for found in self._schema.tables
            if fold(found.name) == fold(table.source)
        ]
        return same[0] if same else None

    def _columns(
        self,
        table: TablePlan,
        found: PgTable,
        units: Mapping[tuple[str, str], tuple[int, int]],
    ) -> None:
        by_name = {fold(column.name): column for column in found.columns}
        by_name |= {column.name: column for column in found.columns}
        kept: list[ColumnPlan] = []
        codecs: list[Codec] = []
        for column in table.columns:
            theirs = by_name.get(column.target) or by_name.get(fold(column.source))
            if theirs is None:
                self._lacks("missing column", table.source, column.source)
                continue
            column.target = theirs.name
            bounds = units.get((table.source, column.source), (0, 0))
            unit = unit_of_range(*bounds)
            counted = unit if unit is not None and unit.word else SECONDS
            codecs.append(Foreign(theirs.type, counted))
            kept.append(column)
            column.type = theirs.type
            if theirs.type == "real":
                column.codec = "number"  # read as eight bytes, which it is not
        table.columns = kept
        self.codecs[table.source] = codecs
        names = {column.source: column for column in kept}
        if not all(
            name in names and _sorts_alike(names[name], by_name[names[name].target])
            for name in table.order_key
        ):
            table.order_key = []

    def _lacks(self, kind: str, table: str, column: str = "") -> None:
        difference = Difference(kind, table, column=column)
        self._report.add(difference)


def _sorts_alike(mine: ColumnPlan, theirs: PgColumn) -> bool:
    if mine.codec == "integer":
        return theirs.type in ("smallint", "integer", "bigint")
    return mine.codec == "text" and theirs.type in ("text", "character varying")
