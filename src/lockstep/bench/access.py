"""How the benchmark uses Lockstep: as the documentation tells its readers to.

Owns the choice of the repository, so that every scenario measures the same one.
"""

from __future__ import annotations

from typing import TypeVar

from lockstep.engine.unit import Unit
from lockstep.repository import CompiledRepository

M = TypeVar("M")


def repository(model: type[M], unit: Unit) -> CompiledRepository[M]:
    """Return the repository of ``model`` in this unit of work."""
    return CompiledRepository(model, unit)
