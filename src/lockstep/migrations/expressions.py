"""One SQL expression that is spelled differently on each engine.

Owns ``per_engine``, the way a revision states a check, an index key, a default or
a computed column that both engines understand, but not in the same words.
Must not know: Alembic, connections.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import NULLTYPE

from lockstep.errors import NotPortable
from lockstep.schema.types.portable import for_driver


class PerEngine(ColumnElement[Any]):
    """An SQL text per dialect; made by :func:`per_engine`."""

    __visit_name__ = "lockstep_per_engine"
    inherit_cache = False

    def __init__(self, texts: dict[str, str]) -> None:
        self.texts = texts
        self.type = NULLTYPE

    def text_for(self, dialect_name: str) -> str:
        """Return the text for an engine.

        Raises:
            NotPortable: None was given for it.
        """
        try:
            return self.texts[dialect_name]
        except KeyError:
            known = ", ".join(sorted(self.texts))
            raise NotPortable(
                f"an expression has a text for {known}, none for {dialect_name}",
                hint=f"per_engine(…, {dialect_name}='…')",
            ) from None


@compiles(PerEngine)
def _spell(element: PerEngine, compiler: Any, **_: Any) -> str:  # pyright: ignore[reportUnusedFunction]
    return for_driver(element.text_for(compiler.dialect.name), compiler.dialect)


def per_engine(*, sqlite: str, postgresql: str) -> PerEngine:
    """Return an expression with a text of its own for each engine.

    Args:
        sqlite: SQL as SQLite reads it.
        postgresql: SQL as PostgreSQL reads it.

    Example:
        >>> from sqlalchemy.dialects import postgresql, sqlite
        >>> flag = per_engine(sqlite="done = 1", postgresql="done")
        >>> str(flag.compile(dialect=sqlite.dialect()))
        'done = 1'
        >>> str(flag.compile(dialect=postgresql.dialect()))
        'done'
    """
    return PerEngine({"sqlite": sqlite, "postgresql": postgresql})
