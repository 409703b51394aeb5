"""From differences to operations, in an order that every engine accepts.

Owns the order of a revision and the pairing of each step with its way back:

    drop triggers, foreign keys, tables ► change tables, each at once
    ► create tables ► foreign keys ► triggers

Must not know: how anything is written or carried out.

Invariant: ``downgrade`` is the mirror of ``upgrade``; what it makes again is what
the history declared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops

from lockstep.migrations.column_changes import ColumnChanges
from lockstep.migrations.diff import Difference
from lockstep.migrations.ledger import Ledger
from lockstep.migrations.model_objects import ModelObjects
from lockstep.migrations.old_objects import OldObjects
from lockstep.migrations.operations import (
    AlterSqliteOptionsOp,
    CreateTouchTriggerOp,
    DropTouchTriggerOp,
    RenameConstraintOp,
)
from lockstep.migrations.own_checks import OwnChecks
from lockstep.migrations.state import CheckState, SchemaState
from lockstep.migrations.tables import in_dependency_order
from lockstep.schema import touched_column

Keeps = Callable[[Any, str | None, Any, bool], bool]
Operation = ops.MigrateOperation


def _keep_everything(*_: Any) -> bool:
    return True


@dataclass
class Step:
    """Operations that belong together, and what takes them back."""

    up: list[Operation] = field(default_factory=list[Operation])
    down: list[Operation] = field(default_factory=list[Operation])

    @classmethod
    def of(cls, up: Operation, down: Operation | None) -> Step:
        """Return a step of one operation."""
        return cls([up], [] if down is None else [down])


class ChangePlanner:
    """Turns differences into the two functions of a revision.

    Args:
        found: The differences.
        models: The models with portable defaults.
        ledger: What the history declares.
        database: The database's schema.
        keeps: The project's own filter (``include_object`` and ``include_name``).
    """

    def __init__(
        self,
        found: Sequence[Difference],
        models: sa.MetaData,
        ledger: Ledger,
        database: SchemaState,
        *,
        keeps: Keeps = _keep_everything,
    ) -> None:
        self.warnings: list[str] = []
        self._models = ModelObjects(models)
        self._old = OldObjects(ledger, database)
        self._ledger = ledger
        self._keeps = keeps
        known = [*models.tables.values(), *ledger.metadata().tables.values()]
        self._own = OwnChecks(known, models)
        self._found = [item for item in found if self._is_wanted(item)]
        self.found = list(self._found)

    def plan(self) -> tuple[list[Operation], list[Operation]]:
        """Return the operations of ``upgrade()`` and of ``downgrade()``."""
        self._add_dependent_foreign_keys()
        new = [i.table for i in self._found if i.kind == "table" and i.is_missing]
        old = [i.table for i in self._found if i.kind == "table" and i.is_extra]
        steps = [*self._triggers(gone=True), *self._foreign_keys(gone=True)]
        steps += self._drop_tables(old)
        changed = {i.table: None for i in self._found if i.kind != "table"}
        for table in changed:
            steps += self._change_table(table)
        # New tables may point at columns that have just changed their type.
        created, late_keys = self._create_tables(new)
        steps += [*created, *late_keys, *self._foreign_keys(gone=False)]
        steps += self._triggers(gone=False)
        up = [operation for step in steps for operation in step.up]
        down = [operation for step in reversed(steps) for operation in step.down]
        return up, down

    def _is_wanted(self, item: Difference) -> bool:
        reflected = item.is_extra
        table: Any = self._models.table(item.table)
        if table is None:
            table = self._old.table(item.table)
        if not self._keeps(table, item.table, "table", reflected and table is None):
            return False
        kinds = {
            "column": "column",
            "index": "index",
            "unique": "unique_constraint",
            "foreign key": "foreign_key_constraint",
            "check": "check_constraint",
        }
        if item.kind == "table":
            return self._keeps(table, item.table, "table", item.is_extra)
        if item.kind not in kinds or self._own.has(item.table, item.name):
            return True
        thing = self._thing(item)
        return thing is None or self._keeps(
            thing, item.name, kinds[item.kind], reflected
        )

    def _thing(self, item: Difference) -> Any:
        if item.kind == "column":
            assert item.name is not None, "a column has a name"
            side = self._old if item.is_extra else self._models
            return side.column(item.table, item.name)
        if item.kind == "index":
            assert item.name is not None, "an index has a name"
            side = self._old if item.is_extra else self._models
            return side.index(item.table, item.name)
        assert item.state is not None, "constraints carry their state"
        side = self._old if item.is_extra else self._models
        return side.constraint(item.table, item.state)

    def _add_dependent_foreign_keys(self) -> None:
        """Let foreign keys step aside where a key they use changes its type.

        PostgreSQL refuses to leave a uuid pointing at a text even for a moment.
        """
        known = {item.key for item in self._found}
        extra: list[Difference] = []
        moved = self._moved_columns()
        for table in self._models.metadata.tables.values():
            for constraint in table.foreign_key_constraints:
                if not self._touches(constraint, moved):
                    continue
                found = self._models.foreign_key_differences(table, constraint)
                extra += [i for i in found if i.key not in known and self._exists(i)]
        self._found += extra

    def _moved_columns(self) -> set[tuple[str, str]]:
        """Return the columns whose type changes, and keys that are replaced."""
        moved = {
            (item.table, item.name or "")
            for item in self._found
            if item.kind in ("type", "generated")
        }
        for item in self._found:
            if item.kind in ("primary key", "unique") and item.is_extra:
                columns = getattr(item.state, "columns", ())
                moved |= {(item.table, str(name)) for name in columns}
        return moved

    def _touches(
        self, constraint: sa.ForeignKeyConstraint, moved: set[tuple[str, str]]
    ) -> bool:
        for element in constraint.elements:
            local = (constraint.table.name, element.parent.name)
            remote = (element.column.table.name, element.column.name)
            if local in moved or remote in moved:
                return True
        return False

    def _exists(self, item: Difference) -> bool:
        """Whether a foreign key of the models is in the database now."""
        found = self._ledger.table(item.table)
        return found is not None and any(
            str(constraint.name) == item.name
            for constraint in found.foreign_key_constraints
        )

    def _of(self, kind: str, table: str | None = None) -> Iterable[Difference]:
        for item in self._found:
            if item.kind == kind and table in (None, item.table):
                yield item

    def _triggers(self, *, gone: bool) -> list[Step]:
        steps: list[Step] = []
        for item in self._of("trigger"):
            changed = not item.is_missing and not item.is_extra
            if gone and (item.is_extra or changed):
                key, column = self._old_touch(item.table)
                drop = DropTouchTriggerOp(item.table, key, column=column)
                steps.append(Step.of(drop, drop.reverse()))
            if not gone and (item.is_missing or changed):
                create = self._models.touch_trigger(item.table)
                steps.append(Step.of(create, create.reverse()))
        return steps

    def _old_touch(self, table: str) -> tuple[list[str], str]:
        entry = self._ledger.tables.get(table)
        if entry is not None and entry.touch_key is not None:
            return entry.touch_key, entry.touch_column
        made = self._old.table(table)
        return [column.name for column in made.primary_key.columns], "updated_at"

    def _foreign_keys(self, *, gone: bool) -> list[Step]:
        steps: list[Step] = []
        created = {i.table for i in self._of("table") if i.is_missing}
        for item in self._of("foreign key"):
            if item.table in created or item.is_extra != gone:
                continue
            if not item.is_extra and not item.is_missing:
                continue
            steps.append(self._constraint_step(item))
        return steps

    def _constraint_step(self, item: Difference) -> Step:
        constraint = self._thing(item)
        assert isinstance(constraint, sa.Constraint), "the state names one"
        if item.is_extra:
            drop = ops.DropConstraintOp.from_constraint(constraint)
            return Step.of(drop, drop.reverse())
        add = ops.AddConstraintOp.from_constraint(constraint)
        return Step.of(add, add.reverse())

    def _create_tables(self, names: Sequence[str]) -> tuple[list[Step], list[Step]]:
        """Return the steps that create tables, and those that close cycles."""
        tables = [self._models.metadata.tables[name] for name in names]
        steps: list[Step] = []
        late: list[Step] = []
        ordered = in_dependency_order(tables)
        apart = {
            constraint
            for table, constraints in ordered
            if table is None
            for constraint in constraints
            # A table may point at itself from the start.
            if constraint.referred_table is not constraint.table
        }
        for table, _ in ordered:
            if table is None:
                continue
            steps.append(self._create_table(table, apart))
            steps += self._parts_of_new_table(table)
        for constraint in sorted(apart, key=lambda item: str(item.name)):
            named = self._models.with_name(constraint)
            add = ops.AddConstraintOp.from_constraint(named)
            late.append(Step.of(add, add.reverse()))
        return steps, late

    def _create_table(self, table: sa.Table, apart: set[Any]) -> Step:
        create = ops.CreateTableOp.from_table(table)
        create.columns = [item for item in create.columns if item not in apart]
        return Step.of(create, ops.DropTableOp(table.name))

    def _parts_of_new_table(self, table: sa.Table) -> list[Step]:
        steps: list[Step] = []
        for index in sorted(table.indexes, key=lambda item: str(item.name)):
            create = ops.CreateIndexOp.from_index(index)
            steps.append(Step.of(create, create.reverse()))
        if touched_column(table) is not None:
            trigger = self._models.touch_trigger(table.name)
            steps.append(Step.of(trigger, trigger.reverse()))
        return steps

    def _drop_tables(self, names: Sequence[str]) -> list[Step]:
        tables = [self._old.table(name) for name in names]
        steps: list[Step] = []
        late: list[Step] = []
        ordered = in_dependency_order(tables)
        apart = {
            constraint
            for table, constraints in ordered
            if table is None
            for constraint in constraints
            if constraint.referred_table.name in names
            and constraint.referred_table is not constraint.table
        }
        for constraint in sorted(apart, key=lambda item: str(item.name)):
            drop = ops.DropConstraintOp.from_constraint(constraint)
            steps.append(Step.of(drop, drop.reverse()))
        for table, _ in reversed(ordered):
            if table is not None:
                late.append(self._drop_table(table, apart))
        return steps + late

    def _drop_table(self, table: sa.Table, apart: set[Any]) -> Step:
        create = ops.CreateTableOp.from_table(table)
        create.columns = [item for item in create.columns if item not in apart]
        down: list[Operation] = [create]
        indexes = sorted(table.indexes, key=lambda item: str(item.name))
        down.extend(ops.CreateIndexOp.from_index(index) for index in indexes)
        entry = self._ledger.tables.get(table.name)
        if entry is not None and entry.touch_key is not None:
            down.append(
                CreateTouchTriggerOp(
                    table.name, entry.touch_key, column=entry.touch_column
                )
            )
        return Step([ops.DropTableOp.from_table(table)], down)

    def _change_table(self, table: str) -> list[Step]:
        """Return the steps of one table, which become one rebuild on SQLite."""
        changes = ColumnChanges(table, self._models, self._old, self._own)
        columns = changes.plan([i for i in self._found if i.table == table])
        self.warnings += changes.warnings
        inside: list[Step] = []
        for kind in ("index", "unique", "check"):
            inside += self._objects(table, kind, gone=True)
        inside += self._primary_key(table, gone=True)
        inside += [Step.of(up, down) for up, down in columns.inside]
        inside += self._primary_key(table, gone=False)
        for kind in ("check", "unique", "index"):
            inside += self._objects(table, kind, gone=False)
        inside += self._renames(table)
        steps = [Step(list(before), list(after)) for before, after in columns.first]
        block = Step(
            [ops.ModifyTableOps(table, [op for step in inside for op in step.up])],
            [
                ops.ModifyTableOps(
                    table, [op for step in reversed(inside) for op in step.down]
                )
            ],
        )
        if inside:
            steps.append(block)
        steps += [Step(list(before), list(after)) for before, after in columns.last]
        return steps + self._options(table) + self._comment(table)

    def _objects(self, table: str, kind: str, *, gone: bool) -> list[Step]:
        steps: list[Step] = []
        for item in self._of(kind, table):
            if item.is_extra != gone or self._is_own_check(item):
                continue
            if not item.is_extra and not item.is_missing:
                continue
            if kind == "index":
                steps.append(self._index_step(item))
            else:
                steps.append(self._constraint_step(item))
        return steps

    def _index_step(self, item: Difference) -> Step:
        index = self._thing(item)
        assert isinstance(index, sa.Index), "the difference names one"
        if item.is_extra:
            drop = ops.DropIndexOp.from_index(index)
            return Step.of(drop, ops.CreateIndexOp.from_index(index))
        create = ops.CreateIndexOp.from_index(index)
        return Step.of(create, create.reverse())

    def _primary_key(self, table: str, *, gone: bool) -> list[Step]:
        return [
            self._constraint_step(item)
            for item in self._of("primary key", table)
            if item.is_extra == gone and (item.is_extra or item.is_missing)
        ]

    def _is_own_check(self, item: Difference) -> bool:
        return isinstance(item.state, CheckState) and (
            self._own.owner(item.table, item.state) is not None
        )

    def _renames(self, table: str) -> list[Step]:
        steps: list[Step] = []
        for item in self._found:
            both = item.actual is not None and item.wanted is not None
            if item.table != table or item.state is None or not both:
                continue
            assert item.actual is not None, "checked above"
            assert item.wanted is not None, "checked above"
            only_here = item.kind == "check" and self._own.has(table, item.wanted)
            rename = RenameConstraintOp(
                table, item.actual, item.wanted, if_exists=only_here
            )
            steps.append(Step.of(rename, rename.reverse()))
        return steps

    def _options(self, table: str) -> list[Step]:
        names = {item.name: item for item in self._of("option", table)}
        if not names:
            return []
        options = {
            str(name).replace(" ", "_"): not str(item.wanted).startswith("not ")
            for name, item in names.items()
        }
        change = AlterSqliteOptionsOp(table, **options)
        return [Step.of(change, change.reverse())]

    def _comment(self, table: str) -> list[Step]:
        if not any(self._of("table comment", table)):
            return []
        wanted = self._models.metadata.tables[table].comment
        was = self._old.table(table).comment
        change: Any
        if wanted is None:
            change = ops.DropTableCommentOp(table, existing_comment=was)
        else:
            change = ops.CreateTableCommentOp(table, wanted, existing_comment=was)
        return [Step.of(change, change.reverse())]
