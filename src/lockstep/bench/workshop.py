"""The data of the benchmark: a small workshop, the same rows on every side.

Owns the tables and the seeded rows. Every contestant's database is made here, also
those that are then read without Lockstep, so all sides see equal tables, indexes and
values.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from lockstep.bench.scenario import SEED, Scale
from lockstep.engine import Database
from lockstep.schema import BigInteger, Money, Portable, Text, UuidKey, Versioned

BEGINNING = datetime(2026, 1, 5, 6, 0, tzinfo=UTC)
STATUSES = ("open", "in progress", "resolved", "closed")
BATCH = 1000


class Base(Portable, DeclarativeBase):
    """What all tables of the workshop have."""


class Machine(UuidKey, Base):
    """What may break."""

    __tablename__ = "machine"

    code: Mapped[str] = mapped_column(Text(40), unique=True)
    hall: Mapped[int] = mapped_column(BigInteger)


class Part(UuidKey, Versioned, Base):
    """What is used to mend it."""

    __tablename__ = "part"

    sku: Mapped[str] = mapped_column(Text(40), unique=True)
    name: Mapped[str] = mapped_column(Text(120))
    quantity: Mapped[int] = mapped_column(BigInteger)
    price: Mapped[Decimal] = mapped_column(Money(2))
    counted_at: Mapped[datetime]


class Ticket(UuidKey, Versioned, Base):
    """What is broken, and how far the repair is."""

    __tablename__ = "ticket"

    machine_id: Mapped[uuid.UUID] = mapped_column(
        sa.ForeignKey("machine.id"), index=True
    )
    title: Mapped[str] = mapped_column(Text(160))
    status: Mapped[str] = mapped_column(Text(20), index=True)
    priority: Mapped[int] = mapped_column(BigInteger)
    opened_at: Mapped[datetime] = mapped_column(index=True)


class Labor(UuidKey, Base):
    """Minutes that somebody worked on a ticket."""

    __tablename__ = "labor"

    ticket_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("ticket.id"), index=True)
    minutes: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime]


class Usage(UuidKey, Base):
    """Parts that went into a ticket."""

    __tablename__ = "usage"

    ticket_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("ticket.id"), index=True)
    part_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("part.id"), index=True)
    quantity: Mapped[int] = mapped_column(BigInteger)


@dataclass(frozen=True, slots=True)
class Size:
    """How many rows there are."""

    machines: int
    parts: int
    tickets: int

    @classmethod
    def of(cls, scale: Scale) -> Size:
        """Return the usual size: a factory after a year, or a tenth of it."""
        return cls(*(scale.pick((200, 1000, 5000), (20, 1000, 300))))


@dataclass(slots=True)
class Keys:
    """The keys of the rows, in the order they were made."""

    machines: list[uuid.UUID] = field(default_factory=list[uuid.UUID])
    parts: list[uuid.UUID] = field(default_factory=list[uuid.UUID])
    tickets: list[uuid.UUID] = field(default_factory=list[uuid.UUID])


class Rows:
    """Rows from a fixed seed: every call makes the same ones."""

    def __init__(self) -> None:
        self._random = random.Random(SEED)  # noqa: S311 - rows, no secrets

    def key(self) -> uuid.UUID:
        """Return the next key."""
        return uuid.UUID(int=self._random.getrandbits(128), version=4)

    def parts(self, count: int) -> list[dict[str, Any]]:
        """Return parts."""
        pick = self._random.randrange
        return [
            {
                "id": self.key(),
                "version": 1,
                "sku": f"P-{number:06}",
                "name": f"Bearing 6{number % 1000:03} with two seals",
                "quantity": pick(500),
                "price": Decimal(pick(100, 100_000)) / 100,
                "counted_at": BEGINNING + timedelta(minutes=number),
            }
            for number in range(count)
        ]

    def machines(self, count: int) -> list[dict[str, Any]]:
        """Return machines in ten halls."""
        return [
            {"id": self.key(), "code": f"M-{number:04}", "hall": number % 10}
            for number in range(count)
        ]

    def tickets(self, count: int, machines: list[uuid.UUID]) -> list[dict[str, Any]]:
        """Return tickets of these machines."""
        pick = self._random.randrange
        return [
            {
                "id": self.key(),
                "version": 1,
                "machine_id": machines[pick(len(machines))],
                "title": f"Machine stands still, sound number {pick(100)}",
                "status": STATUSES[pick(4)],
                "priority": pick(4),
                "opened_at": BEGINNING + timedelta(minutes=7 * number),
            }
            for number in range(count)
        ]

    def labor(self, tickets: list[uuid.UUID]) -> list[dict[str, Any]]:
        """Return two notes of labor for each ticket."""
        return [
            {
                "id": self.key(),
                "ticket_id": ticket,
                "minutes": self._random.randrange(5, 240),
                "at": BEGINNING + timedelta(minutes=9 * number),
            }
            for number, ticket in enumerate([*tickets, *tickets])
        ]

    def usage(
        self, tickets: list[uuid.UUID], parts: list[uuid.UUID]
    ) -> list[dict[str, Any]]:
        """Return one part used for each ticket."""
        pick = self._random.randrange
        return [
            {
                "id": self.key(),
                "ticket_id": ticket,
                "part_id": parts[pick(len(parts))],
                "quantity": pick(1, 9),
            }
            for ticket in tickets
        ]


def make_tables(db: Database) -> None:
    """Make the empty tables."""
    Base.metadata.create_all(db.engine)


def fill(db: Database, size: Size) -> Keys:
    """Make the tables and put the rows in; return their keys."""
    make_tables(db)
    rows, keys = Rows(), Keys()
    machines = rows.machines(size.machines)
    keys.machines = [row["id"] for row in machines]
    parts = rows.parts(size.parts)
    keys.parts = [row["id"] for row in parts]
    tickets = rows.tickets(size.tickets, keys.machines)
    keys.tickets = [row["id"] for row in tickets]
    everything: list[tuple[type[Base], list[dict[str, Any]]]] = [
        (Machine, machines),
        (Part, parts),
        (Ticket, tickets),
        (Labor, rows.labor(keys.tickets)),
        (Usage, rows.usage(keys.tickets, keys.parts)),
    ]
    with db.write_session() as session:
        for model, found in everything:
            for batch in _batches(found):
                session.execute(sa.insert(model), batch)
    with db.engine.connect() as connection:
        # Both planners know their tables, as they do in a database in use.
        analyze = connection.execution_options(isolation_level="AUTOCOMMIT")
        analyze.exec_driver_sql("ANALYZE")
    return keys


def _batches(rows: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(rows), BATCH):
        yield rows[start : start + BATCH]
