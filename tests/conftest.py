"""Shared by all tests: an environment without anybody's own settings."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import settings

# `make test` tries the same examples everywhere, so that a change is judged by what
# it changed; `make fuzz` looks for new ones.
settings.register_profile("same", derandomize=True)
settings.register_profile("new", derandomize=False)
settings.load_profile("same")

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


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio, which is what SQLAlchemy speaks."""
    return "asyncio"
