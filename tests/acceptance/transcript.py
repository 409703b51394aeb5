"""Replay the console blocks of a page, so that what it shows is what happens.

A page has blocks of commands and their output,

    ```console
    $ lockstep migrate upgrade
    base → 3f2a1b9c4d5e
    ```

and, where the reader edits a file, a comment that says where a block goes:

    <!-- insert into app/models.py before "    price:" -->

``python -m tests.acceptance.transcript docs/quickstart.md`` writes what happens now.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

READER_HOME = "/home/ann"

_BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_INSERT = re.compile(r'<!-- insert into (\S+) before "(.*?)" -->\s*\Z')
_VARYING = (
    (re.compile(r"(?<![0-9a-f])[0-9a-f]{12}(?![0-9a-f])"), "REVISION"),
    (re.compile(r"\d{4}[-_]\d\d[-_]\d\d"), "DATE"),
    (re.compile(r"\d+(?:\.\d+)? (?:s|ms)\b"), "TIME"),
    (re.compile(r"\b(SQLite|PostgreSQL) \d[\w.]*"), r"\1 VERSION"),
    (re.compile(r"in \d+\.\d+s"), "in TIME"),
    (re.compile(r"\b\d+(?:\.\d+)? (?:KiB|MiB)"), "SIZE"),
)


def masked(text: str) -> str:
    """Return ``text`` without what differs from run to run."""
    for pattern, word in _VARYING:
        text = pattern.sub(word, text)
    return text


@dataclass
class Reader:
    """Somebody who types what the page says."""

    home: Path
    environment: Mapping[str, str]
    folder: Path = field(init=False)

    def __post_init__(self) -> None:
        self.folder = self.home

    def types(self, line: str) -> str:
        """Run one command line; return what the terminal shows."""
        words = shlex.split(line)
        if words[0] == "cd":
            self.folder = (self.folder / words[1]).resolve()
            return ""
        done = subprocess.run(
            ["sh", "-c", line],
            cwd=self.folder,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        text = done.stdout.replace(str(self.home), READER_HOME)
        return text if not text or text.endswith("\n") else text + "\n"

    def inserts(self, name: str, before: str, block: str) -> None:
        """Edit a file as the page says."""
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        assert text.count(before) == 1, f"{before!r} stands once in {name}"
        path.write_text(text.replace(before, block + before), encoding="utf-8")


def replay(page: str, reader: Reader) -> str:
    """Return ``page`` with the output that its commands have now."""
    parts: list[str] = []
    position = 0
    for block in _BLOCK.finditer(page):
        before = page[position : block.start()]
        parts.append(before)
        position = block.end()
        kind, body = block[1], block[2]
        if kind == "python":
            if place := _INSERT.search(before):
                reader.inserts(place[1], place[2], body)
            parts.append(block[0])
            continue
        shown = [
            f"$ {line}\n{reader.types(line)}"
            for line in re.findall(r"^\$ (.*)$", body, re.M)
        ]
        parts.append("```console\n" + "\n".join(shown) + "```")
    parts.append(page[position:])
    return "".join(parts)


def environment_of(python: str, base: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which ``python`` and ``lockstep`` are this one's."""
    return {**base, "PATH": os.pathsep.join([os.path.dirname(python), base["PATH"]])}


def main() -> None:
    """Rewrite the named pages with what happens now."""
    for name in sys.argv[1:]:
        path = Path(name)
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder).resolve()
            reader = Reader(home, environment_of(sys.executable, os.environ))
            path.write_text(replay(path.read_text("utf-8"), reader), "utf-8")


if __name__ == "__main__":
    main()
