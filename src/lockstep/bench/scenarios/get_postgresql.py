"""A row by its key on PostgreSQL, against the raw driver."""

from __future__ import annotations

from lockstep.bench.contestants import POSTGRESQL
from lockstep.bench.peers.lockstep_shelf import LockstepShelf, OrmRepositoryShelf
from lockstep.bench.peers.raw import RawShelf
from lockstep.bench.peers.sqlalchemy_shelf import CoreShelf, OrmShelf
from lockstep.bench.scenario import Contestant, Metric, Scale, Scenario, Target
from lockstep.bench.shelf import Get, Shelf

RAW = "psycopg"
RECORDS = "Lockstep, PostgreSQL, records"


def _contestants(scale: Scale) -> list[Contestant]:
    sides: list[Shelf] = [
        RawShelf(POSTGRESQL),
        LockstepShelf(POSTGRESQL),
        LockstepShelf(POSTGRESQL, records=False),
        OrmRepositoryShelf(POSTGRESQL),
        CoreShelf(POSTGRESQL),
        OrmShelf(POSTGRESQL),
    ]
    return [Get(shelf, scale.pick(5, 1), scale.pick(100, 5)) for shelf in sides]


SCENARIO = Scenario(
    name="get-postgresql",
    title="A row by its key on PostgreSQL, a hundred in a transaction",
    why=(
        "The round trip hides part of what a library costs, not all of it. The raw "
        "driver prepares the statement and returns tuples."
    ),
    metric=Metric.TIME,
    baseline=RAW,
    contestants=_contestants,
    targets=(Target(RECORDS, "at most", 1.2, RAW),),
    limit="loopback",
    # Short rounds, and many: a median of few is moved by other programs.
    rounds=21,
)
