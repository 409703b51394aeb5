"""What the command says to who names the wrong thing: what, why and how to go on."""

from __future__ import annotations

import gzip

import pytest
from tests.acceptance.shell import Shell


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("move ./a.db ./b.db", 2, "lockstep db backup"),
        ("move packed.db packed.db", 2, "source and target are the same database"),
        ("move sqlite:// ./b.db", 2, "a database in memory"),
        ("move packed.db postgresql://h/d --plan nix", 2, "No such file or directory"),
        ("move postgresql://h/a postgresql://h/b", 2, "pg_dump"),
        ("db info --url packed.db", 1, "it looks like a gzip file"),
        ("inspect packed.db", 1, "it looks like a gzip file"),
        ("db backup ./new.db --url packed.db", 1, "it looks like a gzip file"),
        ("db backup packed.db --force --url ./nowhere.db", 3, "there is no"),
        ("migrate stamp nix", 1, "lockstep migrate history"),
    ],
)
def test_the_wrong_thing_is_named_with_a_way_on(
    line: str, code: int, says: str, project: Shell
) -> None:
    packed = project.folder / "packed.db"
    packed.write_bytes(gzip.compress(b"rows" * 999))
    before = packed.read_bytes()
    done = project(*line.split(), code=code)
    assert says in done.err
    assert "hint: " in done.err
    assert done.out == ""
    assert packed.read_bytes() == before
    assert not (project.folder / "nowhere.db").exists()


def test_an_empty_url_is_not_the_project_s_database(project: Shell) -> None:
    """As from ``--url "$PRODUCTION"`` in a shell that does not know the name."""
    done = project("migrate", "upgrade", "--url", "", code=2)
    assert "--url is empty" in done.err
    assert not (project.folder / "local.db").exists()


def test_a_history_is_replayed_where_there_is_one(project: Shell) -> None:
    skip = ("--check", "unreplayable-migrations")
    (project.folder / "empty").mkdir()
    assert "replaying" not in project("db", "doctor", "empty", *skip).err
    found = project("db", "doctor", ".", *skip).err
    assert f"replaying the history in {project.folder / 'migrations'}" in found
