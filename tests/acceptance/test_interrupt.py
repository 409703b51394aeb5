"""Ctrl-C, SIGTERM, kill -9 and a closed pipe: what is kept is what is said."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.acceptance.shell import COMMAND, Shell

Start = Callable[..., "subprocess.Popen[str]"]

# Makes a table and a row, tells the test through a named pipe, then waits for a signal.
STUCK = """
    import signal
    op.execute("CREATE TABLE half_done (id INTEGER PRIMARY KEY)")
    op.execute("INSERT INTO half_done VALUES (1)")
    with open({fifo!r}, "w") as told:
        told.write("ready")
    while True:
        signal.pause()
"""


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "ready"
    os.mkfifo(path)
    return path


@pytest.fixture
def stuck(project_on: Shell, fifo: Path) -> Shell:
    """Return a project whose second revision never ends by itself."""
    project_on("migrate", "upgrade")
    project_on("migrate", "revision", "-m", "quick one")
    project_on("migrate", "upgrade")
    project_on("migrate", "revision", "-m", "stuck one")
    project_on("migrate", "downgrade", "-1", "--yes")
    path = next((project_on.folder / "migrations" / "versions").glob("*stuck*"))
    before, after = path.read_text().split("def upgrade", 1)
    head, body = after.split(":\n", 1)
    marker = "def downgrade"
    rest = body[body.index(marker) :]
    text = STUCK.format(fifo=str(fifo)).strip("\n")
    path.write_text(f"{before}def upgrade{head}:\n{text}\n\n\n{rest}")
    return project_on


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
