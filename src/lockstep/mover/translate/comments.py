"""What people wrote beside the tables and columns of a CREATE TABLE statement.

Owns to which column a comment belongs, and the form in which the comments of
another engine are written so that they are found again:

    CREATE TABLE parts (  -- what lies in the store        the table
      id INTEGER PRIMARY KEY,  -- given by the scanner     id
      /* shelf, row, place */
      bin TEXT                                             bin: it stands above
    )
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from lockstep.migrations.sqlite.tokens import Token, fold, quote, tokens

_COMMENT = re.compile(r"--([^\n]*)|/\*(.*?)(?:\*/|$)", re.DOTALL)
_CONSTRAINTS = ("CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN")


@dataclass
class Comments:
    """The comments of one table; ``columns`` by name in lower case."""

    table: str = ""
    columns: dict[str, str] = field(default_factory=dict[str, str])


def comments_of(sql: str) -> Comments:
    r"""Return the comments of a CREATE TABLE statement, each with its column.

    Example:
        >>> comments_of("CREATE TABLE t (a, -- one\n /* two */ b)").columns
        {'a': 'one', 'b': 'two'}
    """
    found: dict[str | None, list[str]] = {}
    waiting: list[str] = []
    current: str | None = None
    is_behind = False
    for part, depth, begins_column in _walk(sql):
        if part.kind == "blank":
            for text, is_own_line in _comments(part.text):
                if depth == 1 and is_behind and is_own_line:
                    waiting.append(text)
                else:
                    found.setdefault(current, []).append(text)
            continue
        if begins_column:
            is_name = part.name is not None and not part.is_word(*_CONSTRAINTS)
            current = fold(part.name or "") if is_name else ""
            if waiting:
                found.setdefault(current, []).extend(waiting)
                waiting = []
        is_behind = depth <= 1 and part.text in ("(", ",")
        if depth == 0:
            current = None
    table = "\n".join(found.pop(None, []))
    found.pop("", None)
    columns = {str(name): "\n".join(texts) for name, texts in found.items()}
    return Comments(table.strip(), {n: t.strip() for n, t in columns.items()})


def _walk(sql: str) -> Iterator[tuple[Token, int, bool]]:
    """Yield each token, how deep it stands, and whether a definition begins there."""
    depth, is_first = 0, False
    for part in tokens(sql):
        depth -= part.is_symbol(")")
        yield part, depth, is_first and part.kind != "blank"
        if part.kind != "blank":
            opens = part.is_symbol("(")
            is_first = (opens and depth == 0) or (depth == 1 and part.is_symbol(","))
            depth += opens


def _comments(blank: str) -> Iterator[tuple[str, bool]]:
    """Yield each comment, and whether it has a line of its own."""
    for match in _COMMENT.finditer(blank):
        text = match[1] if match[1] is not None else match[2]
        lines = [re.sub(r"^\s*\*?\s?", "", line).rstrip() for line in text.split("\n")]
        yield "\n".join(lines).strip(), "\n" in blank[: match.start()]


def commented(name: str, comments: Comments, clauses: list[tuple[str, str]]) -> str:
    """Return CREATE TABLE with its comments.

    Args:
        name: The table's name.
        comments: Whose columns are known by the names in ``clauses``.
        clauses: ``(column or empty, SQL)`` in order.
    """
    head = f" /* {comments.table.replace('*/', '* /')} */" if comments.table else ""
    lines: list[str] = []
    for place, (column, sql) in enumerate(clauses):
        comment = comments.columns.get(fold(column), "") if column else ""
        lines += [f"  -- {text}" for text in comment.splitlines()]
        lines.append(f"  {sql}{',' if place < len(clauses) - 1 else ''}")
    body = "\n".join(lines)
    return f"CREATE TABLE {quote(name)}{head} (\n{body}\n)"
