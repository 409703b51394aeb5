"""The list of checks: one file each in ``checks/``, found by being there.

Owns which checks exist and in which order they run. A new check is a new file
with a ``CHECK`` in it; nothing else has to be edited.

Invariant: a check's name is its file's name, with hyphens.
"""

from __future__ import annotations

import difflib
import pkgutil
from collections.abc import Iterable
from functools import cache
from importlib import import_module

from lockstep.doctor import checks
from lockstep.doctor.check import Check
from lockstep.errors import ConfigError


@cache
def all_checks() -> tuple[Check, ...]:
    """Return every check, in alphabetical order."""
    found: list[Check] = []
    for module in sorted(pkgutil.iter_modules(checks.__path__), key=lambda m: m.name):
        check = import_module(f"{checks.__name__}.{module.name}").CHECK
        assert check.name == module.name.replace("_", "-"), (
            "a check is named as its file"
        )
        found.append(check)
    return tuple(found)


def choose(only: Iterable[str] = (), skip: Iterable[str] = ()) -> tuple[Check, ...]:
    """Return the checks named in ``only`` (all when empty) without those in ``skip``.

    Raises:
        ConfigError: A name is no check's.
    """
    known = {check.name for check in all_checks()}
    only, skip = set(only), set(skip)
    for name in sorted((only | skip) - known):
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        raise ConfigError(
            f"'{name}' is no check",
            hint=f"did you mean '{near[0]}'?"
            if near
            else "lockstep db doctor --list shows them all",
            detail={"check": name},
        )
    return tuple(
        check
        for check in all_checks()
        if (not only or check.name in only) and check.name not in skip
    )
