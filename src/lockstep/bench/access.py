"""How the benchmark uses Lockstep: as the documentation tells its readers to.

Owns the choice of the repository, so that every scenario measures the same one.
"""

from __future__ import annotations

from typing import Any, TypeVar

from lockstep.engine.unit import Unit
from lockstep.repository import Repository

M = TypeVar("M")


def repository(model: type[M], unit: Unit) -> Any:
    """Return the repository of ``model`` in this unit of work."""
    return Repository(model, unit.session)
