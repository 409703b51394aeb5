"""Expressions and defaults as source code that means the same on every engine.

Owns how a check, an index key, a computed column or a server default of a model
is written in a revision: one text where both engines spell it alike, else
``per_engine(sqlite=…, postgresql=…)``. Must not know: operations.
"""

from __future__ import annotations

from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy import exc as sa_exc
from sqlalchemy.sql.elements import False_, Grouping, TextClause, True_
from sqlalchemy.sql.functions import FunctionElement

from lockstep.errors import NotPortable
from lockstep.migrations.ddl import expression_sql, make_dialect
from lockstep.migrations.expressions import PerEngine
from lockstep.migrations.portable_default import portable_default
from lockstep.migrations.render.code import call, literal
from lockstep.schema import utc_now
from lockstep.schema.defaults import StoredDefault

_SQLITE, _POSTGRESQL = make_dialect("sqlite"), make_dialect("postgresql")
PER_ENGINE_IMPORT = "from lockstep.migrations import per_engine"


class ValueRenderer:
    """Writes expressions and collects the imports that the file needs."""

    def __init__(self, imports: set[str] | None = None) -> None:
        self.imports: set[str] = set() if imports is None else imports

    def expression(self, element: Any, *, where: str, wrap: str | None) -> str:
        """Return the source of an expression.

        Args:
            element: SQLAlchemy's element, or a text.
            where: What it belongs to, for the error.
            wrap: ``sa.text`` or ``sa.literal_column`` around a common text; None
                for a plain string.
        """
        if isinstance(element, PerEngine):
            return self._per_engine(element.texts)
        texts = {
            "sqlite": spelled(_SQLITE, element, where),
            "postgresql": spelled(_POSTGRESQL, element, where),
        }
        if texts["sqlite"] != texts["postgresql"]:
            return self._per_engine(texts)
        source = literal(texts["sqlite"])
        return source if wrap is None else f"{wrap}({source})"

    def _per_engine(self, texts: dict[str, str]) -> str:
        self.imports.add(PER_ENGINE_IMPORT)
        return call(
            "per_engine",
            [
                f"sqlite={literal(texts['sqlite'])}",
                f"postgresql={literal(texts['postgresql'])}",
            ],
            column=24,
        )

    def default(self, column: sa.Column[Any]) -> str | None:
        """Return the source of a column's server default; None without one."""
        default = portable_default(column)
        if default is None or isinstance(default, sa.Computed | sa.Identity):
            return None
        return self.default_value(default, where=_where(column))

    def default_value(self, default: Any, *, where: str) -> str:
        """Return the source of something ``portable_default`` made."""
        if isinstance(default, sa.DefaultClause):
            default = default.arg
        if isinstance(default, str):
            return literal(default)
        while isinstance(default, Grouping):
            default = default.element  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        if isinstance(default, True_ | False_):
            return "sa.true()" if isinstance(default, True_) else "sa.false()"
        if isinstance(default, StoredDefault):
            return literal(default.text)
        if isinstance(default, utc_now):
            return "ls.utc_now()"
        if isinstance(default, FunctionElement) and not _has_arguments(
            cast("Any", default)
        ):
            name = str(getattr(cast("object", default), "name", "")).lower()
            if name in ("now", "current_timestamp"):
                return "sa.func.now()"
            if name in ("current_date", "current_time"):
                return f"sa.func.{name}()"
        return self.expression(default, where=where, wrap="sa.text")

    def positional(self, column: sa.Column[Any]) -> str | None:
        """Return ``sa.Computed(…)`` or ``sa.Identity(…)``; None without."""
        default: Any = column.server_default
        if isinstance(default, sa.Computed):
            text = self.expression(default.sqltext, where=_where(column), wrap=None)
            kept = (
                "" if default.persisted is None else f", persisted={default.persisted}"
            )
            return f"sa.Computed({text}{kept})"
        if isinstance(default, sa.Identity):
            options = [
                f"{name}={getattr(default, name)!r}"
                for name in [
                    "always",
                    "start",
                    "increment",
                    "minvalue",
                    "maxvalue",
                    "nominvalue",
                    "nomaxvalue",
                    "cycle",
                    "cache",
                ]
                if getattr(default, name, None) not in (None, False)
            ]
            return f"sa.Identity({', '.join(options)})"
        return None


def _has_arguments(function: Any) -> bool:
    return bool(list(function.clauses))


_IDENTITY_OPTIONS = (
    *("always", "start", "increment", "minvalue", "maxvalue"),
    *("nominvalue", "nomaxvalue", "cycle", "cache"),
)


def spelled(dialect: Any, element: Any, where: str) -> str:
    """Return an expression as an engine spells it.

    Raises:
        NotPortable: The engine has no words for it.
    """
    if isinstance(element, str):
        return element
    if isinstance(element, TextClause):
        # text() doubles a backslash before a colon that is no parameter.
        return element.text
    try:
        return expression_sql(dialect, element)
    except (sa_exc.CompileError, NotImplementedError) as exc:
        raise NotPortable(
            f"{where} cannot be written for {dialect.name}: {exc}",
            hint="use per_engine(sqlite='…', postgresql='…')",
        ) from exc


def _where(column: sa.Column[Any]) -> str:
    table = cast("sa.Table | None", column.table)
    return column.name if table is None else f"{table.name}.{column.name}"
