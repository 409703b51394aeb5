"""The checks that belong to a column's type, and to nothing else.

Owns the answer to "whose check is this": the check of a boolean, an enum's values,
a text's length come and go with their column and its type, and on some engines do
not exist at all. Must not know: differences, operations.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from lockstep.migrations.ddl import lone_column, make_dialect, own_checks
from lockstep.migrations.sqlite.tokens import canonical
from lockstep.migrations.state import CheckState

_DIALECTS = [make_dialect(name) for name in ("sqlite", "postgresql")]


class OwnChecks:
    """Knows the checks of every column type in some tables.

    Args:
        tables: Of the models and of the history.
        naming: Whose naming convention counts.
    """

    def __init__(self, tables: Iterable[sa.Table], naming: sa.MetaData) -> None:
        self._owners: dict[tuple[str, str], str] = {}
        self._naming = naming
        for table in tables:
            self._learn(table)

    def _learn(self, table: sa.Table) -> None:
        for column in table.columns:
            lone = lone_column(
                table.name, column.name, column.type, metadata=self._naming
            )
            for dialect in _DIALECTS:
                for check in own_checks(dialect, lone):
                    key = check.name or canonical(check.expression)
                    self._owners[(table.name, key)] = column.name

    def owner(self, table: str, state: CheckState) -> str | None:
        """Return the column whose type brings a check; None if nobody's does."""
        return self._owners.get((table, state.name or state.expression))

    def has(self, table: str, name: str | None) -> bool:
        """Whether a name is that of some type's check."""
        return name is not None and (table, name) in self._owners
