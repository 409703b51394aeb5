"""The pytest plugin: every test on every engine, and real faults on demand.

Registered as ``lockstep`` (switch it off with ``-p no:lockstep``). Owns options,
markers and which engines a test runs on; ``databases.py`` has the fixtures that
make databases, ``faults.py`` those that break them.

Invariants: loading the plugin imports nothing heavy (it happens in every pytest
run of every user); a PostgreSQL that cannot be started is an error of the test,
never a skip; after a test nothing of its databases is left.
"""

from __future__ import annotations

from typing import Any

import pytest

from lockstep.contrib.pytest.databases import (
    db,
    db_url,
    libsql_server,
    lockstep_engine,
    make_database,
    manual_clock,
    postgres_server,
)
from lockstep.contrib.pytest.faults import full_disk, kill_after, lock_holder

__all__ = [
    "db",
    "db_url",
    "full_disk",
    "kill_after",
    "libsql_server",
    "lock_holder",
    "lockstep_engine",
    "make_database",
    "manual_clock",
    "postgres_server",
    "pytest_addoption",
    "pytest_configure",
    "pytest_generate_tests",
]

ENGINES = ("sqlite", "libsql", "postgresql")
DEFAULT_ENGINES = ("sqlite", "postgresql")
"""Of a user's tests; ``lockstep_engines`` in the ini file says otherwise."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--lockstep-engines`` and the ini setting ``lockstep_engines``."""
    group = parser.getgroup("lockstep")
    group.addoption(
        "--lockstep-engines",
        metavar="NAMES",
        help="engines that tests with a `db` run on (default: sqlite,postgresql)",
    )
    parser.addini(
        "lockstep_engines",
        "engines that tests with a `db` run on, separated by commas",
        default=",".join(DEFAULT_ENGINES),
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker and refuse engines that do not exist."""
    config.addinivalue_line(
        "markers", "engines(*names): run the test on these engines only"
    )
    _chosen(config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test that needs a database once per engine."""
    if "lockstep_engine" not in metafunc.fixturenames:
        return
    engines = _chosen(metafunc.config)
    for marker in metafunc.definition.iter_markers("engines"):
        unknown = set(marker.args) - set(ENGINES)
        if unknown or not marker.args:
            raise pytest.UsageError(
                f"{metafunc.definition.nodeid}: @pytest.mark.engines names "
                f"{sorted(unknown) or 'nothing'}; known: {', '.join(ENGINES)}"
            )
        engines = [name for name in engines if name in marker.args]
    metafunc.parametrize("lockstep_engine", engines, ids=engines, indirect=True)


def _chosen(config: pytest.Config) -> list[str]:
    given: Any = config.getoption("--lockstep-engines")
    if given is None:
        given = config.getini("lockstep_engines")
    names = [part.strip() for part in str(given).split(",") if part.strip()]
    unknown = sorted(set(names) - set(ENGINES))
    if unknown or not names:
        raise pytest.UsageError(
            f"--lockstep-engines names {unknown or 'nothing'}; "
            f"known: {', '.join(ENGINES)}"
        )
    return names
