"""A newcomer's first hour, on SQLite and on PostgreSQL, command by command."""

import sys
from pathlib import Path

import pytest
from tests.acceptance.shell import Shell

READING = ("current", "history", "heads")


def test_the_first_five_minutes(project_on: Shell) -> None:
    """``init`` was run; the README's five commands all work."""
    shell = project_on
    assert shell("migrate", "upgrade").out.startswith("base → ")
    first = shell("seed", "--json").document
    assert first["inserted"] > 0
    again = shell("seed", "--json").document
    assert (again["inserted"], again["updated"]) == (0, 0)
    assert again["unchanged"] == first["inserted"]
    shown = shell.run(sys.executable, "-m", "app.main").out
    assert "Cordless drill" in shown
    shell.run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    info = shell("db", "info", "--json").document
    assert info["migrations"]["is_head"] is True
    assert shell("migrate", "check", "--json").document["ok"] is True


def test_a_column_is_added_and_taken_back(project_on: Shell) -> None:
    shell = project_on
    shell("migrate", "upgrade")
    shell("seed")
    models = shell.folder / "app" / "models.py"
    text = models.read_text()
    models.write_text(
        text.replace(
            "    price: Mapped[Decimal]",
            "    shelf: Mapped[str | None] = mapped_column(Text(20))\n"
            "    price: Mapped[Decimal]",
        )
    )
    assert shell("migrate", "check", code=1).out.count("error") >= 1
    written = shell("migrate", "revision", "--autogenerate", "-m", "add a shelf")
    assert "Wrote" in written.out
    assert "shelf" in written.out
    shell("migrate", "upgrade")
    shell("migrate", "check")
    again = shell("migrate", "revision", "--autogenerate", "-m", "nothing", "--json")
    assert again.document["path"] is None

    plan = shell("migrate", "downgrade", "-1", code=1)
    assert "shelf" in plan.out
    assert "nothing was done" in plan.err
    assert shell("migrate", "current", "--json").document["is_head"] is True
    shell("migrate", "downgrade", "-1", "--yes")
    assert shell("migrate", "current", "--json").document["is_head"] is False
    # Taking one column back keeps every row.
    counted = shell("db", "shell", "--builtin", stdin="select count(*) from tool;")
    assert counted.out.split()[-1] == "3"


def test_an_upgrade_that_loses_rows_is_shown_first(project_on: Shell) -> None:
    shell = project_on
    shell("migrate", "upgrade")
    shell("seed")
    models = shell.folder / "app" / "models.py"
    text = models.read_text()
    start = text.index("    price: Mapped[Decimal]")
    models.write_text(text[:start] + text[text.index("\n", start) + 1 :])
    shell("migrate", "revision", "--autogenerate", "-m", "forget the price")
    before = shell("migrate", "current", "--json").document
    plan = shell("migrate", "upgrade", code=1)
    assert "tool.price: 3 values" in plan.out
    document = shell("migrate", "upgrade", "--json", code=1).document
    assert document["applied"] is False
    assert document["plan"]["steps"][0]["losses"][0]["column"] == "price"
    assert shell("migrate", "current", "--json").document == before
    shell("migrate", "upgrade", "--yes")
    assert shell("migrate", "current", "--json").document["is_head"] is True


def test_two_heads_are_merged(project_on: Shell) -> None:
    shell = project_on
    shell("migrate", "upgrade")
    shell("migrate", "revision", "-m", "mine")
    mine = next((shell.folder / "migrations" / "versions").glob("*mine*"))
    kept = mine.read_text()
    mine.unlink()
    shell("migrate", "revision", "-m", "yours")
    mine.write_text(kept)
    assert len(shell("migrate", "heads", "--json").document["revisions"]) == 2
    refused = shell("migrate", "upgrade", code=1)
    assert "lockstep migrate merge" in refused.err
    shell("migrate", "merge", "-m", "join")
    assert len(shell("migrate", "heads", "--json").document["revisions"]) == 1
    shell("migrate", "upgrade")


def test_a_stamp_wants_yes(project_on: Shell) -> None:
    shell = project_on
    refused = shell("migrate", "stamp", "head", code=1)
    assert "nothing was done" in refused.err
    assert shell("migrate", "current", "--json").document["revisions"] == []
    shell("migrate", "stamp", "head", "--yes")
    assert shell("migrate", "current", "--json").document["is_head"] is True


def test_sql_is_printed_and_nothing_is_applied(project_on: Shell) -> None:
    if project_on.environment["DATABASE_URL"].startswith("postgresql"):
        printed = project_on("migrate", "upgrade", "--sql").out
        assert "CREATE TABLE" in printed
    else:
        refused = project_on("migrate", "upgrade", "--sql", code=1)
        assert "PostgreSQL only" in refused.err
    assert project_on("migrate", "current", "--json").document["revisions"] == []


def test_it_works_from_any_subfolder(project_on: Shell) -> None:
    project_on("migrate", "upgrade")
    inner = project_on.at("app")
    assert inner("migrate", "current", "--json").document["is_head"] is True
    inner("seed")
    outside = project_on.at("..")
    outside("migrate", "check", "--project", "demo")
    outside.having(LOCKSTEP_PROJECT="demo")("migrate", "check")


@pytest.mark.engines("sqlite")
def test_the_file_lies_in_the_project_wherever_one_stands(project: Shell) -> None:
    project.at("app")("migrate", "upgrade")
    assert (project.folder / "local.db").is_file()
    assert not (project.folder / "app" / "local.db").exists()


def test_looking_at_a_database_does_not_make_one(project: Shell) -> None:
    for words in (["db", "info"], *(["migrate", verb] for verb in READING)):
        project(*words)
    assert not (project.folder / "local.db").exists()
    assert project("db", "info", "--json").document["exists"] is False


def test_verify_replays_on_both_engines(project: Shell) -> None:
    document = project("migrate", "verify", "--json").document
    assert document["ok"] is True
    assert set(document["dialects"]) == {"sqlite", "postgresql"}
    assert document["revisions"] == 1


def test_a_broken_model_is_told_with_its_line(project: Shell) -> None:
    models = project.folder / "app" / "models.py"
    models.write_text(models.read_text() + "\nbroken = undefined_name\n")
    line = len(models.read_text().splitlines())
    told = project("migrate", "check", code=2)
    assert f"app/models.py:{line}" in told.err
    assert "undefined_name" in told.err
    assert "Traceback" not in told.err
    told = project("migrate", "check", "--debug", code=2)
    assert "Traceback" in told.err


def test_a_folder_without_a_project_says_how_to_start(shell: Shell) -> None:
    told = shell("migrate", "upgrade", code=2)
    assert "lockstep init" in told.err
    assert list(Path(shell.folder).iterdir()) == []


def test_whoever_forgets_the_upgrade_is_told(project_on: Shell) -> None:
    seeded = project_on("seed", code=1)
    assert "lockstep migrate upgrade" in seeded.err
    ran = project_on.run(sys.executable, "-m", "app.main", code=1)
    assert "lockstep migrate upgrade" in ran.err
    assert "Traceback" not in ran.err


def test_the_plain_alembic_command_works_on_the_same_folder(project_on: Shell) -> None:
    alembic = (sys.executable, "-m", "alembic")
    project_on.run(*alembic, "upgrade", "head")
    assert "(head)" in project_on.run(*alembic, "current").out
    project_on("migrate", "check")
    assert project_on("migrate", "current", "--json").document["is_head"] is True


def test_the_own_tests_pass_on_both_engines(project: Shell) -> None:
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider")
    done = project.run(sys.executable, *words, "--lockstep-engines=sqlite,postgresql")
    assert "6 passed" in done.out
