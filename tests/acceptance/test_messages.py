"""What people write after ``-m`` stays text: in the file, in a list, on a terminal."""

import pytest
from tests.acceptance.shell import Shell

ODD = [
    '"""\nimport os; os.mkdir("pwned")\n"""',
    '"""; import os; os.mkdir("pwned"); """',
    'ends with a quote"',
    "back\\slash and \\N{BEL}",
    "${1 + 1} <% raise %> ## no template",
    "%s %(here)s {x}",
    "日本語 – naïve",
    "../../outside",
    "-x",
]


@pytest.fixture
def migrated(project: Shell) -> Shell:
    project("migrate", "upgrade")
    return project


def test_odd_messages_come_back_as_they_were_written(migrated: Shell) -> None:
    for message in ODD[1:]:
        migrated("migrate", "revision", f"--message={message}")
    revisions = migrated("migrate", "history", "--json").document["revisions"]
    assert [item["message"] for item in reversed(revisions)][1:] == ODD[1:]
    assert not (migrated.folder / "pwned").exists()
    versions = migrated.folder / "migrations" / "versions"
    assert len(list(versions.glob("*.py"))) == len(ODD)


@pytest.mark.parametrize("message", ["", "  ", ODD[0], "a\tb", "\x1b[2J", "x" * 201])
def test_what_is_not_one_line_is_refused(migrated: Shell, message: str) -> None:
    before = sorted((migrated.folder / "migrations" / "versions").iterdir())
    done = migrated("migrate", "revision", f"--message={message}", code=1)
    assert "message" in done.err
    assert "\x1b" not in done.err
    assert sorted((migrated.folder / "migrations" / "versions").iterdir()) == before
    assert not (migrated.folder / "pwned").exists()
