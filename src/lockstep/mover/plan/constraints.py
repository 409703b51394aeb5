"""What is built behind the rows on PostgreSQL: keys, indexes, checks, references.

Owns the statements of a plan that moves to PostgreSQL. Each is one that the
source's own rows are expected to satisfy; where they do not, the statement has a
fallback that keeps the rows and says so.

Invariant: a constraint of the source has a statement or a loss.
"""

from __future__ import annotations

from collections.abc import Iterable

from lockstep.migrations.sqlite.tokens import fold, meaningful, quote, split_top, tokens
from lockstep.mover.model.plan import (
    ColumnPlan,
    Loss,
    Plan,
    Reference,
    Statement,
    TablePlan,
)
from lockstep.mover.model.profile import TableProfile
from lockstep.mover.model.sqlite import (
    Column,
    ForeignKey,
    Index,
    IndexPart,
    Schema,
    Table,
)
from lockstep.mover.plan.keys import KeyValues
from lockstep.mover.plan.names import Names
from lockstep.mover.translate.expressions import (
    Meaning,
    Untranslatable,
    condition,
    value,
)
from lockstep.mover.translate.pieces import Piece, as_double, folded
from lockstep.schema.names import constraint_name
from lockstep.wording import counted

INDEXED_BYTES_MAX = 2_600
"""A row of PostgreSQL's B-tree holds about a third of a page of 8 KiB."""

INDEX_COLUMNS_MAX = 32
MERGED = "values that differ by their class only, like 1 and '1', are one there"
OUTGROWN = "an integer in it outgrows 64 bits, and becomes a rounded real"
_LONG_TYPES = ("text", "bytea")


class Constraints:
    """Makes the statements of one plan."""

    def __init__(
        self,
        plan: Plan,
        schema: Schema,
        profiles: dict[str, TableProfile],
        names: Names,
        values: KeyValues,
    ) -> None:
        self._plan = plan
        self._schema = schema
        self._profiles = profiles
        self._names = names
        self._values = values
        self._unique: dict[str, list[list[str]]] = {}

    def add_keys(self, table: Table, made: TablePlan) -> None:
        """Add primary key, unique constraints, indexes and checks of a table."""
        self._unique[table.name] = []
        self._primary_key(table, made)
        for index in table.indexes:
            folds = any(part.collation == "NOCASE" for part in index.parts)
            if index.origin != "pk" or folds:
                self._index(table, made, index)
        for name, expression in table.checks:
            self._check(table, made, name, expression)
        for column in table.columns:
            if column.generated and column.name not in made.left:
                self._compute(table, made, column)

    def _compute(self, table: Table, made: TablePlan, column: Column) -> None:
        planned = made.column(column.name)
        # PostgreSQL computes no column from another computed one. Left out, its name
        # in double quotes would be a text.
        known = meanings(table, made)
        for other in table.columns:
            if other.generated:
                known[fold(other.name)] = _untranslatable("another computed column")
        columns = named_both_ways(table, known)
        where = f"{table.name}.{column.name}"
        try:
            computed = _stored_as(value(column.expression, columns), column, planned)
            self._refuse_outgrown(made, column.expression)
            planned.computed = computed
        except Untranslatable as reason:
            why = f"its values are carried, AS ({column.expression}) not: {reason}"
            self._lose("generated column", where, why)
            return
        if column.generated == "virtual":
            self._plan.notices.append(f"{where} is computed when a row is written")

    def _refuse_outgrown(self, made: TablePlan, expression: str) -> None:
        if self._values.outgrows(made, expression):
            raise Untranslatable(OUTGROWN)

    def _primary_key(self, table: Table, made: TablePlan) -> None:
        if not table.key:
            return
        if needed := left_of(made, table.key):
            self._lose("primary key", table.name, needed)
            return
        columns = [made.column(name) for name in table.key]
        profile = self._profiles[table.name]
        nulls = [c.source for c in columns if profile.column(c.source).counts["null"]]
        names = [column.target for column in columns]
        if self._is_long(table, table.key):
            self._lose("primary key", table.name, "its values are too long for a key")
            self._hashed_unique(table, made, names)
            return
        listed = ", ".join(map(quote, names))
        if self._values.are_merged(made, columns):
            self._lose("primary key", table.name, MERGED)
            return
        if nulls:
            why = f"{nulls[0]} holds NULL; it is a unique constraint instead"
            self._lose("primary key", table.name, why)
            name = self._names.give(constraint_name("uq", table.name, *table.key))
            sql = f"ALTER TABLE {quote(made.target)} ADD CONSTRAINT {quote(name)} "
            made.statements.append(Statement("unique", name, f"{sql}UNIQUE ({listed})"))
        else:
            made.primary_key = names
            name = self._names.give(constraint_name("pk", table.name))
            sql = f"ALTER TABLE {quote(made.target)} ADD CONSTRAINT {quote(name)} "
            made.statements.append(
                Statement("primary key", name, f"{sql}PRIMARY KEY ({listed})")
            )
        self._unique[table.name].append([fold(name) for name in table.key])

    def _is_long(self, table: Table, columns: list[str]) -> bool:
        profile, total = self._profiles[table.name], 0
        for name in columns:
            found = table.column(name)
            if found is not None:
                total += profile.column(found.name).text_bytes_max
        return total > INDEXED_BYTES_MAX

    def _is_long_expression(self, made: TablePlan, index: Index) -> bool:
        texts = _key_texts(index)
        return any(
            self._values.bytes_of(made, texts[place]) > INDEXED_BYTES_MAX
            for place, part in enumerate(index.parts)
            if part.column is None
        )

    def _hashed_unique(self, table: Table, made: TablePlan, names: list[str]) -> None:
        hashed = ", ".join(
            f"md5({quote(name)})"
            if made_type(made, name) in _LONG_TYPES
            else quote(name)
            for name in names
        )
        index = self._names.give(constraint_name("uq", table.name, *names))
        sql = f"CREATE UNIQUE INDEX {quote(index)} ON {quote(made.target)} ({hashed})"
        made.statements.append(Statement("unique", index, sql))

    def _index(self, table: Table, made: TablePlan, index: Index) -> None:
        where = f"{table.name}.{index.name}"
        try:
            parts = self._parts(table, made, index)
            condition = self._condition(table, made, index)
        except Untranslatable as reason:
            self._lose("unique" if index.unique else "index", where, str(reason))
            return
        named = [part for part in index.parts if part.column is not None]
        plain = [part.column for part in named if part.column is not None]
        purpose = "unique" if index.unique else "index"
        columns = [made.column(self._real(table, name)) for name in plain]
        if index.unique and self._values.are_merged(
            made, columns, [part.collation for part in named], _condition_text(index)
        ):
            self._lose(purpose, where, MERGED)
            return
        if self._is_long(table, plain) or self._is_long_expression(made, index):
            if index.unique and len(plain) == len(index.parts):
                self._plan.notices.append(f"{where} compares md5: its values are long")
                self._hashed_unique(table, made, [c.target for c in columns])
            elif len(parts) == 1 and len(plain) == 1:
                self._hash_index(table, made, index, plain[0], condition)
            else:
                self._lose(purpose, where, "its values are too long for an index")
            return
        if len(parts) > INDEX_COLUMNS_MAX:
            self._lose(purpose, where, f"it has more than {INDEX_COLUMNS_MAX} columns")
            return
        own = index.name.startswith("sqlite_autoindex")
        wanted = constraint_name("uq", table.name, *plain) if own else index.name
        name = self._names.give(wanted)
        unique = "UNIQUE " if index.unique else ""
        sql = (
            f"CREATE {unique}INDEX {quote(name)} ON {quote(made.target)} "
            f"({', '.join(parts)}){condition}"
        )
        made.statements.append(Statement(purpose, name, sql))
        binary = all(part.collation != "NOCASE" for part in index.parts)
        if index.unique and not condition and len(plain) == len(parts) and binary:
            self._unique[table.name].append([fold(name) for name in plain])

    def _hash_index(
        self, table: Table, made: TablePlan, index: Index, column: str, condition: str
    ) -> None:
        name = self._names.give(index.name)
        target = made.column(self._real(table, column)).target
        sql = f"CREATE INDEX {quote(name)} ON {quote(made.target)} USING hash "
        made.statements.append(
            Statement("index", name, f"{sql}({quote(target)}){condition}")
        )

    def _real(self, table: Table, name: str) -> str:
        column = table.column(name)
        assert column is not None, "an index names columns of its table"
        return column.name

    def _parts(self, table: Table, made: TablePlan, index: Index) -> list[str]:
        texts = _key_texts(index)
        parts: list[str] = []
        for position, part in enumerate(index.parts):
            if part.column is None:
                if position >= len(texts):
                    raise Untranslatable("an expression that could not be read")
                inner = _expression_part(texts[position], own_meanings(table, made))
                self._refuse_outgrown(made, texts[position])
                parts.append(f"({inner}){' DESC' if part.descending else ''}")
                continue
            parts.append(self._column_part(table, made, part))
        return parts

    def _column_part(self, table: Table, made: TablePlan, part: IndexPart) -> str:
        if needed := left_of(made, [part.column or ""]):
            raise Untranslatable(needed)
        column = made.column(self._real(table, part.column or ""))
        text = quote(column.target)
        if part.collation == "NOCASE" and column.type == "text":
            # NOCASE folds A to Z only, and so does lower() under "C".
            text = f'lower({text} COLLATE "C")'
        if part.collation == "RTRIM" and column.type == "text":
            text = f"rtrim({text}, ' ')"
        return f"{text}{' DESC' if part.descending else ''}"

    def _condition(self, table: Table, made: TablePlan, index: Index) -> str:
        if not index.partial:
            return ""
        text = _condition_text(index)
        if not text:
            raise Untranslatable("a condition that could not be read")
        sql = f" WHERE {condition(text, own_meanings(table, made))}"
        self._refuse_outgrown(made, text)
        return sql

    def _check(
        self, table: Table, made: TablePlan, name: str | None, expression: str
    ) -> None:
        words = [fold(part.name) for part in tokens(expression) if part.name]
        about = [c.name for c in table.columns if fold(c.name) in words]
        wanted = name or constraint_name("ck", table.name, *about[:2])
        try:
            text = condition(expression, own_meanings(table, made))
        except Untranslatable as reason:
            self._lose("check", table.name, f"CHECK ({expression}): {reason}")
            return
        given = self._names.give(wanted)
        sql = (
            f"ALTER TABLE {quote(made.target)} ADD CONSTRAINT {quote(given)} "
            f"CHECK ({text})"
        )
        loose = f"{sql} NOT VALID"
        count = self._values.against(made, expression)
        why = f"{counted(count, 'row')} against it" if count else ""
        if self._values.outgrows(made, expression):
            why = OUTGROWN
        if why:
            why = f"CHECK ({expression}): {why}; it holds for new rows only"
            self._lose("check", table.name, why)
        made.statements.append(Statement("check", given, loose if why else sql, loose))

    def add_foreign_keys(
        self, table: Table, made: TablePlan, orphans: dict[int, int]
    ) -> None:
        """Add the references of a table; its parents have their keys already."""
        for key in table.foreign_keys:
            where = f"{table.name} ({', '.join(key.columns)}) → {key.parent}"
            parent = self._schema.table(key.parent)
            if parent is None or parent.name not in self._unique:
                why = "there is no such table" if parent is None else "it stays behind"
                self._lose("foreign key", where, why)
                continue
            referred = key.referred or parent.key
            reason = left_of(made, key.columns)
            reason = reason or left_of(self._plan.table(parent.name), referred)
            reason = reason or self._misfit(key, parent, referred)
            if reason:
                self._lose("foreign key", where, reason)
                continue
            count = orphans.get(key.number, 0)
            if count:
                point = "points" if count == 1 else "point"
                why = (
                    f"{counted(count, 'row')} {point} at nothing; it holds for new "
                    "rows only"
                )
                self._lose("foreign key", where, why)
            self._reference(table, made, key, parent, referred, is_valid=not count)

    def _misfit(self, key: ForeignKey, parent: Table, referred: list[str]) -> str:
        if len(referred) != len(key.columns):
            return "the numbers of columns differ"
        wanted = sorted(fold(name) for name in referred)
        if not any(sorted(found) == wanted for found in self._unique[parent.name]):
            return "the parent's columns are not unique"
        return ""

    def _reference(
        self,
        table: Table,
        made: TablePlan,
        key: ForeignKey,
        parent: Table,
        referred: list[str],
        *,
        is_valid: bool,
    ) -> None:
        own = [made.column(self._real(table, name)) for name in key.columns]
        other = self._plan.table(parent.name)
        theirs = [other.column(self._real(parent, name)) for name in referred]
        for child, above in zip(own, theirs, strict=True):
            if child.type != above.type:
                where = f"{table.name}.{child.source} → {parent.name}.{above.source}"
                why = f"the columns hold different things: {child.type}, {above.type}"
                self._lose("foreign key", where, why)
                return
        made.references += [
            Reference(child.source, parent.name, above.source)
            for child, above in zip(own, theirs, strict=True)
        ]
        columns = [column.source for column in own]
        name = self._names.give(
            constraint_name("fk", table.name, *columns, parent.name)
        )
        sql = (
            f"ALTER TABLE {quote(made.target)} ADD CONSTRAINT {quote(name)} "
            f"FOREIGN KEY ({_listed([c.target for c in own])}) "
            f"REFERENCES {quote(other.target)} ({_listed([c.target for c in theirs])})"
            f"{_actions(key)}"
        )
        loose = f"{sql} NOT VALID"
        made.statements.append(
            Statement("foreign key", name, sql if is_valid else loose, loose)
        )

    def _lose(self, kind: str, name: str, why: str) -> None:
        self._plan.losses.append(Loss(kind, name, why))


def _listed(names: list[str]) -> str:
    return ", ".join(map(quote, names))


def _actions(key: ForeignKey) -> str:
    text = ""
    if key.on_update != "NO ACTION":
        text += f" ON UPDATE {key.on_update}"
    if key.on_delete != "NO ACTION":
        text += f" ON DELETE {key.on_delete}"
    return f"{text} {key.deferral}".rstrip()


def meanings(table: Table, made: TablePlan) -> dict[str, Meaning]:
    """Return what the names of a table's columns mean in an expression."""
    found: dict[str, Meaning] = {}
    for column in table.columns:
        if column.name in made.left:
            found[fold(column.name)] = _untranslatable("a column that is left behind")
            continue
        planned = made.column(column.name)
        found[fold(column.name)] = Meaning(
            quote(planned.target),
            planned.type,
            planned.codec,
            column.affinity,
            column.collation,
        )
    for name in table.uncomputable:
        found[fold(name)] = _untranslatable("a column that is not carried")
    return found


def left_of(made: TablePlan, names: Iterable[str]) -> str:
    """Return which of the columns that something needs stays behind; else nothing."""
    wanted = set(map(fold, names))
    left = [name for name in made.left if fold(name) in wanted]
    return f"it needs {made.source}.{left[0]}, which is left behind" if left else ""


def _untranslatable(what: str) -> Meaning:
    """Return what a name means that may stand in no expression of PostgreSQL."""
    return Meaning("", what, "values")


def own_meanings(table: Table, made: TablePlan) -> dict[str, Meaning]:
    """Return the same for what a table says of itself, ``"t"."a"`` included."""
    return named_both_ways(table, meanings(table, made))


def named_both_ways(table: Table, columns: dict[str, Meaning]) -> dict[str, Meaning]:
    """Return columns by their names alone, and with their table's before a dot."""
    owner = fold(table.name)
    return columns | {f"{owner}.{name}": found for name, found in columns.items()}


def _stored_as(piece: Piece, column: Column, planned: ColumnPlan) -> str:
    """Return what PostgreSQL stores of an expression, where SQLite gives the same."""
    if piece.is_stable:
        raise Untranslatable("it uses a function that PostgreSQL does not store")
    kind = (planned.type, planned.codec)
    if kind == ("double precision", "real") and column.affinity == "real":
        piece = as_double(piece)
    wanted: dict[tuple[str, str], tuple[str, tuple[str, ...]]] = {
        ("bigint", "integer"): ("integer", ("integer", "numeric", "blob")),
        ("double precision", "real"): ("real", ("real", "blob")),
        ("text", "text"): ("text", ("text", "blob")),
        ("bytea", "bytes"): ("blob", ("blob", "text", "numeric", "integer", "real")),
    }
    result, affinities = wanted.get(kind, ("", ()))
    if piece.kind != result or column.affinity not in affinities:
        raise Untranslatable(f"it gives {piece.kind}, the column is {planned.type}")
    return piece.sql


def _expression_part(text: str, columns: dict[str, Meaning]) -> str:
    piece = value(text, columns)
    if piece.is_stable:
        raise Untranslatable("a function that PostgreSQL does not index")
    if piece.collation not in ("", "BINARY", "NOCASE"):
        raise Untranslatable(f"the collation {piece.collation}")
    is_folded = piece.collation == "NOCASE" and piece.kind == "text"
    return folded(piece) if is_folded else piece.sql


def made_type(made: TablePlan, target: str) -> str:
    """Return the type of a column by its target's name."""
    return next(column.type for column in made.columns if column.target == target)


def _condition_text(index: Index) -> str:
    """Return the condition of a partial index as it was written; else nothing."""
    parts = tokens(index.sql or "") if index.partial else []
    for position, part in enumerate(parts):
        if part.is_word("WHERE"):
            return "".join(item.text for item in parts[position + 1 :])
    return ""


def _key_texts(index: Index) -> list[str]:
    """Return the texts of an index's parts, without direction and collation."""
    parts = meaningful(tokens(index.sql or ""))
    start = next((i for i, part in enumerate(parts) if part.is_symbol("(")), None)
    if start is None:
        return []
    depth, end = 0, len(parts)
    for position in range(start, len(parts)):
        depth += parts[position].is_symbol("(") - parts[position].is_symbol(")")
        if depth == 0:
            end = position
            break
    texts: list[str] = []
    for group in split_top(parts[start + 1 : end], ","):
        kept = list(group)
        while kept and kept[-1].is_word("ASC", "DESC"):
            kept.pop()
        texts.append(" ".join(part.text for part in kept))
    return texts
