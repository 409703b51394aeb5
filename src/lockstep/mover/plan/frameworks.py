"""What a file's own framework means by its moments, and makes of them on PostgreSQL.

Owns the proof: the table in which a framework keeps its history. An unchanged
application shall run on the moved database, so that the type of a column is the one
that its framework would have made there, where the file alone can say it:

    framework  moments in the file                    on PostgreSQL   said by the file
    Rails      texts in UTC                           timestamp       yes
    Prisma     milliseconds since 1970                timestamp       yes
    Django     texts, in UTC where USE_TZ is True,    timestamptz     no: ``utc``
               else in the zone of its settings
    others     whatever they mean                     timestamp       no: ``utc``

A column without a value is what the others of its declaration are: where every
DATETIME that holds something holds a zone, one that is empty so far will, too.

Invariant: no moment is given a zone that neither the file nor a person named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from lockstep.migrations.sqlite.tokens import fold
from lockstep.moments.forms import OWN
from lockstep.moments.names import is_time_type
from lockstep.mover.codecs.moments import WITHOUT_ZONE
from lockstep.mover.codecs.written import UTC_IS_MEANT
from lockstep.mover.model.plan import TablePlan
from lockstep.mover.model.profile import ColumnProfile, TableProfile
from lockstep.mover.model.sqlite import Column, Schema
from lockstep.mover.plan.times import NOTHING_MEANT, Meant, unit_of
from lockstep.mover.plan.types import Chosen, choose
from lockstep.wording import counted

_OWN_FORM: Final = {kind: form for form, kind in OWN.items()}["timestamp"]
_MILLISECONDS: Final = (-62_135_596_800_000, 253_402_300_799_999)
"""From the year 1 to 9999."""
_NAIVE: Final = "timestamp"
_MOMENTS: Final = frozenset({"timestamp", "timestamptz", "date", "time"})


@dataclass(frozen=True)
class Framework:
    """One that a file can prove.

    Attributes:
        name: As people call it.
        history: The table in which it keeps what it has done.
        columns: That this table has, and hardly another one of its name.
        advice: What to know of a moment that becomes a ``timestamp``.
        counts_milliseconds: Whether it stores moments as numbers.
    """

    name: str
    history: str
    columns: frozenset[str]
    advice: str
    counts_milliseconds: bool = False


DJANGO: Final = Framework(
    *("Django", "django_migrations", frozenset({"app", "name", "applied"})),
    "which is right with USE_TZ = False; with USE_TZ = True, the default, they are UTC "
    "and Django wants timestamptz: --utc",
)
RAILS: Final = Framework(
    *("Rails", "ar_internal_metadata", frozenset({"key", "value", "created_at"})),
    "as Rails has them on PostgreSQL",
)
PRISMA: Final = Framework(
    *("Prisma", "_prisma_migrations"),
    frozenset({"checksum", "migration_name", "applied_steps_count"}),
    "as Prisma has them on PostgreSQL",
    counts_milliseconds=True,
)


def framework_of(schema: Schema) -> Framework | None:
    """Return the framework that made a file, if the file proves one."""
    tables = {
        fold(table.name): {fold(column.name) for column in table.columns}
        for table in schema.tables
    }
    for framework in (DJANGO, RAILS, PRISMA):
        if framework.columns <= tables.get(framework.history, set()):
            return framework
    return None


def shown_by_others(
    schema: Schema, profiles: Mapping[str, TableProfile]
) -> dict[str, Chosen]:
    """Return what columns of moments are that hold any, where they all are one type.

    Returns:
        By declaration; without a form where they have several.
    """
    found: dict[str, set[Chosen]] = {}
    for table in schema.tables:
        for column in table.columns if table.name in profiles else []:
            stored = profiles[table.name].column(column.name)
            if not stored.classes or not is_time_type(column.declared):
                continue
            chosen = choose(column, stored)
            if chosen.type in _MOMENTS:
                found.setdefault(_declaration(column), set()).add(chosen)
    shown: dict[str, Chosen] = {}
    for declared, some in found.items():
        types = {chosen.type for chosen in some}
        if len(types) == 1:
            shown[declared] = (
                some.pop() if len(some) == 1 else Chosen(types.pop(), "text")
            )
    return shown


def _declaration(column: Column) -> str:
    return " ".join(column.declared.upper().split())


@dataclass(frozen=True)
class Moments:
    """What the moments in a file mean.

    Attributes:
        framework: That the file proves.
        meant: What a person says.
        shown: What those of a declaration are that hold any.
    """

    framework: Framework | None = None
    meant: Meant = NOTHING_MEANT
    shown: Mapping[str, Chosen] = field(default_factory=dict[str, Chosen])

    def meant_by(self, column: Column, stored: ColumnProfile, chosen: Chosen) -> Chosen:
        """Return the type of a column as it is meant; ``chosen`` where nothing is."""
        if not stored.classes and chosen.type in _MOMENTS:
            chosen = self._like_the_others(column, chosen)
        unit = unit_of(column, stored) if self.meant.clean else None
        if self._counts_milliseconds(column, stored):
            assert self.framework is not None, "it is who counts"
            note = f"{self.framework.name}'s milliseconds since 1970"
            chosen = Chosen(_NAIVE, f"epoch:ms{WITHOUT_ZONE}", note)
        elif unit is not None and unit.word:
            note = f"integers in {unit.name}"
            chosen = Chosen("timestamptz", f"epoch:{unit.word}", note)
        return _in_utc(chosen) if self.meant.utc else chosen

    def _like_the_others(self, column: Column, chosen: Chosen) -> Chosen:
        other = self.shown.get(_declaration(column), chosen)
        if other.type == chosen.type:
            return replace(other, note="")
        note = f"empty, and like every other {column.declared} of the file"
        return replace(other, note=note)

    def _counts_milliseconds(self, column: Column, stored: ColumnProfile) -> bool:
        if self.framework is None or not self.framework.counts_milliseconds:
            return False
        if column.declared.upper() != "DATETIME" or stored.classes - {"integer"}:
            return False
        low, high = stored.integer_min, stored.integer_max
        if low is None or high is None:
            return not stored.classes
        return low >= _MILLISECONDS[0] and high <= _MILLISECONDS[1]

    def told(self, tables: Sequence[TablePlan]) -> list[str]:
        """Return what the plan says about moments that name no zone."""
        names = [
            f"{table.source}.{column.source}"
            for table in tables
            for column in table.columns
            if column.type == _NAIVE or column.codec.endswith(UTC_IS_MEANT)
        ]
        if not names:
            return []
        found = f"{counted(len(names), 'column')} of moments that name no zone"
        found += f", such as {names[0]}," if len(names) > 1 else f", {names[0]},"
        become = "becomes" if len(names) == 1 else "become"
        if self.meant.utc:
            return [f"{found} {become} timestamptz, because --utc says what they mean"]
        if self.framework is None:
            advice = "where they are meant in UTC, --utc makes them timestamptz"
            return [f"{found} {become} timestamp; {advice}"]
        proof = f"{self.framework.name} made this file ({self.framework.history})"
        return [f"{proof}: {found} {become} timestamp, {self.framework.advice}"]


NOTHING_KNOWN: Final = Moments()


def _in_utc(chosen: Chosen) -> Chosen:
    if chosen.type != _NAIVE:
        return chosen
    word, _, form = chosen.codec.partition(":")
    if word == "epoch":
        codec = chosen.codec.removesuffix(WITHOUT_ZONE)
    else:
        codec = f"moment:{form or _OWN_FORM}{UTC_IS_MEANT}"
    return replace(chosen, type="timestamptz", codec=codec)
