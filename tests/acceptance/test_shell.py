"""``lockstep db shell``: the right program, the right database, no secret in argv."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from tests.acceptance.shell import Shell

FAKE = """#!{python}
import json, os, sys
libpq = {{k: v for k, v in os.environ.items() if k.startswith("PG")}}
print(json.dumps({{"argv": sys.argv[1:], "env": libpq}}))
sys.exit(7)
"""


@pytest.fixture
def fake_programs(tmp_path: Path) -> Path:
    """Return a folder whose sqlite3 and psql only tell what they were given."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sqlite3", "psql"):
        path = folder / name
        path.write_text(FAKE.format(python=sys.executable))
        path.chmod(0o755)
    return folder


def test_psql_gets_the_password_by_environment(
    project: Shell, fake_programs: Path
) -> None:
    shell = project.having(
        PATH=str(fake_programs),
        DATABASE_URL="postgres://ann:s3cret@db.example:5433/shop?sslmode=require",
        PGSERVICE="elsewhere",
    )
    done = shell("db", "shell", "--", "-c", "select 1", code=7)
    told = json.loads(done.out)
    assert told["argv"] == ["-c", "select 1"]
    assert told["env"]["PGPASSWORD"] == "s3cret"
    assert told["env"]["PGHOST"] == "db.example"
    assert told["env"]["PGPORT"] == "5433"
    assert told["env"]["PGUSER"] == "ann"
    assert told["env"]["PGDATABASE"] == "shop"
    assert told["env"]["PGSSLMODE"] == "require"
    assert "PGSERVICE" not in told["env"]


def test_sqlite3_gets_the_file_and_foreign_keys(
    project: Shell, fake_programs: Path
) -> None:
    done = project.having(PATH=str(fake_programs))("db", "shell", code=7)
    argv = json.loads(done.out)["argv"]
    assert str(project.folder / "local.db") in argv
    assert "PRAGMA foreign_keys=ON" in argv


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="sqlite3 is not installed")
def test_the_real_sqlite3_reads_stdin_and_enforces_keys(project: Shell) -> None:
    project("migrate", "upgrade")
    done = project("db", "shell", stdin="PRAGMA foreign_keys;\n")
    assert done.out.split() == ["1"]
    done = project("db", "shell", "--", "-json", stdin="select 1 as one;\n")
    assert json.loads(done.out) == [{"one": 1}]


@pytest.mark.skipif(shutil.which("psql") is None, reason="psql is not installed")
@pytest.mark.engines("postgresql")
def test_the_real_psql_reaches_the_database(project_on: Shell) -> None:
    done = project_on("db", "shell", "--", "-Atc", "select 6 * 7")
    assert done.out == "42\n"


def test_without_the_programs_the_builtin_prompt_serves(
    project_on: Shell, tmp_path: Path
) -> None:
    shell = project_on.having(PATH=str(tmp_path))
    done = shell(
        *("db", "shell"),
        stdin="create table t (a text);\ninsert into t values ('x;y'), (null);\n"
        "select a from t order by a is null;\n",
    )
    assert done.out.split() == ["2", "rows", "a", done.out.split()[3], "x;y", "NULL"]


def test_a_pipe_stops_at_the_first_error(project_on: Shell) -> None:
    done = project_on(
        *("db", "shell", "--builtin"),
        stdin="select 1;\nselect nonsense;\ncreate table never (a int);\n",
        code=1,
    )
    assert "error LS-2011" in done.err
    assert "Traceback" not in done.err
    assert "never" not in project_on("db", "shell", "--builtin", stdin=".tables").out


def test_a_value_cannot_move_the_cursor(project_on: Shell) -> None:
    is_server = project_on.environment["DATABASE_URL"].startswith("postgresql")
    escape = "chr(27)" if is_server else "char(27)"
    done = project_on(
        *("db", "shell", "--builtin"), stdin=f"select {escape} || '[2J' as x;"
    )
    assert "\x1b" not in done.out
    assert r"\x1b[2J" in done.out


def test_a_transaction_can_be_typed(project_on: Shell) -> None:
    done = project_on(
        *("db", "shell", "--builtin"),
        stdin="create table t (a int);\nbegin;\ninsert into t values (1);\n"
        "rollback;\nselect count(*) as n from t;\n",
    )
    assert done.out.split()[-1] == "0"


def test_words_for_a_missing_program_are_refused(project: Shell) -> None:
    done = project("db", "shell", "--builtin", "--", "-json", code=2)
    assert "-json" in done.err


def test_a_folder_named_like_an_option_is_no_option(shell: Shell) -> None:
    shell("init", "demo")
    odd = shell.folder / "-cmd"
    os.rename(shell.folder / "demo", odd)
    done = shell.at(odd)("db", "shell", stdin="select 1 as one;\n")
    assert "1" in done.out
