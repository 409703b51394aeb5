"""``lockstep db backup | verify-backup | restore | vacuum`` as a person uses them.

In this process, because each is several commands; the boundary of the real process
has tests of its own.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lockstep.cli import main


class Command:
    """The command, in a folder with one small database."""

    def __init__(self, url: str) -> None:
        self.environment = {"LOCKSTEP_URL": url}

    def __call__(self, *words: str, code: int = 0) -> Result:
        result = CliRunner(env=self.environment).invoke(main, ["db", *words])
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result

    def json(self, *words: str, code: int = 0) -> dict[str, Any]:
        return json.loads(self(*words, "--json", code=code).stdout)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.chdir(tmp_path)
    raw = sqlite3.connect("shop.db")
    raw.execute("PRAGMA journal_mode = WAL")
    raw.execute("CREATE TABLE part (id INTEGER PRIMARY KEY, name TEXT)")
    raw.executemany("INSERT INTO part (name) VALUES (?)", [("bolt",)] * 500)
    raw.commit()
    raw.close()
    return Command("sqlite:///shop.db")


def rows(path: str) -> int:
    raw = sqlite3.connect(path)
    (found,) = raw.execute("SELECT count(*) FROM part").fetchone()
    raw.close()
    return found


def change(path: str) -> None:
    raw = sqlite3.connect(path)
    raw.execute("DELETE FROM part WHERE id > 3")
    raw.commit()
    raw.close()


def test_the_whole_story(run: Command) -> None:
    made = run("backup", "safe.db").stdout
    assert "1 table, 500 rows" in made
    assert "good: 1 table, 500 rows" in run("verify-backup", "safe.db").stdout
    change("shop.db")

    shown = run("restore", "safe.db", "--replace", code=1)
    assert "which is kept aside" in shown.stdout
    assert "Repeat with --yes" in shown.stderr
    assert rows("shop.db") == 3

    done = run("restore", "safe.db", "--replace", "--yes").stdout
    assert rows("shop.db") == 500
    (kept,) = Path().glob("shop.db.before-restore-*")
    assert f"kept {kept.absolute()}" in done
    assert rows(str(kept)) == 3


def test_without_a_name_it_goes_into_the_folder_of_the_project(run: Command) -> None:
    first = run.json("backup")
    assert Path(first["backup"]).parent == Path("backups").absolute()
    run("backup", "backups/", "--keep", "2")
    third = run.json("backup", "backups/", "--keep", "2")
    assert third["removed"] == [first["backup"]]
    assert len(list(Path("backups").glob("*.db"))) == 2


def test_a_name_that_is_taken_wants_force(run: Command) -> None:
    run("backup", "safe.db")
    refused = run("backup", "safe.db", code=1)
    assert "--force" in refused.stderr
    run("backup", "safe.db", "--force")


def test_a_damaged_backup_ends_with_one_and_names_what_differs(run: Command) -> None:
    run("backup", "safe.db")
    raw = sqlite3.connect("safe.db")
    raw.execute("UPDATE part SET name = 'nut' WHERE id = 7")
    raw.commit()
    raw.close()
    told = run("verify-backup", "safe.db", code=1).stdout
    assert "damaged" in told
    assert "part: the values differ" in told
    document = run.json("verify-backup", "safe.db", code=1)
    assert document["good"] is False
    assert [item["name"] for item in document["differences"]] == ["part"]
    refused = run("restore", "safe.db", "--replace", "--yes", code=1)
    assert "LS-2102" in refused.stderr
    assert rows("shop.db") == 500


def test_a_target_that_holds_something_wants_replace(run: Command) -> None:
    run("backup", "safe.db")
    refused = run("restore", "safe.db", "--yes", code=1)
    assert "--replace" in refused.stderr
    plan = run.json("restore", "safe.db", "--to", "sqlite:///new.db", code=1)
    assert (plan["applied"], plan["plan"]["target_is_empty"]) == (False, True)
    assert not Path("new.db").exists()
    done = run.json("restore", "safe.db", "--to", "sqlite:///new.db", "--yes")
    assert (done["applied"], done["rows"], done["kept"]) == (True, 500, [])
    assert rows("new.db") == 500


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("backup", "one.db", "--keep", "3"), "folder"),
        (("verify-backup", "none.db"), "there is no backup"),
        (("restore", "none.db", "--yes"), "there is no backup"),
        (("backup", "shop.db", "--force"), "the database itself"),
        (("backup", "folder/", "--keep", "0"), "0"),
    ],
)
def test_a_wrong_line_is_a_usage_error(
    run: Command, words: tuple[str, ...], says: str
) -> None:
    assert says in run(*words, code=2).stderr


def test_a_password_on_the_line_is_warned_of_and_never_shown(run: Command) -> None:
    run("backup", "safe.db")
    url = "postgresql://ann:s3cret-word@127.0.0.1:1/shop"
    for words in (("--to", url), (f"--to={url}",)):
        done = run("restore", "safe.db", *words, "--yes", code=2)
        assert "the password in --to" in done.stderr
        assert "s3cret-word" not in done.output


def test_vacuum_says_the_gain(run: Command) -> None:
    change("shop.db")
    assert "Gained" in run("vacuum").stdout
    document = run.json("vacuum", "--auto-vacuum", "incremental")
    assert document["auto_vacuum"] == "incremental"
    assert "there is no" in run("vacuum", "--url", "sqlite:///none.db", code=3).stderr


@pytest.mark.engines("sqlite", "postgresql")
def test_both_engines_go_there_and_back(db_url: str, tmp_path: Path) -> None:
    import sqlalchemy as sa

    from lockstep.engine import Database

    with Database(db_url) as db, db.write_session() as session:
        session.execute(sa.text("CREATE TABLE part (id INTEGER PRIMARY KEY)"))
        session.execute(sa.text("INSERT INTO part VALUES (1), (2)"))
    run = Command(db_url)
    backup = str(tmp_path / "safe.bak")
    assert run.json("backup", backup)["rows"] == 2
    assert run.json("verify-backup", backup)["good"] is True
    assert "not empty" in run("restore", backup, "--yes", code=1).stderr
    assert run.json("vacuum")["after_bytes"] > 0
