"""On a real terminal: 80 columns, colours, a prompt that survives Ctrl-C."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
from collections.abc import Callable, Iterator

import pytest
from tests.acceptance.shell import COMMAND, Shell

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
Terminal = Callable[..., "Session"]


class Session:
    """A command on a terminal of 80 columns, and somebody who types."""

    def __init__(self, shell: Shell, words: tuple[str, ...]) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        environment = {**shell.environment, "TERM": "xterm-256color"}
        environment.pop("COLUMNS", None)
        self.process = subprocess.Popen(
            (*COMMAND, *words),
            cwd=shell.folder,
            env=environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            # Ctrl-C reaches the group in front of the terminal.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        self.shown = ""
        self.position = 0

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def until(self, text: str | None, seconds: float = 60) -> None:
        """Read until ``text`` stands after what was read before, or to the end."""
        while text is None or text not in self.shown[self.position :]:
            ready, _, _ = select.select([self.master], [], [], seconds)
            assert ready, f"waited for {text!r}, saw {self.shown!r}"
            try:
                data = os.read(self.master, 65536)
            except OSError:  # Linux: the other side is closed
                data = b""
            if not data:
                assert text is None, f"ended without {text!r}: {self.shown!r}"
                return
            self.shown += data.decode()
        self.position = self.shown.index(text, self.position) + len(text)

    def ends(self) -> int:
        self.until(None)
        return self.process.wait(timeout=60)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    sessions: list[Session] = []

    def start(shell: Shell, *words: str) -> Session:
        sessions.append(Session(shell, words))
        return sessions[-1]

    yield start
    for session in sessions:
        if session.process.poll() is None:
            session.process.kill()
            session.process.wait(timeout=60)
        os.close(session.master)


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["migrate", "upgrade", "--help"],
        ["config", "show"],
        ["db", "info"],
        ["migrate", "history"],
    ],
)
def test_everything_fits_80_columns(
    project: Shell, terminal: Terminal, words: list[str]
) -> None:
    session = terminal(project, *words)
    assert session.ends() == 0
    for line in ESCAPES.sub("", session.shown).splitlines():
        # Facts and paths may be longer than a line; a terminal wraps those.
        if not line.startswith(("URL", "Settings", "Project")):
            assert len(line) <= 80, line


def test_colours_are_for_terminals_and_can_be_refused(
    project: Shell, terminal: Terminal
) -> None:
    coloured = terminal(project, "config", "show")
    coloured.ends()
    assert ESCAPES.search(coloured.shown)
    plain = terminal(project.having(NO_COLOR="1"), "config", "show")
    plain.ends()
    assert not ESCAPES.search(plain.shown)


def test_the_prompt_survives_an_error_and_ctrl_c(
    project: Shell, terminal: Terminal
) -> None:
    session = terminal(project, "db", "shell", "--builtin")
    session.until("lockstep> ")
    session.type("select nonsense;\n")
    session.until("LS-2011")
    session.until("lockstep> ")
    session.type("select 40 +\n")
    session.until("...> ")
    session.type("\x03")
    session.until("lockstep> ")
    session.type("select 6 * 7 as answer;\n")
    session.until("42")
    session.until("lockstep> ")
    session.type(".quit\n")
    assert session.ends() == 0
    assert "Traceback" not in session.shown


def test_ctrl_c_ends_a_verb(
    project: Shell, terminal: Terminal, tmp_path_factory: pytest.TempPathFactory
) -> None:
    fifo = tmp_path_factory.mktemp("fifo") / "ready"
    os.mkfifo(fifo)
    models = project.folder / "app" / "models.py"
    models.write_text(
        models.read_text()
        + f"\nopen({str(fifo)!r}, 'w').write('x')\n"
        + "import signal\nwhile True:\n    signal.pause()\n"
    )
    session = terminal(project, "migrate", "check")
    fifo.read_text()
    session.type("\x03")
    assert session.ends() == 130
    assert "nothing was changed" in session.shown
    assert "Traceback" not in session.shown
