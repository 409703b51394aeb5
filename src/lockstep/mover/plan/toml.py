"""The mapping file: a plan as TOML that a person reads and edits.

Owns the form of the file. Everything a person may decide stands in it: names,
types, codecs, defaults, what happens to dirt, which tables travel, what is built
behind the rows. What only the databases know (the statements for the way back)
does not; it is taken from a new inspection.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from lockstep.errors import InvalidPlan
from lockstep.migrations.sqlite.tokens import fold
from lockstep.moments.units import UNIT_OF_WORD
from lockstep.mover.codecs import codec_of
from lockstep.mover.model.plan import (
    ON_DIRT,
    PURPOSES,
    ColumnPlan,
    Dialect,
    Instead,
    Loss,
    Plan,
    Statement,
    TablePlan,
)
from lockstep.mover.plan.mapping_lines import MappingLines
from lockstep.mover.plan.rebuilt import Built
from lockstep.schema.names import IDENTIFIER_BYTES_MAX
from lockstep.wording import counted

BYTE_ORDER_MARK = "\ufeff"
"""What some editors put before a text."""

HEAD = """\
# What goes where. Edit it, then: lockstep move SOURCE TARGET --plan THIS_FILE
#
# complete  true: a table or column of the source that is not named is an error;
#           without this line it goes as an inspection plans it
# carry     false leaves a table behind, or a column
# target    the name there; what is built follows it, as long as its sql is unedited
# type      the target's type; codec converts to it and back
# codec     {codecs}
# on_dirt   fail | quarantine | coerce: a row whose value does not fit; to keep
#           every value as text: type = "text", codec = "mixed_text"
#
# A line after "#" below a column is another way for it, should few rows not matter.
"""
CODEC_HELP = (
    "integer, boolean, real, number, numeric, text, mixed_text, bytes,\n"
    f"#           text_bytes, mixed_bytes:CLASS, epoch:{'|'.join(UNIT_OF_WORD)},\n"
    "#           julian, utc, uuid_bytes, uuid_hex, scaled:DIGITS,\n"
    "#           moment:YYYY-MM-DD HH:MM:SS.ffffff and other forms"
)
_COLUMN_KEYS: dict[str, type] = {
    **{"target": str, "type": str, "codec": str, "not_null": bool, "default": str},
    **{"identity": bool, "computed": str, "on_dirt": str},
}
_COLUMN_WISHES: dict[str, type] = {**_COLUMN_KEYS, "carry": bool}
_FILE_KEYS: dict[str, type] = {
    **{"source": str, "target": str, "complete": bool, "tables": dict},
}
_TABLE_KEYS: dict[str, type] = {
    **{"target": str, "carry": bool, "columns": dict, "build": list},
}
_BUILD_KEYS: dict[str, type] = {
    **{"purpose": str, "name": str, "sql": str, "fallback": str},
}
_FOUR_BYTES = ("real", "float4")
_ROUNDED = (
    "{} has four bytes: 89.99 is 89.98999786376953 in it, and shown as 89.99; "
    "double precision keeps each value"
)
_IN_WORDS = {str: "a text", bool: "true or false", dict: "a table", list: "a list"}
_HINT = "lockstep move … --write-plan FILE writes a file that fits"
_DEFAULTS: dict[str, Any] = {
    "not_null": False,
    "default": None,
    "identity": False,
    "computed": "",
    "on_dirt": "fail",
}
_OF_STATEMENTS = ("target", "type", *(key for key in _DEFAULTS if key != "on_dirt"))
"""What a table's own statement says of a column."""


def plan_to_toml(plan: Plan) -> str:
    """Return the mapping file of a plan.

    Raises:
        InvalidPlan: Keys become UUIDs in it, which no line of a mapping file says.
    """
    if plan.is_rekeyed:
        raise InvalidPlan(
            "a mapping file says nothing of keys that become UUIDs",
            hint="write it without --rekey; --plan FILE and --rekey go together",
        )
    lines = [HEAD.format(codecs=CODEC_HELP)]
    lines += [f'source = "{plan.source}"', f'target = "{plan.target}"']
    lines += ["complete = true", ""]
    for notice in plan.notices:
        lines.append(f"# note: {_one_line(notice)}")
    for loss in plan.losses:
        text = _one_line(f"{loss.kind} {loss.name}: {loss.why}")
        lines.append(f"# not carried over: {text}")
    for table in plan.tables:
        lines += _table_lines(table)
    return "\n".join(lines) + "\n"


def _table_lines(table: TablePlan) -> list[str]:
    name = _text(table.source)
    lines = ["", f"[tables.{name}]  # {table.rows} rows"]
    lines.append(f"target = {_text(table.target)}")
    lines.append(f"carry = {_text(table.carry)}")
    lines += ["", f"[tables.{name}.columns]"]
    for column in table.columns:
        lines.append(_column_line(column))
        if column.instead is not None:
            lines.append(f"# {_column_line(_changed(column, column.instead))}")
    lines += [f"{_text(left)} = {{ carry = false }}" for left in table.left]
    for statement in table.statements:
        lines += ["", f"[[tables.{name}.build]]"]
        lines.append(f"purpose = {_text(statement.purpose)}")
        lines.append(f"name = {_text(statement.name)}")
        lines.append(f"sql = {_text(statement.sql)}")
        if statement.fallback:
            lines.append(f"fallback = {_text(statement.fallback)}")
    return lines


def _column_line(column: ColumnPlan) -> str:
    parts = [
        f"{key} = {_text(getattr(column, key))}"
        for key in _COLUMN_KEYS
        if key not in _DEFAULTS or getattr(column, key) != _DEFAULTS[key]
    ]
    note = f"  # {_one_line(column.note)}" if column.note else ""
    return f"{_text(column.source)} = {{ {', '.join(parts)} }}{note}"


def _changed(column: ColumnPlan, instead: Instead) -> ColumnPlan:
    """Return the column as a person may want it, whom a few rows do not matter."""
    rows = counted(instead.rows, "row")
    return replace(
        column,
        type=instead.type,
        codec=instead.codec,
        default=instead.default,
        on_dirt="quarantine",
        note=f"instead: {rows} of it to the quarantine file",
    )


def _text(value: Any) -> str:
    is_sql = isinstance(value, str) and '"' in value and value.isprintable()
    if is_sql and "'" not in value:
        return f"'{value}'"
    # A JSON string is a TOML basic string, apart from DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def apply_toml(text: str, plan: Plan, rebuild: Callable[[Plan], None]) -> Plan:
    """Return a fresh plan as the mapping file wants it.

    Args:
        text: The file.
        plan: What the inspection of the source makes now; changed in place.
        rebuild: Makes anew what hangs on the names and types of columns; what
            the file says about it comes afterwards.

    Raises:
        InvalidPlan: The file is no TOML, names what is not there, or says of
            something what cannot be said of it.
    """
    text = text.removeprefix(BYTE_ORDER_MARK)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidPlan(
            f"the mapping file cannot be read: {error}", hint=_HINT
        ) from error
    _checked(document, _FILE_KEYS, "the mapping file")
    lines = MappingLines(text)
    for key in ("source", "target"):
        if document.get(key, getattr(plan, key)) != getattr(plan, key):
            raise InvalidPlan(
                f"the mapping file is for {key} = {document[key]!r}, "
                f"this is {getattr(plan, key)}",
                hint=_HINT,
            )
    tables = _of_kind(document.get("tables", {}), dict, "tables")
    _refuse_left_behind(tables, plan)
    _refuse_unknown(tables, [t.source for t in plan.tables], "the source has no table")
    before = Built.of(plan)
    wanted: dict[str, list[Statement]] = {}
    for name, change in tables.items():
        with lines.told(name):
            where = f"tables.{name}"
            checked = _checked(change, _TABLE_KEYS, where)
            _apply_table(plan, plan.table(name), checked, lines)
            if "build" in checked:
                wanted[name] = _statements(checked["build"], f"{where}.build")
    if document.get("complete", False):
        _refuse_unnamed(tables, plan)
    _refuse_one_name_twice(plan, lines)
    asked = Built.of(plan)
    rebuild(plan)
    before.keep_edited(plan, asked, wanted)
    return plan


def _refuse_left_behind(found: Iterable[str], plan: Plan) -> None:
    """Raise ``InvalidPlan`` for a table of the source that cannot travel at all."""
    known = {table.source for table in plan.tables}
    reasons = {loss.name: loss.why for loss in plan.losses if "table" in loss.kind}
    for name in found:
        if name not in known and name in reasons:
            raise InvalidPlan(
                f"{name} stays behind: {reasons[name]}",
                hint="leave it out of the mapping file",
            )


def _refuse_unknown(found: Iterable[str], known: Sequence[str], what: str) -> None:
    for name in found:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else _HINT
            raise InvalidPlan(f"{what} {name!r}", hint=hint)


def _refuse_unnamed(tables: dict[str, Any], plan: Plan) -> None:
    """Raise ``InvalidPlan`` for what came into the source after the file was made."""
    for table in plan.tables:
        if table.source not in tables:
            raise InvalidPlan(
                f"the mapping file does not name the table {table.source!r}",
                hint="carry = false leaves one behind; without complete = true it goes "
                "as an inspection plans it",
            )
        named = tables[table.source].get("columns", {})
        for column in table.columns:
            if column.source not in named:
                raise InvalidPlan(
                    f"the mapping file does not name the column {column.source!r} of "
                    f"{table.source!r}",
                    hint="carry = false leaves one behind; without complete = true it "
                    "goes as an inspection plans it",
                )


def _refuse_one_name_twice(plan: Plan, lines: MappingLines) -> None:
    tables: set[str] = set()
    for table in plan.carried():
        with lines.told(table.source):
            _give(tables, table.target, plan.target, table.source)
        columns: set[str] = set()
        for column in table.columns:
            with lines.told(table.source, column.source):
                where = f"{table.source}.{column.source}"
                _give(columns, column.target, plan.target, where)


def _give(taken: set[str], name: str, target: Dialect, where: str) -> None:
    key = fold(name) if target == "sqlite" else name
    if key in taken:
        raise InvalidPlan(
            f"{where} becomes {name!r}, which another one becomes too",
            hint="give each its own name",
        )
    if not name or "\0" in name:
        raise InvalidPlan(f"{where} becomes {name!r}, which is no name", hint=_HINT)
    size = len(name.encode())
    if target == "postgresql" and size > IDENTIFIER_BYTES_MAX:
        raise InvalidPlan(
            f"{where} becomes {name!r}: a name of PostgreSQL has at most "
            f"{IDENTIFIER_BYTES_MAX} bytes, this has {size}",
            hint="shorten it",
        )
    taken.add(key)


def _of_kind(value: Any, kind: type, where: str) -> Any:
    if not isinstance(value, kind):
        raise InvalidPlan(f"{where} is {_IN_WORDS[kind]}, not {value!r}", hint=_HINT)
    return value


def _checked(value: Any, keys: Mapping[str, type], where: str) -> dict[str, Any]:
    """Return a table of the file whose keys are known and hold what they should."""
    found = cast("dict[str, Any]", _of_kind(value, dict, where))
    unknown = sorted(set(found) - set(keys))
    if unknown:
        near = difflib.get_close_matches(unknown[0], list(keys), n=1)
        meant = f"did you mean {near[0]!r}? " if near else ""
        raise InvalidPlan(
            f"{where} has unknown keys {unknown}",
            hint=f"{meant}known: {', '.join(keys)}",
        )
    for key, held in found.items():
        _of_kind(held, keys[key], f"{where}.{key}")
    return found


def _statements(build: list[Any], where: str) -> list[Statement]:
    statements: list[Statement] = []
    for item in build:
        found = _checked(item, _BUILD_KEYS, where)
        missing = {"purpose", "name", "sql"} - set(found)
        if missing:
            raise InvalidPlan(f"{where} lacks {sorted(missing)}", hint=_HINT)
        if found["purpose"] not in PURPOSES:
            raise InvalidPlan(f"{where}: purpose is one of {', '.join(PURPOSES)}")
        statements.append(Statement(**found))
    return statements


def _apply_table(
    plan: Plan, table: TablePlan, wanted: dict[str, Any], lines: MappingLines
) -> None:
    target = wanted.get("target", table.target)
    if plan.keeps_statements and target != table.target:
        raise _stated(table.source, f"target = {target!r}")
    table.target = target
    table.carry = wanted.get("carry", table.carry)
    if not table.carry:
        loss = Loss("table", table.source, "the mapping file leaves it behind")
        plan.losses.append(loss)
    before = {c.source: (c.type, c.codec) for c in table.columns}
    key = [c.source for c in table.columns if c.target in table.primary_key]
    key += table.order_key
    known = [column.source for column in table.columns]
    for name, change in wanted.get("columns", {}).items():
        with lines.told(table.source, name):
            _refuse_unknown([name], known, f"{table.source} has no column")
            where = f"{table.source}.{name}"
            checked = _checked(change, _COLUMN_WISHES, where)
            if plan.keeps_statements:
                _refuse_restated(table.column(name), checked, where)
            if not checked.pop("carry", True):
                _leave(plan, table, name, key)
                continue
            column = table.column(name)
            was = column.type
            _apply_column(column, checked, where)
            if column.type in _FOUR_BYTES and was not in _FOUR_BYTES:
                loss = Loss("type", where, _ROUNDED.format(column.type), is_data=True)
                plan.losses.append(loss)
    keys = [table.column(name) for name in table.order_key]
    if any((key.type, key.codec) != before[key.source] for key in keys):
        table.order_key = []


def _stated(where: str, wish: str) -> InvalidPlan:
    return InvalidPlan(
        f"{where}: {wish} would do nothing, because the table is made by the "
        "statement that it had",
        hint="leave it out, and change the target afterwards",
    )


def _refuse_restated(column: ColumnPlan, wanted: dict[str, Any], where: str) -> None:
    """Raise ``InvalidPlan`` for what a table's own statement says otherwise."""
    if not wanted.get("carry", True):
        raise _stated(where, "carry = false")
    for key in _OF_STATEMENTS:
        if key in wanted and wanted[key] != getattr(column, key):
            raise _stated(where, f"{key} = {_text(wanted[key])}")


def _leave(plan: Plan, table: TablePlan, name: str, key: Sequence[str]) -> None:
    """Take a column out of a table.

    Raises:
        InvalidPlan: Rows could not be told apart without it, or no column is left.
    """
    where = f"{table.source}.{name}"
    if name in key:
        raise InvalidPlan(
            f"{where} is of the primary key, without which no row is known",
            hint="keep it, or leave the whole table behind: carry = false",
        )
    if len(table.columns) == 1:
        raise InvalidPlan(
            f"{where} is the last column of the table that is carried",
            hint="leave the whole table behind: carry = false",
        )
    table.columns.remove(table.column(name))
    table.left.append(name)
    plan.losses.append(Loss("column", where, "the mapping file leaves it behind"))


def _apply_column(column: ColumnPlan, change: dict[str, Any], where: str) -> None:
    for key, value in change.items():
        setattr(column, key, value)
    for key, value in _DEFAULTS.items():
        if key not in change and key != "on_dirt":
            setattr(column, key, value)
    try:
        codec_of(column.codec)
    except ValueError as error:
        raise InvalidPlan(f"{where}: {error}") from error
    if column.on_dirt not in ON_DIRT:
        raise InvalidPlan(
            f"{where}: on_dirt is one of {', '.join(ON_DIRT)}",
            hint='leave it out for "fail"',
        )
    if column.type == "jsonb" and column.codec == "text":
        raise InvalidPlan(
            f"{where}: jsonb writes a document in its own way, so that the text "
            "could not be compared",
            hint="type = 'json' keeps the text; ALTER TABLE … TYPE jsonb afterwards",
        )
