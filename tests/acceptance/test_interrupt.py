"""Ctrl-C, SIGTERM, kill -9 and a closed pipe: what is kept is what is said."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.acceptance.shell import COMMAND, Shell

Start = Callable[..., "subprocess.Popen[str]"]

# Makes a table and a row, tells the test through a named pipe, then waits for a signal.
# Where there are no members it is only being planned, on a scratch database.
STUCK = """
    import os, signal
    op.execute("CREATE TABLE half_done (id INTEGER PRIMARY KEY)")
    op.execute("INSERT INTO half_done VALUES (1)")
    if op.get_bind().exec_driver_sql("SELECT count(*) FROM member").scalar():
        with open(os.environ["READY"], "w") as told:
            told.write("ready")
        while True:
            signal.pause()
"""


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "ready"
    os.mkfifo(path)
    return path


@pytest.fixture(scope="session")
def stuck_history(
    tmp_path_factory: pytest.TempPathFactory,
    fresh_project: Path,
    clean_environment: dict[str, str],
) -> Path:
    """Return a migrations folder whose third revision never ends by itself."""
    folder = tmp_path_factory.mktemp("stuck") / "demo"
    shutil.copytree(fresh_project, folder)
    shell = Shell(folder, clean_environment)
    shell("migrate", "upgrade")
    shell("migrate", "revision", "-m", "quick one")
    shell("migrate", "upgrade")
    shell("migrate", "revision", "-m", "stuck one")
    path = next((folder / "migrations" / "versions").glob("*stuck*"))
    head, body = path.read_text().split("def upgrade() -> None:\n")
    rest = body[body.index("def downgrade") :]
    path.write_text(f"{head}def upgrade() -> None:\n{STUCK}\n\n{rest}")
    return folder / "migrations"


@pytest.fixture
def stuck(project_on: Shell, stuck_history: Path, fifo: Path) -> Shell:
    """Return a project with rows, two revisions behind; the second of them is stuck."""
    project_on("migrate", "upgrade")
    project_on("seed")
    shutil.rmtree(project_on.folder / "migrations")
    shutil.copytree(stuck_history, project_on.folder / "migrations")
    return project_on.having(READY=str(fifo))


def revision_named(shell: Shell, message: str) -> str:
    for item in shell("migrate", "history", "--json").document["revisions"]:
        if item["message"] == message:
            return str(item["revision"])
    raise AssertionError(message)


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)],
)
def test_a_stopped_upgrade_keeps_whole_revisions(
    stuck: Shell, started: Start, fifo: Path, number: int, code: int
) -> None:
    quick, half = revision_named(stuck, "quick one"), revision_named(stuck, "stuck one")
    process = started(stuck, "migrate", "upgrade")
    assert fifo.read_text() == "ready"
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in err
    assert out == ""
    if number != signal.SIGKILL:
        assert f"kept: {quick}" in err
        assert f"taken back as a whole: {half}" in err
    current = stuck("migrate", "current", "--json").document["revisions"]
    assert [item["revision"] for item in current] == [quick]
    tables = stuck("db", "shell", "--builtin", stdin=".tables\n").out
    assert "half_done" not in tables


def test_an_interrupted_seed_changes_nothing(
    project_on: Shell, started: Start, fifo: Path
) -> None:
    project_on("migrate", "upgrade")
    seed = project_on.folder / "app" / "seed.py"
    seed.write_text(
        seed.read_text()
        + "    session.flush()\n"
        + f"    open({str(fifo)!r}, 'w').write('ready')\n"
        + "    import signal\n    signal.pause()\n"
    )
    process = started(project_on, "seed")
    assert fifo.read_text() == "ready"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "nothing was changed" in err
    counted = project_on(
        "db", "shell", "--builtin", stdin="select count(*) as n from tool;"
    )
    assert counted.out.split()[-1] == "0"


@pytest.mark.parametrize(
    "words", [["config", "show"], ["migrate", "history", "--json"], ["--help"]]
)
def test_a_reader_that_went_away_is_no_error(project: Shell, words: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            (*COMMAND, *words),
            cwd=project.folder,
            env=dict(project.environment),
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(write)
    assert done.stderr == ""
    assert done.returncode == 141


def test_a_closed_stdout_is_no_traceback(project: Shell) -> None:
    done = project.run(
        "sh", "-c", '"$@" >&-', "sh", *COMMAND, "config", "show", code=None
    )
    assert "Traceback" not in done.err


def test_a_full_disk_for_the_output_is_told(project: Shell) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    done = project.run(
        "sh", "-c", '"$@" >/dev/full', "sh", *COMMAND, "config", "show", code=1
    )
    assert "Traceback" not in done.err
    assert "No space left" in done.err
