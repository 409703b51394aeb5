"""Random schemas that share names, so that one can become another."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from hypothesis import strategies as st

import lockstep.schema as ls

TABLES = ("alpha", "beta", "gamma")
COLUMNS = ("a", "b", "c", "d")

# Source of a type, and the server defaults that a model might give it.
TYPES: list[tuple[Any, list[Any]]] = [
    (ls.Text, ["", "it's"]),
    (lambda: ls.Text(20), ["x"]),
    (lambda: ls.Text(4), []),
    (ls.BigInteger, ["7", sa.text("0")]),
    (ls.Boolean, [sa.true(), sa.text("0"), "false"]),
    (ls.Float, [sa.text("1.5")]),
    (lambda: ls.Decimal(10, 2), ["1.50"]),
    (lambda: ls.Decimal(12, 4), []),
    (lambda: ls.Decimal(30, 6), ["2"]),
    (ls.UtcDateTime, [ls.utc_now(), sa.func.now()]),
    (ls.Date, [sa.func.current_date()]),
    (ls.Json, ["{}"]),
    (lambda: ls.Array(ls.Text()), ["[]"]),
    (ls.Uuid, []),
    (ls.Blob, []),
    (lambda: ls.Enum("x", "y"), ["x"]),
    (lambda: ls.Enum("x", "y", "a much longer value"), ["y"]),
    (sa.Integer, [sa.text("3")]),
    (sa.SmallInteger, []),
    (lambda: sa.String(30), ["plain"]),
    (sa.Text, []),
    (sa.Boolean, [sa.false()]),
    (lambda: sa.Numeric(8, 3), []),
    (sa.DateTime, [sa.func.now()]),
    (lambda: sa.DateTime(timezone=True), []),
    (sa.JSON, []),
    (sa.Uuid, []),
    (sa.LargeBinary, []),
    (lambda: sa.Enum("p", "q", name="letters"), []),
    (lambda: sa.Enum("p", "q", name="letter", native_enum=False), []),
]
KEYS: list[Any] = [ls.Uuid, ls.BigInteger, sa.Integer, ls.Text]


@dataclass(frozen=True)
class ColumnSpec:
    name: str
    type: int
    default: int | None
    nullable: bool
    unique: bool
    index: bool


@dataclass(frozen=True)
class LinkSpec:
    name: str
    target: str
    action: str | None
    nullable: bool


@dataclass(frozen=True)
class TableSpec:
    name: str
    key: int
    columns: tuple[ColumnSpec, ...]
    links: tuple[LinkSpec, ...]
    check: int | None
    pair: bool
    expression: bool
    partial: bool
    touch: bool


Spec = tuple[TableSpec, ...]


@st.composite
def columns(draw: st.DrawFn, name: str) -> ColumnSpec:
    type_ = draw(st.integers(0, len(TYPES) - 1))
    defaults = TYPES[type_][1]
    default = draw(
        st.one_of(st.none(), st.integers(0, len(defaults) - 1))
        if defaults
        else st.none()
    )
    return ColumnSpec(
        name,
        type_,
        default,
        nullable=draw(st.booleans()),
        unique=draw(st.integers(0, 4)) == 0,
        index=draw(st.integers(0, 3)) == 0,
    )


@st.composite
def links(draw: st.DrawFn, number: int) -> LinkSpec:
    return LinkSpec(
        f"to_{number}",
        draw(st.sampled_from(TABLES)),
        draw(st.sampled_from([None, "CASCADE", "SET NULL", "RESTRICT"])),
        nullable=draw(st.integers(0, 3)) > 0,
    )


@st.composite
def tables(draw: st.DrawFn, name: str) -> TableSpec:
    names = draw(st.lists(st.sampled_from(COLUMNS), unique=True, max_size=4))
    return TableSpec(
        name,
        draw(st.integers(0, len(KEYS) - 1)),
        tuple(draw(columns(column)) for column in names),
        tuple(draw(links(number)) for number in range(draw(st.integers(0, 2)))),
        draw(st.one_of(st.none(), st.integers(0, 2))),
        pair=draw(st.booleans()),
        expression=draw(st.booleans()),
        partial=draw(st.booleans()),
        touch=draw(st.integers(0, 3)) == 0,
    )


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    names = draw(st.lists(st.sampled_from(TABLES), unique=True, min_size=1))
    return tuple(draw(tables(name)) for name in names)


@st.composite
def changed(draw: st.DrawFn, spec: Spec) -> Spec:
    """Return a schema that is near another one: most of it stays."""
    found: list[TableSpec] = []
    for table in spec:
        fate = draw(st.integers(0, 9))
        if fate == 0:
            continue
        if fate == 1:
            found.append(draw(tables(table.name)))
            continue
        kept = [
            c if draw(st.booleans()) else draw(columns(c.name))
            for c in table.columns
            if draw(st.integers(0, 5))
        ]
        missing = [name for name in COLUMNS if name not in {c.name for c in kept}]
        if missing and draw(st.booleans()):
            kept.append(draw(columns(missing[0])))
        found.append(
            dataclasses.replace(
                table,
                columns=tuple(kept),
                links=table.links
                if draw(st.booleans())
                else tuple(draw(links(n)) for n in range(draw(st.integers(0, 2)))),
                check=draw(st.one_of(st.just(table.check), st.integers(0, 2))),
                pair=draw(st.booleans()),
                expression=draw(st.booleans()),
                partial=draw(st.booleans()),
                touch=table.touch if draw(st.booleans()) else draw(st.booleans()),
            )
        )
    rest = [name for name in TABLES if name not in {t.name for t in found}]
    if rest and draw(st.booleans()):
        found.append(draw(tables(rest[0])))
    return tuple(found) or spec


def build(spec: Spec) -> sa.MetaData:
    """Return the models of a schema."""
    metadata = ls.portable_metadata()
    present = {table.name for table in spec}
    keys = {table.name: table.key for table in spec}
    for table in spec:
        items: list[Any] = [sa.Column("id", KEYS[table.key](), primary_key=True)]
        for column in table.columns:
            make, defaults = TYPES[column.type]
            options: dict[str, Any] = {}
            if column.default is not None:
                options["server_default"] = defaults[column.default]
            if column.unique and not is_json(column):
                options["unique"] = True
            if column.index and not is_json(column):
                options["index"] = True
            items.append(
                sa.Column(column.name, make(), nullable=column.nullable, **options)
            )
        for link in table.links:
            if link.target in present:
                nullable = link.nullable or link.action == "SET NULL"
                # A row could never be inserted into a ring of required links.
                nullable = nullable or link.target >= table.name
                items.append(
                    sa.Column(
                        link.name,
                        KEYS[keys[link.target]](),
                        sa.ForeignKey(f"{link.target}.id", ondelete=link.action),
                        nullable=nullable,
                    )
                )
        if table.touch:
            items.append(
                sa.Column("touched", ls.UtcDateTime(), info={"lockstep.touch": True})
            )
        made = sa.Table(table.name, metadata, *items)
        extras(made, table)
    return metadata


def is_json(column: ColumnSpec) -> bool:
    """PostgreSQL's json has no equality, so no index takes it."""
    return TYPES[column.type][0] is sa.JSON


def extras(made: sa.Table, table: TableSpec) -> None:
    plain = [made.c[c.name] for c in table.columns if not is_json(c)]
    texts = [c for c in plain if isinstance(c.type, ls.Text | sa.Text)]
    if table.check is not None and plain:
        column = plain[0]
        conditions = [
            column.is_not(None),
            sa.or_(column.is_(None), made.c.id.is_not(None)),
            sa.text(f"{column.name} IS NULL OR id IS NOT NULL"),
        ]
        condition = conditions[table.check]
        if table.check == 0 and column.nullable:
            condition = conditions[1]
        made.append_constraint(sa.CheckConstraint(condition, name="rule"))
    if table.pair and len(plain) > 1:
        made.append_constraint(sa.UniqueConstraint(plain[0], plain[1]))
    if table.expression and texts:
        sa.Index(f"ix_{table.name}_expr", sa.func.lower(texts[0]), made.c.id.desc())
    if table.partial and plain:
        where = plain[-1].is_not(None)
        sa.Index(
            f"ix_{table.name}_part",
            plain[-1],
            unique=True,
            sqlite_where=where,
            postgresql_where=where,
        )
