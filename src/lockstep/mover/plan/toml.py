"""The mapping file: a plan as TOML that a person reads and edits.

Owns the form of the file. Everything a person may decide stands in it: names,
types, codecs, defaults, what happens to dirt, which tables travel, what is built
behind the rows. What only the databases know (the statements for the way back)
does not; it is taken from a new inspection.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from dataclasses import fields
from typing import Any, cast

from lockstep.errors import InvalidPlan
from lockstep.mover.codecs import codec_of
from lockstep.mover.plan.model import (
    ON_DIRT,
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
# on_dirt   fail | quarantine | coerce: a row whose value does not fit
"""
CODEC_HELP = (
    "integer, boolean, real, number, numeric, text, mixed_text, bytes,\n"
    "#           text_bytes, mixed_bytes:CLASS, epoch:s|ms|us, julian, utc, uuid_bytes"
)
_COLUMN_KEYS = (
    *("target", "type", "codec", "not_null", "default", "identity", "computed"),
    "on_dirt",
)
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
        InvalidPlan: The file is no TOML, or names what is not there.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidPlan(f"the mapping file cannot be read: {error}") from error
    for key in ("source", "target"):
        if document.get(key, getattr(plan, key)) != getattr(plan, key):
            raise InvalidPlan(
                f"the mapping file is for {key} = {document[key]!r}, "
                f"this is {getattr(plan, key)}"
            )
    for name, wanted in _mapping(document.get("tables", {}), "tables").items():
        try:
            table = plan.table(name)
        except KeyError as error:
            raise InvalidPlan(f"the source has no table {name!r}") from error
        _apply_table(table, _mapping(wanted, name))
    rebuild(plan)
    for name, wanted in _mapping(document.get("tables", {}), "tables").items():
        if "build" in wanted:
            plan.table(name).statements = _statements(wanted["build"])
    return plan


def _statements(build: list[Any]) -> list[Statement]:
    known = {item.name for item in fields(Statement)}
    return [
        Statement(**{k: v for k, v in _mapping(item, "build").items() if k in known})
        for item in build
    ]


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidPlan(f"{where} is no table of the mapping file")
    return cast("dict[str, Any]", value)


def _apply_table(table: TablePlan, wanted: dict[str, Any]) -> None:
    unknown = set(wanted) - {"target", "carry", "columns", "build"}
    if unknown:
        raise InvalidPlan(f"tables.{table.source} has unknown keys {sorted(unknown)}")
    table.target = str(wanted.get("target", table.target))
    table.carry = bool(wanted.get("carry", table.carry))
    before = {column.source: column.codec for column in table.columns}
    for name, change in _mapping(wanted.get("columns", {}), "columns").items():
        try:
            column = table.column(name)
        except KeyError as error:
            raise InvalidPlan(f"{table.source} has no column {name!r}") from error
        _apply_column(table, column, _mapping(change, name))
    if any(table.column(name).codec != before[name] for name in table.order_key):
        table.order_key = []


def _apply_column(table: TablePlan, column: ColumnPlan, change: dict[str, Any]) -> None:
    where = f"{table.source}.{column.source}"
    unknown = set(change) - set(_COLUMN_KEYS)
    if unknown:
        raise InvalidPlan(
            f"{where} has unknown keys {sorted(unknown)}",
            hint=f"known: {', '.join(_COLUMN_KEYS)}",
        )
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
        raise InvalidPlan(f"{where}: on_dirt is one of {', '.join(ON_DIRT)}")
    if column.type == "jsonb" and column.codec == "text":
        raise InvalidPlan(
            f"{where}: jsonb writes a document in its own way, so that the text "
            "could not be compared",
            hint="type = 'json' keeps the text; ALTER TABLE … TYPE jsonb afterwards",
        )
