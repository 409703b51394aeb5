"""A table of SQLite as its own CREATE TABLE text, taken apart and put together.

Owns the structure of that text: columns, their clauses, table constraints and
the options behind the last bracket. What a migration does not touch keeps its
exact spelling, so nothing can be lost that this library does not know about.
Must not know: connections, SQLAlchemy.

See: https://www.sqlite.org/lang_createtable.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as replaced
from itertools import pairwise

from lockstep.migrations.sqlite.tokens import (
    Token,
    closing,
    fold,
    joined,
    meaningful,
    names_in,
    quote,
    split_top,
    tokens,
)

# The words that begin a clause of a column, or a constraint of a table.
_CLAUSE_WORDS = [
    "CONSTRAINT",
    "PRIMARY",
    "NOT",
    "NULL",
    "UNIQUE",
    "CHECK",
    "DEFAULT",
    "COLLATE",
    "REFERENCES",
    "GENERATED",
    "AS",
]
_TABLE_WORDS = ("CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN")
_KIND_OF_WORD = {
    "PRIMARY": "primary key",
    "NOT": "not null",
    "NULL": "null",
    "UNIQUE": "unique",
    "CHECK": "check",
    "DEFAULT": "default",
    "COLLATE": "collate",
    "REFERENCES": "references",
    "GENERATED": "generated",
    "AS": "generated",
    "FOREIGN": "foreign key",
}


@dataclass(frozen=True)
class Clause:
    """One constraint or property, of a column or of the table.

    Attributes:
        kind: ``primary key``, ``not null``, ``null``, ``unique``, ``check``,
            ``default``, ``collate``, ``references``, ``generated`` or
            ``foreign key``.
        name: What stands behind CONSTRAINT, unquoted; None without a name.
        text: The exact text, with CONSTRAINT and the name.
    """

    kind: str
    name: str | None
    text: str

    @property
    def _parts(self) -> list[Token]:
        parts = meaningful(tokens(self.text))
        return parts[2:] if parts[0].is_word("CONSTRAINT") else parts

    @property
    def expression(self) -> str:
        """The text between the first pair of brackets, or behind DEFAULT."""
        whole = tokens(self.text)
        if self.kind == "default":
            at = next(i for i, part in enumerate(whole) if part.is_word("DEFAULT"))
            return joined(whole[at + 1 :])
        start = next((i for i, part in enumerate(whole) if part.is_symbol("(")), None)
        if start is None:
            return ""
        return joined(whole[start + 1 : closing(whole, start)])

    @property
    def columns(self) -> tuple[str, ...]:
        """The table's own columns listed by a table constraint, in order."""
        if self.kind == "check":
            return ()
        start = next(
            (i for i, part in enumerate(self._parts) if part.is_symbol("(")), None
        )
        if start is None:
            return ()
        inside = self._parts[start + 1 : closing(self._parts, start)]
        return tuple(group[0].name or "" for group in split_top(inside, ",") if group)

    @property
    def target(self) -> str | None:
        """The table behind REFERENCES."""
        parts = self._parts
        for index, part in enumerate(parts):
            if part.is_word("REFERENCES"):
                return parts[index + 1].name
        return None

    @property
    def deferral(self) -> str:
        """When a foreign key is looked at, in capitals; empty: with each statement."""
        parts = self._parts
        for index, part in enumerate(parts):
            if part.is_word("DEFERRABLE") and not parts[index - 1].is_word("NOT"):
                late = any(item.is_word("DEFERRED") for item in parts[index:])
                return f"DEFERRABLE INITIALLY {'DEFERRED' if late else 'IMMEDIATE'}"
        return ""

    def names(self, column: str) -> bool:
        """Whether the clause speaks of a column of its own table."""
        if self.kind in ("check", "generated"):
            return fold(column) in names_in(self.expression)
        return fold(column) in {fold(name) for name in self.columns}

    def renamed(self, name: str | None) -> Clause:
        """Return the clause with another name, or with none."""
        body = joined(self._spaced_body())
        head = f"CONSTRAINT {quote(name)} " if name is not None else ""
        return Clause(self.kind, name, head + body)

    def _spaced_body(self) -> list[Token]:
        parts = tokens(self.text)
        solid = [i for i, part in enumerate(parts) if part.kind != "blank"]
        first = solid[2] if parts[solid[0]].is_word("CONSTRAINT") else solid[0]
        return parts[first:]


@dataclass(frozen=True)
class ColumnText:
    """A column: its name, the words of its type, its clauses in order."""

    name: str
    type: str
    clauses: tuple[Clause, ...] = ()

    def clause(self, kind: str) -> Clause | None:
        """Return the first clause of a kind."""
        return next((item for item in self.clauses if item.kind == kind), None)

    def without(self, *kinds: str) -> ColumnText:
        """Return the column without its clauses of these kinds."""
        kept = tuple(item for item in self.clauses if item.kind not in kinds)
        return replaced(self, clauses=kept)

    def with_clause(self, clause: Clause) -> ColumnText:
        """Return the column with one clause more, at its end."""
        return replaced(self, clauses=(*self.clauses, clause))

    @property
    def is_generated(self) -> bool:
        """Whether the database computes the value."""
        return self.clause("generated") is not None

    @property
    def sql(self) -> str:
        """The column as it stands in CREATE TABLE."""
        words = [quote(self.name), self.type, *(item.text for item in self.clauses)]
        return " ".join(word for word in words if word)


@dataclass
class TableText:
    """A table's definition, open for changes.

    Attributes:
        name: The table's name, unquoted.
        columns: In the order of the file.
        constraints: The table constraints, in order.
        options: What stands behind the last bracket (``STRICT``, …).
    """

    name: str
    columns: list[ColumnText] = field(default_factory=list[ColumnText])
    constraints: list[Clause] = field(default_factory=list[Clause])
    options: str = ""

    @property
    def is_strict(self) -> bool:
        """Whether SQLite checks the type of every value."""
        return self._has_option("STRICT")

    @property
    def is_without_rowid(self) -> bool:
        """Whether the table has no rowid."""
        return self._has_option("ROWID")

    @property
    def has_autoincrement(self) -> bool:
        """Whether a key is never used twice (``sqlite_sequence``)."""
        return any(
            part.is_word("AUTOINCREMENT")
            for column in self.columns
            for item in column.clauses
            if item.kind == "primary key"
            for part in tokens(item.text)
        )

    def rowid_alias(self) -> str | None:
        """Return the column that is the rowid itself, if there is one."""
        if self.is_without_rowid:
            return None
        for column in self.columns:
            key = column.clause("primary key")
            inline = key is not None and not any(
                part.is_word("DESC") for part in tokens(key.text)
            )
            own = any(
                item.kind == "primary key"
                and [fold(name) for name in item.columns] == [fold(column.name)]
                for item in self.constraints
            )
            if column.type.upper() == "INTEGER" and (inline or own):
                return column.name
        return None

    def _has_option(self, word: str) -> bool:
        return any(part.is_word(word) for part in tokens(self.options))

    def column(self, name: str) -> ColumnText:
        """Return a column; names are compared as SQLite does.

        Raises:
            KeyError: The table has no such column.
        """
        return self.columns[self.position(name)]

    def position(self, name: str) -> int:
        """Return where a column stands.

        Raises:
            KeyError: The table has no such column.
        """
        for index, column in enumerate(self.columns):
            if fold(column.name) == fold(name):
                return index
        raise KeyError(name)

    def clauses(self) -> Iterator[tuple[ColumnText | None, Clause]]:
        """Yield every clause with the column it hangs on (None: the table)."""
        for column in self.columns:
            for item in column.clauses:
                yield column, item
        for item in self.constraints:
            yield None, item

    def sql(self, name: str | None = None) -> str:
        """Return the CREATE TABLE statement, for another name if given."""
        items = [column.sql for column in self.columns]
        items += [item.text for item in self.constraints]
        body = ",\n\t".join(items)
        options = f" {self.options}" if self.options else ""
        return f"CREATE TABLE {quote(name or self.name)} (\n\t{body}\n){options}"


def parse_table(sql: str) -> TableText:
    """Take a CREATE TABLE statement apart.

    Args:
        sql: As it stands in ``sqlite_master``.

    Raises:
        ValueError: It is not a CREATE TABLE with columns (a virtual table, …).
    """
    parts = tokens(sql)
    solid = meaningful(parts)
    if not solid or not solid[0].is_word("CREATE") or solid[1].is_word("VIRTUAL"):
        raise ValueError("not an ordinary table")
    start = next((i for i, part in enumerate(parts) if part.is_symbol("(")), None)
    if start is None:
        raise ValueError("a table without a column list")
    end = closing(parts, start)
    head = meaningful(parts[:start])
    table = TableText(head[-1].name or "", options=joined(parts[end + 1 :]))
    for group in split_top(parts[start + 1 : end], ","):
        first = meaningful(group)[0]
        if first.is_word(*_TABLE_WORDS):
            table.constraints += _table_constraints(group)
        else:
            table.columns.append(_column(group))
    return table


def _column(group: Sequence[Token]) -> ColumnText:
    starts = _clause_starts(group, skip=1, words=_CLAUSE_WORDS)
    solid = [i for i, part in enumerate(group) if part.kind != "blank"]
    name = group[solid[0]].name
    if name is None:  # SQLite takes a string for a name here: CREATE TABLE t('a')
        name = group[solid[0]].text[1:-1].replace("''", "'")
    type_end = starts[0] if starts else len(group)
    clauses = tuple(
        _clause(group[start:end]) for start, end in pairwise([*starts, len(group)])
    )
    return ColumnText(name, joined(group[solid[0] + 1 : type_end]), clauses)


def _table_constraints(group: Sequence[Token]) -> list[Clause]:
    # SQLite allows table constraints to follow each other without a comma.
    starts = _clause_starts(group, skip=0, words=list(_TABLE_WORDS))
    return [_clause(group[start:end]) for start, end in pairwise([*starts, len(group)])]


def _clause_starts(group: Sequence[Token], *, skip: int, words: list[str]) -> list[int]:
    """Return where clauses begin, outside of brackets, after ``skip`` tokens."""
    starts: list[int] = []
    depth = seen = 0
    state = _Between()
    for index, part in enumerate(group):
        if part.kind == "blank":
            continue
        seen += 1
        after = next((p for p in group[index + 1 :] if p.kind != "blank"), None)
        if depth == 0 and seen > skip and state.begins(part, after, words):
            starts.append(index)
        depth += part.is_symbol("(") - part.is_symbol(")")
    return starts


class _Between:
    """Remembers what the words before make of the next one.

    ``CONSTRAINT x CHECK`` is one clause, and so are ``NOT NULL``,
    ``GENERATED ALWAYS AS``, ``DEFAULT NULL``, ``ON DELETE SET NULL``,
    ``ON DELETE SET DEFAULT`` and a ``NOT DEFERRABLE`` behind REFERENCES.
    """

    def __init__(self) -> None:
        self._previous: Token | None = None
        self._expects_body = 0
        self._generated = False

    def begins(self, part: Token, after: Token | None, words: list[str]) -> bool:
        previous, self._previous = self._previous, part
        if self._expects_body:  # the name behind CONSTRAINT, then its body
            self._expects_body -= 1
            if self._expects_body == 0:
                self._generated = part.is_word("GENERATED")
            return False
        if not part.is_word(*words) or self._goes_on(previous, part, after):
            return False
        if part.is_word("CONSTRAINT"):
            self._expects_body = 2
        self._generated = part.is_word("GENERATED")
        return True

    def _goes_on(
        self, previous: Token | None, part: Token, after: Token | None
    ) -> bool:
        if previous is None:
            return False
        if part.is_word("NULL"):
            return previous.is_word("NOT", "DEFAULT", "SET")
        if part.is_word("DEFAULT"):
            return previous.is_word("SET")
        if part.is_word("NOT"):
            return after is not None and after.is_word("DEFERRABLE")
        return part.is_word("AS") and self._generated


def _clause(group: Sequence[Token]) -> Clause:
    parts = meaningful(group)
    name: str | None = None
    if parts[0].is_word("CONSTRAINT"):
        name = parts[1].name
        if name is None:
            name = parts[1].text.strip("'")
        parts = parts[2:]
    kind = _KIND_OF_WORD[parts[0].text.upper()]
    return Clause(kind, name, joined(group))
