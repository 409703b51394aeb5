"""Run somebody's program with the recorder in it.

Owns the temporary folder that is put first on ``PYTHONPATH``: Python imports the
``sitecustomize`` in it at its start, and so does every Python that the program
starts. The one that was there before is run as well.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lockstep.doctor.trace import recorder
from lockstep.doctor.trace.recorder import FOLDER_VARIABLE, Event
from lockstep.errors import Unexaminable

_MODULE = "_lockstep_recorder"
_SITECUSTOMIZE = f"""\
import importlib.util
import os
import sys

_folder = os.path.dirname(os.path.abspath(__file__))
try:
    import {_MODULE}

    {_MODULE}.start_in_this_program()
except Exception as error:
    sys.stderr.write("lockstep trace: not recording: %r\\n" % (error,))
# What would have been the program's own sitecustomize runs too.
_others = [path for path in sys.path if os.path.abspath(path or ".") != _folder]
_found = importlib.machinery.PathFinder.find_spec("sitecustomize", _others)
if _found is not None and _found.loader is not None:
    _module = importlib.util.module_from_spec(_found)
    _found.loader.exec_module(_module)
"""


@dataclass(frozen=True, slots=True)
class Traced:
    """What a traced program did.

    Attributes:
        exit_code: The program's own.
        events: What was recorded in it and in what it started.
    """

    exit_code: int
    events: tuple[Event, ...]


def run_traced(command: Sequence[str], *, stdout: int | None = None) -> Traced:
    """Run ``command`` to its end with the recorder in it.

    Args:
        command: The program and its arguments, as a shell would get them.
        stdout: Where the program's output goes; inherited when None.

    Raises:
        Unexaminable: There is no such program.
    """
    folder = Path(tempfile.mkdtemp(prefix="lockstep-trace-"))
    try:
        code, events = folder / "code", folder / "events"
        code.mkdir()
        events.mkdir()
        shutil.copyfile(recorder.__file__, code / f"{_MODULE}.py")
        (code / "sitecustomize.py").write_text(_SITECUSTOMIZE, encoding="utf-8")
        existing = os.environ.get("PYTHONPATH")
        path = os.pathsep.join([str(code), *([existing] if existing else [])])
        environment = {**os.environ, "PYTHONPATH": path, FOLDER_VARIABLE: str(events)}
        try:
            # The command is what the user asked to run.
            done = subprocess.run(  # noqa: S603
                list(command), env=environment, stdout=stdout, check=False
            )
        except OSError as error:
            raise Unexaminable(
                f"{command[0]} cannot be run: {error.strerror}",
                hint="lockstep db doctor --trace -- python app.py",
            ) from error
        return Traced(done.returncode, tuple(_read(events)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _read(folder: Path) -> list[Event]:
    """Return the events of all processes, equal ones added up."""
    found: dict[tuple[str, ...], Event] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                event: Event = json.loads(line)
            except ValueError:
                continue  # the last line of a process that was killed
            key = (event["kind"], event["database"], event["place"], *event["shapes"])
            known = found.setdefault(key, {**event, "count": 0})
            known["count"] += event["count"]
    return list(found.values())
