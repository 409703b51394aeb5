"""Shared by all tests: an environment without anybody's own settings."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

# `make test` tries the same examples everywhere, so that a change is judged by what
# it changed; `make fuzz` looks for new ones.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("new", derandomize=False, deadline=None)
settings.load_profile("same")

# Nothing that a test writes has to outlive it. Where the machine lends memory as a
# folder, making and removing PostgreSQL's three hundred files per database costs a
# tenth of what it costs on a disk.
_MEMORY = Path("/dev/shm")  # noqa: S108 - only as TMPDIR, where tempfile is safe
_MEMORY_FREE_MIN_BYTES = 4 << 30
if (
    "TMPDIR" not in os.environ
    and _MEMORY.is_dir()
    and shutil.disk_usage(_MEMORY).free >= _MEMORY_FREE_MIN_BYTES
):
    os.environ["TMPDIR"] = tempfile.tempdir = str(_MEMORY)

# Under nohup, or in the background of a script, signals arrive here ignored, and
# every process that a test starts would inherit that and survive its Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# What a developer or a CI machine has set would change what tests see. The
# server that tests may use is the one thing they may name.
_KEPT = {"LOCKSTEP_TEST_DSN", "LOCKSTEP_POSTGRESQL_BIN", "LOCKSTEP_TEST_SQLD"}


@pytest.fixture(autouse=True)
def _scrubbed_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        foreign = name.startswith(("PG", "LOCKSTEP_")) and name not in _KEPT
        if foreign or name in ("DATABASE_URL", "APP_ENV"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _one_sqlite_library(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forget the library that the benchmark's tests import for its peers.

    In the process they ran in, a connection that a test makes by ``sqlite3`` itself
    would be taken for that library's.
    """
    from lockstep.engine.sqlite_files import SQLITE_LIBRARIES

    if "bench" not in request.path.parts:
        for name in SQLITE_LIBRARIES:
            monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio, which is what SQLAlchemy speaks."""
    return "asyncio"
