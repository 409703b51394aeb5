"""What tests of FixIt share: who acts, threads that start together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from fixit.models import User
from fixit.permissions import Identity
from fixit.seed.rows import fixed_id
from fixit.services.auth import identity_of
from lockstep import Database, Repository


@dataclass(frozen=True)
class People:
    """The demo's four users, signed in."""

    admin: Identity
    technician: Identity
    operator: Identity
    storekeeper: Identity


def identity(db: Database, employee_id: str) -> Identity:
    """Return a user as the services want to know them."""
    with db.read_session() as session:
        user = Repository(User, session).list(
            User.employee_id == employee_id, load=(User.role,)
        )[0]
        return identity_of(user)


def demo_people(db: Database) -> People:
    """Return the demo's four users."""
    names = ("ADMIN-001", "TECH-001", "OP-001", "STORE-001")
    return People(*(identity(db, name) for name in names))


@contextmanager
def acting(db: Database, who: Identity) -> Generator[Session]:
    """Open a write session in the name of ``who``."""
    with db.write_session(actor=who.employee_id) as session:
        yield session


def at_once(actions: list[Callable[[], Any]]) -> list[Any]:
    """Run actions in threads that start together; return results or errors."""
    results: list[Any] = [None] * len(actions)
    start = threading.Barrier(len(actions))

    def run(place: int) -> None:
        start.wait()
        try:
            results[place] = actions[place]()
        except Exception as error:
            results[place] = error

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def order_id(name: str) -> Any:
    """Return the key of a demo order: noise, label, light or breakdown."""
    return fixed_id("order", name)


def part_id(sku: str) -> Any:
    """Return the key of a demo part."""
    return fixed_id("part", sku)
