"""The scenarios, one file each; ``SCENARIO`` is what each one offers.

Owns their order: first what a user feels, then what many users need, then the cost of
the library itself. Nothing is imported before it is asked for: a peer's package may be
missing, and ``--list`` should not wait for any.
"""

from __future__ import annotations

import difflib
from importlib import import_module

from lockstep.bench.scenario import Scenario
from lockstep.errors import ConfigError

NAMES = (
    "select-by-id",
    "insert",
    "select-1000",
    "join",
    "writes-10",
    "writes-100",
    "one-user",
    "five-technicians",
    "dashboard",
    "end-of-shift",
    "large-report",
    "cmms-hour",
    "journal-dashboards",
    "journal-technicians",
    "journal-report",
    "journal-requests",
    "parts-list",
    "parts-update",
    "parts-statistics",
    "writers",
    "writers-500",
    "writers-processes",
    "writers-postgresql",
    "writers-libsql",
    "get",
    "get-async",
    "rows-1000",
    "bulk-10000",
    "get-postgresql",
    "repository-writes",
    "move",
    "move-verify",
    "move-back",
    "move-memory",
    "import-time",
    "fixit-memory",
)


def scenario(name: str) -> Scenario:
    """Return the scenario of this name.

    Raises:
        ConfigError: There is none.
    """
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, n=1)
        raise ConfigError(
            f"there is no scenario '{name}'",
            hint=f"did you mean '{near[0]}'?" if near else "lockstep bench --list",
        )
    module = import_module(f"{__name__}.{name.replace('-', '_')}")
    found: Scenario = module.SCENARIO
    assert found.name == name, "a scenario's file and its name belong together"
    return found


def all_scenarios() -> list[Scenario]:
    """Return every scenario, in order."""
    return [scenario(name) for name in NAMES]
