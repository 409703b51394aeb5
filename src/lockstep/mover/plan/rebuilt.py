"""What is built behind the rows, where a mapping file renames and retypes columns.

Owns which of two texts counts. A statement that stands in the file as it was
written is nobody's wish: it is planned anew for the new names and types. One that
somebody edited, added or took away is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lockstep.mover.model.plan import Plan, Statement


@dataclass(frozen=True)
class Built:
    """What a plan builds before anything of it is changed.

    Attributes:
        statements: By purpose and name.
        computed: How the target computes a column, by table and column.
    """

    statements: Mapping[tuple[str, str], Statement]
    computed: Mapping[tuple[str, str], str]

    @classmethod
    def of(cls, plan: Plan) -> Built:
        """Remember what a plan builds."""
        return cls(
            {(s.purpose, s.name): s for table in plan.tables for s in table.statements},
            _computed(plan),
        )

    def keep_edited(
        self, plan: Plan, asked: Built, wanted: Mapping[str, Sequence[Statement]]
    ) -> None:
        """Put what a mapping file says into a plan that was built anew.

        Args:
            plan: With the file's names and types.
            asked: What it was before it was built anew.
            wanted: The file's statements by table; of other tables it says nothing.
        """
        for table in plan.tables:
            for column in table.columns:
                key = (table.source, column.source)
                if asked.computed[key] != self.computed[key]:
                    column.computed = asked.computed[key]
        edited: dict[str, list[Statement]] = {}
        as_written: set[tuple[str, str]] = set()
        for name, statements in wanted.items():
            for item in statements:
                if self.statements.get((item.purpose, item.name)) == item:
                    as_written.add((item.purpose, item.name))
                else:
                    edited.setdefault(name, []).append(item)
        for table in plan.tables:
            if table.source in wanted:
                table.statements = [
                    item
                    for item in table.statements
                    if (key := (item.purpose, item.name)) in as_written
                    or key not in self.statements
                ]
            table.statements += edited.get(table.source, [])


def _computed(plan: Plan) -> dict[tuple[str, str], str]:
    return {
        (table.source, column.source): column.computed
        for table in plan.tables
        for column in table.columns
    }
