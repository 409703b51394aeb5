"""``lockstep init``: a project that runs at once.

Owns the order in which a project comes to be. Everything is made in a folder beside
the target and moved into place at the end. A new target appears by one rename, so
whatever stops it, kill -9 included, there is the whole project or none; into a folder
that exists the entries move one by one, and an error or Ctrl-C takes them out again.

    template → staging folder → migrations scaffold → first revision → rename

Invariant: no file that was there before is changed, replaced or removed.
"""

from __future__ import annotations

import os
import re
import secrets
import shlex
import shutil
import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lockstep.cli.options import argument, command, option
from lockstep.cli.output import Page
from lockstep.cli.run import Run
from lockstep.errors import ConfigError

if TYPE_CHECKING:
    from lockstep.config import Settings

TEMPLATE_SUFFIX = ".template"
NAME_CHARACTERS_MAX = 60
FIRST_REVISION = "create the first tables"

# PEP 508: what may stand as a project's name in pyproject.toml.
_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?", re.IGNORECASE)

NEXT_STEPS = (
    ("lockstep migrate upgrade", "make the tables in local.db"),
    ("lockstep seed", "put in the first rows"),
    ("python -m app.main", "see what is there"),
    ("pytest", "test it on a fresh database"),
)


@command(
    "init",
    document={
        "path": "The new project's folder.",
        "name": "Its name.",
        "files": "What was written, relative to the folder.",
        "revision": "The first revision's id.",
    },
    examples={
        "lockstep init demo": "a project in the new folder demo",
        "lockstep init . --name shop": "in the folder you are in",
    },
    needs="nothing",
    short_help="Start a project that runs at once.",
)
@argument("directory", default=".", type=click.Path(path_type=Path), metavar="[DIR]")
@option("--name", metavar="NAME", help="The project's name.  [default: the folder's]")
def init(run: Run, *, directory: Path, name: str | None) -> None:
    """Start a project in DIR: models, history, seed, tests.

    DIR is made when it is not there. In a folder that exists the new files are put
    beside what it holds; if one of them is there already, nothing is written.
    """
    from lockstep.migrations import scaffold

    target = Path(os.path.abspath(directory))
    chosen = project_name(target, name)
    run.keeps(f"nothing was written to {target}")
    with _staging(target) as staging:
        write_template(staging, chosen)
        settings = _settings_of(staging)
        scaffold(staging / settings.migrations, models=settings.models)
        _refuse_collisions(staging, target)
        revision = _first_revision(staging, settings)
        written = sorted(
            str(path.relative_to(staging))
            for path in staging.rglob("*")
            if path.is_file()
        )
        move_into_place(staging, target)

    def draw(page: Page) -> None:
        page.line(f"Wrote {len(written)} files to {target}", style="bold")
        page.line()
        if target != Path.cwd():
            page.line(f"  cd {for_a_shell(target)}")
        page.facts([(f"  {step}", f"# {what}") for step, what in NEXT_STEPS])

    run.output.result(
        {
            "path": str(target),
            "name": chosen,
            "files": written,
            "revision": revision,
        },
        draw,
    )


def project_name(target: Path, name: str | None) -> str:
    """Return the project's name: ``name``, or one made from the folder's.

    Raises:
        ConfigError: ``name`` cannot stand in pyproject.toml.
    """
    if name is None:
        words = re.findall(r"[a-z0-9]+", target.name.lower())
        return "-".join(words)[:NAME_CHARACTERS_MAX].strip("-") or "app"
    if len(name) > NAME_CHARACTERS_MAX or not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} is no project name",
            hint="letters, digits, - . _ between letters or digits, at most "
            f"{NAME_CHARACTERS_MAX}",
        )
    return name


def write_template(folder: Path, name: str) -> None:
    """Write the template's files to ``folder``, with the project's name in them."""

    def copy(source: Traversable, to: Path) -> None:
        for entry in source.iterdir():
            if entry.is_dir():
                if entry.name != "__pycache__":
                    copy(entry, to / entry.name)
            elif entry.name.endswith(TEMPLATE_SUFFIX):
                to.mkdir(parents=True, exist_ok=True)
                text = entry.read_text(encoding="utf-8").replace("{{name}}", name)
                path = to / entry.name.removesuffix(TEMPLATE_SUFFIX)
                path.write_text(text, encoding="utf-8")

    copy(files("lockstep.cli") / "template", folder)


@contextmanager
def _staging(target: Path) -> Generator[Path]:
    """Yield an empty folder on the target's file system; it is gone at the end."""
    parent = target
    while not parent.is_dir():
        if parent.exists():
            raise ConfigError(
                f"{parent} is a file", hint="choose another folder: lockstep init NAME"
            )
        parent = parent.parent
    # The name is known before the folder is made: a signal that arrives between the
    # two system calls of a function that chooses one would leave a folder behind.
    folder = parent / f".lockstep-init-{secrets.token_hex(8)}"
    staging = folder / "project"
    try:
        try:
            folder.mkdir(mode=0o700)
            staging.mkdir()
        except OSError as error:
            raise ConfigError(
                f"{parent} cannot be written to: {error.strerror}",
                hint="choose a folder of your own, or mend its permissions",
            ) from error
        yield staging
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _refuse_collisions(staging: Path, target: Path) -> None:
    taken = [
        entry.name
        for entry in staging.iterdir()
        if os.path.lexists(target / entry.name)
    ]
    if taken:
        raise ConfigError(
            f"{target} already has {', '.join(sorted(taken))}; nothing was written",
            hint="choose an empty folder: lockstep init NAME",
        )


def _first_revision(staging: Path, settings: Settings) -> str:
    """Write the first revision, from the models."""
    from lockstep.cli.project import load_metadata
    from lockstep.engine import Database
    from lockstep.migrations import Migrations

    directory = staging / settings.migrations
    with _own_modules_only(), Database(settings=settings) as database:
        metadata = load_metadata(settings)
        migrations = Migrations(database, metadata=metadata, directory=directory)
        written = migrations.revision(FIRST_REVISION)
    for cache in staging.rglob("__pycache__"):
        shutil.rmtree(cache)
    assert written.revision is not None, "the template's models have tables"
    return written.revision


def _settings_of(staging: Path) -> Settings:
    """Return the new project's settings, on a database that is thrown away."""
    from lockstep.config import load_settings

    scratch = staging.parent / "scratch.db"
    return load_settings(start=staging, env={}, url=f"sqlite:///{scratch}")


@contextmanager
def _own_modules_only() -> Generator[None]:
    """Import the new project's ``app`` and forget it: it will move, or be another's."""
    before, path = dict(sys.modules), list(sys.path)
    for name in [name for name in before if name.partition(".")[0] == "app"]:
        del sys.modules[name]
    try:
        yield
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - set(before):
            if name.partition(".")[0] == "app":
                del sys.modules[name]
        sys.modules.update(before)


def move_into_place(staging: Path, target: Path) -> None:
    """Give the finished project its name: at once, or entry by entry and undone.

    Raises:
        OSError: An entry of the same name appeared meanwhile; it stays as it is, and
            what was moved is taken out again.
    """
    if not os.path.lexists(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        # An atomic rename: the folder appears complete or not at all.
        os.rename(staging, target)
        return
    # A folder is a project once it has its pyproject.toml, so that comes last.
    entries = sorted(staging.iterdir(), key=lambda path: path.name == "pyproject.toml")
    try:
        for entry in entries:
            _move_new(entry, target / entry.name)
    except BaseException:
        for entry in entries:
            _take_back(entry, target / entry.name)
        raise


def _move_new(source: Path, place: Path) -> None:
    """Move one entry; fail rather than replace what appeared in the meantime."""
    if source.is_dir():
        os.rename(source, place)  # refuses a file, and a folder with anything in it
        return
    try:
        os.link(source, place)
    except FileExistsError:
        raise
    except OSError:  # this file system has no hard links
        with place.open("xb") as target:
            target.write(source.read_bytes())
    source.unlink()


def _take_back(source: Path, place: Path) -> None:
    """Remove ``place`` if it is ours: its source is gone, or is the same file."""
    if os.path.lexists(source):
        if place.is_file() and source.is_file() and place.samefile(source):
            place.unlink()
    elif place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink()


def for_a_shell(target: Path) -> str:
    """Return how a shell in the working directory names ``target``."""
    shown = os.path.relpath(target)
    if shown.startswith(".."):
        shown = str(target)
    # A folder -x would be an option of cd.
    return shlex.quote(f"./{shown}" if shown.startswith("-") else shown)
