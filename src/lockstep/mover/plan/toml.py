"""The mapping file: a plan as TOML that a person reads and edits.

Owns the form of the file. Everything a person may decide stands in it: names,
types, codecs, defaults, what happens to dirt, which tables travel, what is built
behind the rows. What only the databases know (the statements for the way back)
does not; it is taken from a new inspection.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from typing import Any, cast

from lockstep.errors import InvalidPlan
from lockstep.moments.units import UNIT_OF_WORD
from lockstep.mover.codecs import codec_of
from lockstep.mover.plan.model import (
    ON_DIRT,
    PURPOSES,
    ColumnPlan,
    Plan,
    Statement,
    TablePlan,
)

HEAD = """\
# What goes where. Edit it, then: lockstep move SOURCE TARGET --plan THIS_FILE
#
# carry     false leaves a table behind
# type      the target's type; codec converts to it and back
# codec     {codecs}
# on_dirt   fail | quarantine | coerce: a row whose value does not fit; to keep
#           every value as text: type = "text", codec = "mixed_text"
"""
CODEC_HELP = (
    "integer, boolean, real, number, numeric, text, mixed_text, bytes,\n"
    f"#           text_bytes, mixed_bytes:CLASS, epoch:{'|'.join(UNIT_OF_WORD)},\n"
    "#           julian, utc, uuid_bytes,\n"
    "#           moment:YYYY-MM-DD HH:MM:SS.ffffff and other forms"
)
_COLUMN_KEYS: dict[str, type] = {
    **{"target": str, "type": str, "codec": str, "not_null": bool, "default": str},
    **{"identity": bool, "computed": str, "on_dirt": str},
}
_TABLE_KEYS: dict[str, type] = {
    **{"target": str, "carry": bool, "columns": dict, "build": list},
}
_BUILD_KEYS: dict[str, type] = {
    **{"purpose": str, "name": str, "sql": str, "fallback": str},
}
_IN_WORDS = {str: "a text", bool: "true or false", dict: "a table", list: "a list"}
_HINT = "lockstep move … --write-plan FILE writes a file that fits"
_DEFAULTS: dict[str, Any] = {
    "not_null": False,
    "default": None,
    "identity": False,
    "computed": "",
    "on_dirt": "fail",
}


def plan_to_toml(plan: Plan) -> str:
    """Return the mapping file of a plan."""
    lines = [HEAD.format(codecs=CODEC_HELP)]
    lines += [f'source = "{plan.source}"', f'target = "{plan.target}"', ""]
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
        parts = [
            f"{key} = {_text(getattr(column, key))}"
            for key in _COLUMN_KEYS
            if key not in _DEFAULTS or getattr(column, key) != _DEFAULTS[key]
        ]
        note = f"  # {_one_line(column.note)}" if column.note else ""
        lines.append(f"{_text(column.source)} = {{ {', '.join(parts)} }}{note}")
    for statement in table.statements:
        lines += ["", f"[[tables.{name}.build]]"]
        lines.append(f"purpose = {_text(statement.purpose)}")
        lines.append(f"name = {_text(statement.name)}")
        lines.append(f"sql = {_text(statement.sql)}")
        if statement.fallback:
            lines.append(f"fallback = {_text(statement.fallback)}")
    return lines


def _text(value: Any) -> str:
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
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidPlan(
            f"the mapping file cannot be read: {error}", hint=_HINT
        ) from error
    for key in ("source", "target"):
        if document.get(key, getattr(plan, key)) != getattr(plan, key):
            raise InvalidPlan(
                f"the mapping file is for {key} = {document[key]!r}, "
                f"this is {getattr(plan, key)}",
                hint=_HINT,
            )
    statements: dict[str, list[Statement]] = {}
    for name, wanted in _of_kind(document.get("tables", {}), dict, "tables").items():
        try:
            table = plan.table(name)
        except KeyError as error:
            raise InvalidPlan(
                f"the source has no table {name!r}", hint=_HINT
            ) from error
        where = f"tables.{name}"
        checked = _checked(wanted, _TABLE_KEYS, where)
        _apply_table(table, checked)
        if "build" in checked:
            statements[name] = _statements(checked["build"], f"{where}.build")
    rebuild(plan)
    for name, built in statements.items():
        plan.table(name).statements = built
    return plan


def _of_kind(value: Any, kind: type, where: str) -> Any:
    if not isinstance(value, kind):
        raise InvalidPlan(f"{where} is {_IN_WORDS[kind]}, not {value!r}", hint=_HINT)
    return value


def _checked(value: Any, keys: Mapping[str, type], where: str) -> dict[str, Any]:
    """Return a table of the file whose keys are known and hold what they should."""
    found = cast("dict[str, Any]", _of_kind(value, dict, where))
    unknown = set(found) - set(keys)
    if unknown:
        raise InvalidPlan(
            f"{where} has unknown keys {sorted(unknown)}",
            hint=f"known: {', '.join(keys)}",
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


def _apply_table(table: TablePlan, wanted: dict[str, Any]) -> None:
    table.target = wanted.get("target", table.target)
    table.carry = wanted.get("carry", table.carry)
    before = {c.source: (c.type, c.codec) for c in table.columns}
    for name, change in wanted.get("columns", {}).items():
        try:
            column = table.column(name)
        except KeyError as error:
            raise InvalidPlan(
                f"{table.source} has no column {name!r}", hint=_HINT
            ) from error
        where = f"{table.source}.{name}"
        _apply_column(column, _checked(change, _COLUMN_KEYS, where), where)
    keys = [table.column(name) for name in table.order_key]
    if any((key.type, key.codec) != before[key.source] for key in keys):
        table.order_key = []


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
