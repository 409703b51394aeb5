"""A path into a JSON document, read alike on both engines.

Owns the SQL of ``document["a"][0].as_integer()``. Each reading answers only for a
value of its own JSON type and is NULL for any other, for a missing path and for
``null``. (SQLAlchemy's own JSON casts: PostgreSQL raises where SQLite converts.)

    as_string    strings          as_integer   integers of 64 bits
    as_float     numbers          as_boolean   true and false
    exists       whether there is anything, ``null`` included

Invariant: a key is always a key and an index always an index, whatever
characters the key has; the path is part of the statement's text, quoted.
"""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.visitors import InternalTraversal
from sqlalchemy.types import TypeEngine

from lockstep.schema.affinity import INTEGER_MAX, INTEGER_MIN
from lockstep.schema.types.json_text import NotJson, canonical_json
from lockstep.schema.types.portable import for_driver, quoted
from lockstep.schema.types.text import Text

Step = str | int
Reading = Literal["json", "string", "integer", "float", "boolean", "exists"]

_DOUBLE_MAX = "1.7976931348623157e308"


class JsonPath(FunctionElement[Any]):
    """The value at a path, read as one JSON type.

    Args:
        document: The expression that holds the document.
        steps: Keys and indexes; negative indexes count from the end.
        reading: What the value is read as.
        kind: The type of the result.
    """

    name = "json_path"
    inherit_cache = False
    _traverse_internals = [  # noqa: RUF012 (SQLAlchemy's own protocol)
        *FunctionElement._traverse_internals,
        ("steps", InternalTraversal.dp_plain_obj),
        ("reading", InternalTraversal.dp_string),
        ("type", InternalTraversal.dp_type),
    ]

    def __init__(
        self,
        document: ColumnElement[Any],
        steps: tuple[Step, ...],
        reading: Reading,
        kind: TypeEngine[Any],
    ) -> None:
        super().__init__(document)
        self.steps = steps
        self.reading: Reading = reading
        self.type = kind

    @property
    def document(self) -> ColumnElement[Any]:
        """The expression that holds the document."""
        return next(iter(self.clauses))


class JsonText(FunctionElement[str]):
    """A document as text that is equal when the documents are equal."""

    name = "json_text"
    type = Text()
    inherit_cache = True


def checked_step(step: object) -> Step:
    """Return a key or an index, or raise ``TypeError``."""
    if isinstance(step, bool) or not isinstance(step, str | int):
        raise TypeError(f"a JSON path is made of str and int, not {step!r}")
    if isinstance(step, str):
        try:
            canonical_json(step)
        except NotJson as error:
            raise TypeError(f"{step!r} cannot be a JSON key: {error}") from error
    return step


@compiles(JsonText)
def _write_text(element: JsonText, compiler: SQLCompiler, **kw: Any) -> str:
    (document,) = (compiler.process(argument, **kw) for argument in element.clauses)
    if compiler.dialect.name == "sqlite":
        return document
    # jsonb calls 1 and 1.0 equal; its text, like SQLite's, tells them apart.
    return f"CAST(CAST({document} AS JSONB) AS TEXT)"


@compiles(JsonPath)
def _write_postgresql(element: JsonPath, compiler: SQLCompiler, **kw: Any) -> str:
    value = compiler.process(element.document, **kw)
    for step in element.steps:
        if isinstance(step, str):
            value = f"({value} -> {for_driver(quoted(step), compiler.dialect)})"
        else:
            # jsonb calls a scalar an array of one: '5'::jsonb -> 0 is 5.
            item = f"{value} -> {step}"
            value = f"(CASE jsonb_typeof({value}) WHEN 'array' THEN {item} END)"
    text = f"({value} #>> '{{}}')"
    number = f"CAST({text} AS NUMERIC)"

    def when_type(name: str, then: str) -> str:
        return f"(CASE WHEN jsonb_typeof({value}) = '{name}' THEN {then} END)"

    readings: dict[Reading, str] = {
        "json": value,
        "exists": f"({value} IS NOT NULL)",
        "string": when_type("string", f'{text} COLLATE "C"'),
        "boolean": when_type("boolean", f"CAST({value} AS BOOLEAN)"),
        "integer": when_type(
            "number",
            f"CASE WHEN scale({number}) = 0 AND {number} "
            f"BETWEEN {INTEGER_MIN} AND {INTEGER_MAX} "
            f"THEN CAST({text} AS BIGINT) END",
        ),
        "float": when_type(
            "number",
            f"CASE WHEN {number} BETWEEN -{_DOUBLE_MAX} AND {_DOUBLE_MAX} "
            f"THEN CAST({text} AS DOUBLE PRECISION) END",
        ),
    }
    return readings[element.reading]


@compiles(JsonPath, "sqlite")
def _write_sqlite(element: JsonPath, compiler: SQLCompiler, **kw: Any) -> str:
    document = compiler.process(element.document, **kw)
    document, path = _sqlite_place(document, element.steps)
    at = f"({document}, {quoted(path)})"
    readings: dict[Reading, str] = {
        "json": f"({document} -> {quoted(path)})",
        "exists": f"(json_type{at} IS NOT NULL)",
        "string": f"(CASE json_type{at} WHEN 'text' THEN json_extract{at} END)",
        "boolean": f"(CASE json_type{at} WHEN 'true' THEN 1 WHEN 'false' THEN 0 END)",
        # An integer of more than 64 bits is extracted as a float.
        "integer": (
            f"(CASE WHEN json_type{at} = 'integer' "
            f"AND typeof(json_extract{at}) = 'integer' THEN json_extract{at} END)"
        ),
        "float": (
            f"(CASE WHEN json_type{at} IN ('integer', 'real') "
            f"AND json_extract{at} BETWEEN -{_DOUBLE_MAX} AND {_DOUBLE_MAX} "
            f"THEN CAST(json_extract{at} AS REAL) END)"
        ),
    }
    return readings[element.reading]


def _sqlite_place(document: str, steps: tuple[Step, ...]) -> tuple[str, str]:
    """Return a document and the path in it that SQLite understands."""
    path = "$"
    for step in steps:
        if isinstance(step, int):
            path += f"[{step}]" if step >= 0 else f"[#{step}]"
        elif _is_plain(step):
            path += f'."{step}"'
        else:
            document, path = _sqlite_member(document, path, step), "$"
    return document, path


def _is_plain(key: str) -> bool:
    """Tell whether a key stands in the document as it is, without an escape."""
    return canonical_json(key) == f'"{key}"'


def _sqlite_member(document: str, path: str, key: str) -> str:
    """Return the JSON text of a member whose key no SQLite path can name."""
    # Seventeen digits keep every double; json_quote() alone keeps fifteen.
    text = (
        "CASE type WHEN 'object' THEN value WHEN 'array' THEN value "
        "WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' WHEN 'null' THEN 'null' "
        "WHEN 'real' THEN printf('%!.17g', value) ELSE json_quote(value) END"
    )
    members = f"json_each({document}, {quoted(path)})"
    return f"(SELECT {text} FROM {members} WHERE key = {quoted(key)})"  # noqa: S608
