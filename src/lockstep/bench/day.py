"""What people do in a workshop's day, as functions of a database.

Owns the actions that the scenarios of users are made of: look at lists and tickets,
change a status, book labor, take a part. Each is one unit of work, as an application
would write it.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from lockstep.bench.access import repository
from lockstep.bench.contestants import (
    PATIENCE_S,
    TITLES,
    new_database,
)
from lockstep.bench.loads import threads_at_once
from lockstep.bench.scenario import SEED, Contestant, Place, Round, Scale
from lockstep.bench.workshop import (
    BEGINNING,
    STATUSES,
    Keys,
    Labor,
    Machine,
    Part,
    Size,
    Ticket,
    Usage,
    fill,
)
from lockstep.engine import Database
from lockstep.engine.unit import Unit

PAGE = 50

_CHANGES = sa.select(sa.func.sum(Ticket.version) - sa.func.count(Ticket.id))

Action = Callable[[Database, Keys, int], object]


def page_of_tickets(db: Database, keys: Keys, number: int) -> None:
    """The list of open tickets, newest first, with their machines."""
    statement = (
        sa.select(Ticket.id, Ticket.title, Ticket.priority, Machine.code)
        .join(Machine, Machine.id == Ticket.machine_id)
        .where(Ticket.status == STATUSES[0])
        .order_by(Ticket.opened_at.desc(), Ticket.id)
        .limit(PAGE)
    )
    rows = db.read(lambda unit: unit.connection.execute(statement).all())
    assert rows, "there are open tickets"


def one_ticket(db: Database, keys: Keys, number: int) -> None:
    """A ticket with its machine, its labor and its parts."""
    key = keys.tickets[number * 7 % len(keys.tickets)]

    def read(unit: Unit) -> Any:
        ticket = repository(Ticket, unit).get(key)
        machine = repository(Machine, unit).get(ticket.machine_id)
        labor = repository(Labor, unit).list(ticket_id=key)
        used = repository(Usage, unit).list(ticket_id=key)
        parts = repository(Part, unit).get_many([row.part_id for row in used])
        return ticket, machine, labor, parts

    _, machine, labor, parts = db.read(read)
    assert machine, "every ticket has a machine"
    assert labor, "labor"
    assert parts, "and a part"


def browse(db: Database, keys: Keys, number: int) -> None:
    """Look at the list, then at a ticket of it."""
    page_of_tickets(db, keys, number)
    one_ticket(db, keys, number)


def set_status(db: Database, keys: Keys, number: int) -> None:
    """Move a ticket on, with the version that was seen."""
    key = keys.tickets[number % len(keys.tickets)]

    def write(unit: Unit) -> None:
        tickets = repository(Ticket, unit)
        ticket = tickets.get(key)
        following = STATUSES[(STATUSES.index(ticket.status) + 1) % len(STATUSES)]
        tickets.update(key, {"status": following}, expected_version=ticket.version)

    db.write(write)


def open_ticket(db: Database, keys: Keys, number: int) -> None:
    """Report a machine that stands still."""
    machine = keys.machines[number % len(keys.machines)]
    row = {
        "machine_id": machine,
        "title": "It makes a noise",
        "status": STATUSES[0],
        "priority": number % 4,
        "opened_at": BEGINNING + timedelta(seconds=number),
    }
    db.write(lambda unit: repository(Ticket, unit).add(row))


def book_labor(db: Database, keys: Keys, number: int) -> None:
    """Write down minutes of work."""
    ticket = keys.tickets[number % len(keys.tickets)]
    row = {
        "ticket_id": ticket,
        "minutes": 15 + number % 60,
        "at": BEGINNING + timedelta(seconds=number),
    }
    db.write(lambda unit: repository(Labor, unit).add(row))


def take_part(db: Database, keys: Keys, number: int) -> None:
    """Take a part from stock for a ticket; guarded, so never below zero."""
    part = keys.parts[number % len(keys.parts)]
    ticket = keys.tickets[number % len(keys.tickets)]

    def write(unit: Unit) -> None:
        statement = (
            sa.update(Part)
            .where(Part.id == part, Part.quantity >= 1)
            .values(quantity=Part.quantity - 1)
        )
        if unit.connection.execute(statement).rowcount:
            repository(Usage, unit).add(
                {"ticket_id": ticket, "part_id": part, "quantity": 1}
            )

    db.write(write)


class People(Contestant):
    """Several people at once, each doing one thing after another.

    Args:
        engine: Where.
        count: How many people.
        seconds: How long a round lasts.
        scale: How many rows there are.
        actions: What they do, in turn.
        one_role: Each person does one of the actions only, over and over.
    """

    def __init__(
        self,
        engine: str,
        count: int,
        seconds: float,
        scale: Scale,
        actions: tuple[Action, ...],
        *,
        one_role: bool = False,
    ) -> None:
        self.name = f"Lockstep, {TITLES[engine]}"
        self._engine = engine
        self._count = count
        self._seconds = seconds
        self._size = Size.of(scale)
        self._actions = actions
        self._one_role = one_role
        self._db: Database | None = None

    def open(self, place: Place) -> None:
        """Make the data; each person gets tickets of their own."""
        self._db = new_database(
            self._engine,
            place,
            write={"timeout_s": PATIENCE_S},
            pool={"size": self._count, "timeout_s": PATIENCE_S},
        )
        self._keys = fill(self._db, self._size)
        self._steps = [0] * self._count
        # By person, so that no two threads count in one place.
        self._done: list[Counter[str]] = [Counter() for _ in range(self._count)]

    def round(self) -> Round:
        """Let everybody work for a while."""
        db, keys, steps = self._db, self._keys, self._steps
        assert db is not None, "open comes before"

        def request(person: int) -> None:
            step = steps[person]
            steps[person] += 1
            turn = person if self._one_role else step
            action = self._actions[turn % len(self._actions)]
            action(db, keys, person + step * self._count)
            self._done[person][action.__name__] += 1

        return threads_at_once(self._count, request, seconds=self._seconds)

    def check(self) -> list[str]:
        """Compare versions and labor with what was answered."""
        assert self._db is not None, "open comes before"
        done = sum(self._done, Counter[str]())
        changes, labor = self._db.read(
            lambda unit: (
                unit.connection.execute(_CHANGES).scalar_one(),
                repository(Labor, unit).count() - 2 * self._size.tickets,
            )
        )
        told = [
            (changes, done[set_status.__name__], "changes of a status"),
            (labor, done[book_labor.__name__], "notes of labor"),
        ]
        return [
            f"{found} {what} are there, {said} were acknowledged"
            for found, said, what in told
            if found != said
        ]

    def proof(self) -> str:
        """Say that they were looked for."""
        return f"all {sum(self._done, Counter[str]()).total():,} found"

    def close(self) -> None:
        """Close the database."""
        if self._db is not None:
            self._db.close()


class Hour(Contestant):
    """One hour's load of a small factory, done as fast as it goes, one after another.

    Ten tickets, fifty changes of a status, twenty notes of labor, ten parts taken:
    ninety writes, in an order from the seed, and a look at the list before each.
    """

    def __init__(self, engine: str, scale: Scale) -> None:
        self.name = f"Lockstep, {TITLES[engine]}"
        self._engine = engine
        self._size = Size.of(scale)
        self._db: Database | None = None
        actions: list[Action] = [open_ticket] * 10
        actions += [set_status] * 50 + [book_labor] * 20 + [take_part] * 10
        random.Random(SEED).shuffle(actions)  # noqa: S311 - an order, no secret
        self._actions = actions
        self._number = 0

    def open(self, place: Place) -> None:
        """Make the data."""
        self._db = new_database(self._engine, place)
        self._keys = fill(self._db, self._size)

    def round(self) -> Round:
        """One hour."""
        db, keys = self._db, self._keys
        assert db is not None, "open comes before"
        taken: list[float] = []
        started = time.perf_counter()
        for action in self._actions:
            begun = time.perf_counter()
            page_of_tickets(db, keys, self._number)
            action(db, keys, self._number)
            taken.append(time.perf_counter() - begun)
            self._number += 1
        return Round(1, time.perf_counter() - started, tuple(taken))

    def check(self) -> list[str]:
        """Count the tickets that were opened and the labor that was booked."""
        hours, rest = divmod(self._number, len(self._actions))
        assert self._db is not None, "open comes before"
        assert rest == 0, "rounds are whole hours"
        found = self._db.read(
            lambda unit: (
                repository(Ticket, unit).count(),
                repository(Labor, unit).count(),
            )
        )
        expected = (
            self._size.tickets + 10 * hours,
            2 * self._size.tickets + 20 * hours,
        )
        return [] if found == expected else [f"{found} rows instead of {expected}"]

    def close(self) -> None:
        """Close the database."""
        if self._db is not None:
            self._db.close()
