"""The command as a newcomer runs it: a real process, a clean environment."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.acceptance.shell import DEADLINE_S, Shell

STEERING = ("LOCKSTEP_", "PG", "DATABASE_", "APP_ENV", "NO_COLOR", "FORCE_COLOR")
# Which PostgreSQL the tests may use is the one thing a machine says.
SERVER = ("LOCKSTEP_TEST_DSN", "LOCKSTEP_POSTGRESQL_BIN")


@pytest.fixture(scope="session")
def clean_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment without anything that steers lockstep or libpq."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in SERVER or not name.startswith(STEERING)
    }
    kept |= {"HOME": str(tmp_path_factory.mktemp("home")), "COLUMNS": "80"}
    # The test run's own coverage and plugin settings are no part of the story.
    for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTHONWARNINGS"):
        kept.pop(name, None)
    return kept


@pytest.fixture
def shell(tmp_path: Path, clean_environment: dict[str, str]) -> Shell:
    """Return a shell in an empty folder."""
    folder = tmp_path / "home"
    folder.mkdir()
    return Shell(folder, clean_environment)


@pytest.fixture(scope="session")
def fresh_project(
    tmp_path_factory: pytest.TempPathFactory, clean_environment: dict[str, str]
) -> Path:
    """Return the folder of a project as ``lockstep init`` left it; only copy it."""
    folder = tmp_path_factory.mktemp("init")
    Shell(folder, clean_environment)("init", "demo")
    return folder / "demo"


@pytest.fixture
def project(
    tmp_path: Path, fresh_project: Path, clean_environment: dict[str, str]
) -> Shell:
    """Return a shell in a project of its own."""
    folder = tmp_path / "demo"
    shutil.copytree(fresh_project, folder)
    return Shell(folder, clean_environment)


@pytest.fixture
def project_on(project: Shell, db_url: str) -> Shell:
    """Return a shell in a project whose database is the engine under test."""
    return project.having(DATABASE_URL=db_url)


@pytest.fixture
def started() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start commands that are killed at the end of the test, whatever happens."""
    processes: list[subprocess.Popen[str]] = []

    def start(shell: Shell, *words: str) -> subprocess.Popen[str]:
        processes.append(shell.start(*words))
        return processes[-1]

    yield start
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=DEADLINE_S)
