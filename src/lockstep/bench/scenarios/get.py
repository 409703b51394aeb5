"""A row by its key against the raw driver: what the library itself costs."""

from __future__ import annotations

from lockstep.bench.contestants import SQLITE
from lockstep.bench.peers.advanced_alchemy_shelf import AdvancedAlchemyShelf
from lockstep.bench.peers.django_shelf import DjangoShelf
from lockstep.bench.peers.lockstep_shelf import LockstepShelf, OrmRepositoryShelf
from lockstep.bench.peers.raw import RawShelf, TypedByHand
from lockstep.bench.peers.sqlalchemy_shelf import CoreShelf, OrmShelf
from lockstep.bench.scenario import Contestant, Metric, Scale, Scenario, Target
from lockstep.bench.shelf import Get, Shelf

RAW = "sqlite3"
BY_HAND = "sqlite3, typed by hand"
RECORDS = "Lockstep, SQLite, records"


def sides() -> list[Shelf]:
    """Return every side that reads a SQLite file."""
    return [
        RawShelf(SQLITE),
        TypedByHand(),
        LockstepShelf(SQLITE),
        LockstepShelf(SQLITE, records=False),
        OrmRepositoryShelf(SQLITE),
        CoreShelf(SQLITE),
        OrmShelf(SQLITE),
        DjangoShelf(),
        AdvancedAlchemyShelf(),
    ]


def _contestants(scale: Scale) -> list[Contestant]:
    return [Get(shelf, scale.pick(5, 1), scale.pick(100, 5)) for shelf in sides()]


SCENARIO = Scenario(
    name="get",
    title="A row by its key, a hundred in a transaction, against the raw driver",
    why=(
        "What a data layer adds to SQLite's few microseconds. The raw driver returns "
        "tuples of stored values; everybody else typed rows of seven columns. So there "
        "are two targets: against those tuples, and against the same driver with each "
        "value converted by hand."
    ),
    metric=Metric.TIME,
    baseline=RAW,
    contestants=_contestants,
    no_limit=(
        "The work is done in this process, from memory: the raw driver beside it is "
        "the limit."
    ),
    targets=(
        Target(RECORDS, "at most", 1.5, RAW),
        Target(RECORDS, "at most", 1.5, BY_HAND),
    ),
    # Short rounds, and many: a median of few is moved by other programs.
    rounds=21,
)
