"""Two million wide rows from a SQLite file to PostgreSQL."""

from __future__ import annotations

from lockstep.bench.movers import (
    Adbc,
    DuckDb,
    Pgloader,
    PgloaderRows,
    PgloaderRuns,
    ReadyCopy,
    ReadyCopyAndKeys,
    RowByRow,
)
from lockstep.bench.moving import (
    NOT_VERIFIED,
    Lockstep,
    Moves,
    WideTable,
    seconds_of,
)
from lockstep.bench.scenario import Contestant, Metric, Scale, Scenario, Target

_WHOLE = "Lockstep, not verified"
_ROWS = "Lockstep, the rows alone"


def _contestants(scale: Scale) -> list[Contestant]:
    table, moves, runs = WideTable(scale), Moves(), PgloaderRuns()
    return [
        Lockstep(table, _WHOLE, NOT_VERIFIED, moves),
        Lockstep(table, _ROWS, seconds_of("copy"), moves),
        ReadyCopy(table),
        ReadyCopyAndKeys(table),
        RowByRow(table),
        Adbc(table),
        DuckDb(table),
        Pgloader(table, runs),
        PgloaderRows(table, runs),
    ]


SCENARIO = Scenario(
    name="move",
    title="Two million wide rows from a SQLite file to PostgreSQL",
    why=(
        "A move must fit into a night. The inspection that chooses types and the keys "
        "are part of the first line; COPY of a file that has its lines already is "
        "what PostgreSQL itself can take on this machine, with its keys what no mover "
        "can be faster than."
    ),
    metric=Metric.RATE,
    baseline=ReadyCopy.name,
    contestants=_contestants,
    targets=(
        Target(_WHOLE, "at least", 3.5, Pgloader.name),
        Target(_ROWS, "at least", 3.5, PgloaderRows.name),
        Target(_ROWS, "at least", 1 / 1.3, ReadyCopy.name),
    ),
    limit="write",
    rounds=3,
)
