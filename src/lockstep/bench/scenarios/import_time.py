"""What ``import lockstep`` costs a program's start."""

from __future__ import annotations

import subprocess
import sys

from lockstep.bench.scenario import (
    Contestant,
    Metric,
    Place,
    Round,
    Scale,
    Scenario,
    Target,
)

_PROGRAM = """
import time
started = time.perf_counter()
{body}
print(time.perf_counter() - started)
"""
_ONE_MODEL = """
import lockstep
from sqlalchemy.orm import DeclarativeBase, Mapped
class Base(lockstep.Portable, DeclarativeBase): pass
class Part(lockstep.UuidKey, lockstep.Versioned, Base):
    __tablename__ = "part"
    name: Mapped[str]
"""
_SAME_IN_SQLALCHEMY = """
import uuid
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
class Base(DeclarativeBase): pass
class Part(Base):
    __tablename__ = "part"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    version: Mapped[int]
    name: Mapped[str]
"""
TIMEOUT_S = 60


class Import(Contestant):
    """Starts a new interpreter and times a few lines in it.

    The interpreter's own start is not counted: everybody pays it.
    """

    def __init__(self, name: str, body: str, times: int) -> None:
        self.name = name
        self._program = _PROGRAM.format(body=body.strip())
        self._times = times

    def open(self, place: Place) -> None:
        """Nothing to do; the warm-up lets the interpreter compile its imports."""

    def round(self) -> Round:
        """Start it a few times."""
        seconds = [self._once() for _ in range(self._times)]
        return Round(self._times, sum(seconds), tuple(seconds))

    def _once(self) -> float:
        done = subprocess.run(  # noqa: S603 - our own interpreter and program
            [sys.executable, "-c", self._program],
            capture_output=True,
            text=True,
            check=True,
            timeout=TIMEOUT_S,
        )
        return float(done.stdout)

    def close(self) -> None:
        """Nothing is open."""


def _contestants(scale: Scale) -> list[Contestant]:
    times = scale.pick(3, 1)
    return [
        Import("import sqlalchemy.orm", "import sqlalchemy.orm", times),
        Import("import lockstep", "import lockstep", times),
        Import("SQLAlchemy, one model", _SAME_IN_SQLALCHEMY, times),
        Import("Lockstep, one model", _ONE_MODEL, times),
    ]


SCENARIO = Scenario(
    name="import-time",
    title="Importing the library, and declaring one model",
    why=(
        "A command that is started often must start fast. Lockstep loads what is "
        "used, when it is used; with a model declared it has loaded SQLAlchemy's "
        "ORM."
    ),
    metric=Metric.TIME,
    baseline="import sqlalchemy.orm",
    contestants=_contestants,
    no_limit=("Starting is work of the processor, which is the same for all sides."),
    targets=(
        Target("import lockstep", "at most", 1.3, "import sqlalchemy.orm"),
        Target("Lockstep, one model", "at most", 1.3, "import sqlalchemy.orm"),
    ),
)
