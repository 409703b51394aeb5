"""Every seeded trap in a project's files fires its check, and no other."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.acceptance.conftest import (
    clean_environment,
    fresh_project,
    project,
    project_on,
)
from tests.acceptance.shell import Shell
from tests.doctor.corpus import make

from lockstep.doctor import Finding, Report, all_checks, examine
from lockstep.doctor.examination import Runner
from lockstep.errors import (
    AccessDenied,
    LockstepError,
    MigrationError,
    Timeout,
    UnsupportedCapability,
)

__all__ = ["clean_environment", "fresh_project", "project", "project_on"]

Told = tuple[str, str, str]
PASSWORD = "hunter2-not-a-placeholder"

HEALTHY = {
    "README.md": "Copy it: cp app.db backup.db is what you must not do.",
    "app/main.py": (
        "import sqlite3\n"
        "connection = sqlite3.connect('app.db')\n"
        "connection.execute('PRAGMA foreign_keys = ON')\n"
        "connection.execute('PRAGMA synchronous = FULL')\n"
        "SQL = 'CREATE TABLE a (b REFERENCES c (d))'\n"
    ),
    ".env.example": f"DATABASE_URL=postgresql://app:{PASSWORD}@db.corp.net/app\n",
    "compose.yml": "services:\n  db:\n    image: postgres\n    # cp app.db x.db\n",
    "alembic.ini": "sqlalchemy.url = postgresql://app:${PASSWORD}@db.corp.net/app\n",
    "docs.toml": "url = 'postgresql://user:password@db.corp.net/app'\n",
    "static/app.js": "const rgb = items.map(x => '?').join(', ')\n",
    "tests/test_app.py": "import shutil\nshutil.copy('app.db', 'backup.db')\n",
    "deploy.sh": "cp config.toml /etc/app/\nsqlite3 app.db \"VACUUM INTO 'b.db'\"\n",
    ".github/ci.yml": "on: push\n",
}


@dataclass(frozen=True)
class Trap:
    name: str
    files: dict[str, str]
    expected: set[Told]
    git: bool = True
    untracked: frozenset[str] = field(default_factory=lambda: frozenset[str]())


def remote(scheme: str = "postgresql", host: str = "db.corp.net") -> str:
    return f"{scheme}://app:{PASSWORD}@{host}/app"


TWO_HEADS: list[tuple[str, list[str]]] = [
    ("0001_initial", []),
    ("0002_a", ["0001_initial"]),
    ("0002_b", ["0001_initial"]),
]


def django(app: str, *parents: str) -> str:
    needed = [(app, parent) for parent in parents] + [("auth", "0012_x")]
    return f"class Migration(migrations.Migration):\n    dependencies = {needed}\n"


TRAPS = [
    Trap(
        "a password in a tracked file",
        {"settings.toml": f"a = 1\nurl = '{remote()}'\n"},
        {("secrets-in-files", "problem", "settings.toml:2")},
    ),
    Trap(
        "a password in alembic.ini",
        {"alembic.ini": f"sqlalchemy.url = {remote('postgresql+psycopg')}\n"},
        {("secrets-in-files", "problem", "alembic.ini:1")},
    ),
    Trap(
        "a tracked .env",
        {".env": f"DATABASE_URL={remote()}\n"},
        {("secrets-in-files", "problem", ".env:1")},
    ),
    Trap(
        "an untracked .env is the place for it",
        {".env": f"DATABASE_URL={remote()}\n"},
        set(),
        untracked=frozenset({".env"}),
    ),
    Trap(
        "a password in a log",
        {"logs/app.log": f"connecting to {remote()}\n"},
        {("secrets-in-files", "problem", "logs/app.log:1")},
        untracked=frozenset({"logs/app.log"}),
    ),
    Trap(
        "the server of a compose file",
        {"compose.yml": f"url: {remote(host='db')}\n"},
        {("secrets-in-files", "notice", "compose.yml:1")},
    ),
    Trap(
        "outside of a repository",
        {"settings.py": f"URL = '{remote('mysql')}'\n"},
        {("secrets-in-files", "warning", "settings.py:1")},
        git=False,
    ),
    Trap(
        "a token for libSQL",
        {"app/db.py": f"URL = 'libsql://x.turso.io?authToken={'ey' * 20}'\n"},
        {("secrets-in-files", "problem", "app/db.py:1")},
    ),
    Trap(
        "a secret that is shipped to browsers",
        {"web/config.ts": "const s = process.env.NEXT_PUBLIC_ELECTRIC_SECRET\n"},
        {("secrets-in-files", "problem", "web/config.ts:1")},
    ),
    Trap(
        "a nightly cp",
        {"setup.sh": "# backup\n0 3 * * * cp /srv/fixit.db /bak/$(date).db\n"},
        {("backup-by-copy", "warning", "setup.sh:2")},
    ),
    Trap(
        "rsync in a Makefile",
        {"Makefile": "backup:\n\trsync -a data/shop.sqlite3 nas:/backups/\n"},
        {("backup-by-copy", "warning", "Makefile:2")},
    ),
    Trap(
        "shutil in a job",
        {"jobs.py": "import shutil\n\ndef backup():\n    shutil.copy2(DB_PATH, to)\n"},
        {("backup-by-copy", "warning", "jobs.py:4")},
    ),
    Trap(
        "a database is copied, perhaps into an image",
        {"Dockerfile": "FROM python\nCOPY seed.db /app/\n"},
        {("backup-by-copy", "notice", "Dockerfile:2")},
    ),
    Trap(
        "passwords in other shapes",
        {
            "a.py": f'c = connect("host=db.corp.net user=a password={PASSWORD}")\n',
            "b.py": f'c = connect(host="db.corp.net", password="{PASSWORD}")\n',
            "c.py": f"DATABASES = {{'PASSWORD': '{PASSWORD}'}}\n",
            "roles.sql": f"ALTER ROLE app PASSWORD '{PASSWORD}';\n",
            "app.service": f"Environment=DATABASE_URL={remote()}\n",
            "main.tf": f'url = "{remote()}"\n',
            "start.ipynb": json.dumps({"source": [f"create_engine('{remote()}')"]}),
            ".pgpass": f"db.corp.net:5432:app:app:{PASSWORD}\n",
            "old.log.1": f"connecting to {remote()}\n",
            "compose.yml": f"POSTGRES_PASSWORD: {PASSWORD}\n",
            "fine.py": "c = connect(host=host, password=secrets.password)\n"
            "d = {'PASSWORD': os.environ['DB_PASSWORD'], 'password': 'Passwort'}\n",
        },
        {
            *(
                ("secrets-in-files", "problem", f"{name}:1")
                for name in ("a.py", "b.py", "c.py", "roles.sql", "app.service")
            ),
            *(
                ("secrets-in-files", "problem", f"{name}:1")
                for name in ("main.tf", "start.ipynb", ".pgpass", "old.log.1")
            ),
            ("secrets-in-files", "notice", "compose.yml:1"),
        },
    ),
    Trap(
        "copies in other ways",
        {
            "backup.sh": 'cp "$DB_FILE" "$TO"\ncat app.db > b.db\ndd if=app.db of=x\n'
            "restic backup /data/app.db\n",
            "jobs/backup.py": 'os.system("cp app.db b.db")\n'
            'subprocess.run(["cp", "data/app.sqlite3", "b"])\n'
            'to.write_bytes(Path("app.db").read_bytes())\n',
            "backup.js": "fs.copyFileSync('app.db', 'backup.db')\n",
            "right.sh": "sqlite3 app.db \".backup '/bak/day.db'\"\ngzip /bak/day.db\n"
            "sqlite3 app.db \"VACUUM INTO 'b.db'\" && cp b.db /bak/c.db\n"
            "systemctl stop app\ncp app.db /bak/cold.db\n",
        },
        {
            *(("backup-by-copy", "warning", f"backup.sh:{n}") for n in (1, 2, 3, 4)),
            *(("backup-by-copy", "warning", f"jobs/backup.py:{n}") for n in (1, 2, 3)),
            ("backup-by-copy", "warning", "backup.js:1"),
        },
    ),
    Trap(
        "no journal, and one more way to write placeholders",
        {
            "app/a.py": 'c.execute("PRAGMA journal_mode=MEMORY")\n',
            "app/b.py": 'marks = ("?," * len(ids))[:-1]\n',
            "app/c.py": 'URI = "sqlite:///a.db"\nk = Field(foreign_key="b")\n',
        },
        {
            ("durability", "warning", "app/a.py:1"),
            ("bind-limit", "notice", "app/b.py:1"),
        },
    ),
    Trap(
        "two libraries",
        {"app/fast.py": "import apsw\n"},
        {("second-sqlite-library", "warning", "app/fast.py:1")},
    ),
    Trap(
        "a second library is installed and not used",
        {".venv/lib/python3.11/site-packages/libsql/__init__.py": "import apsw\n"},
        {("second-sqlite-library", "notice", "libsql")},
    ),
    Trap(
        "two libraries of Node",
        {
            "package.json": json.dumps(
                {"dependencies": {"better-sqlite3": "1", "@libsql/client": "1"}}
            )
        },
        {("second-sqlite-library", "warning", "package.json")},
    ),
    Trap(
        "foreign keys that nobody switches on",
        {
            "app/main.py": "import sqlite3\nc = sqlite3.connect('app.db')\n",
            "schema.sql": "CREATE TABLE a (b INTEGER REFERENCES c (d));\n",
        },
        {("foreign-keys-off", "warning", "app/main.py:2")},
    ),
    Trap(
        "no syncing",
        {"app/fast.py": "c.execute('PRAGMA synchronous = OFF')\n"},
        {("durability", "warning", "app/fast.py:1")},
    ),
    Trap(
        "one placeholder per value",
        {"app/find.py": "sql = f\"IN ({','.join('?' * len(ids))})\"\n"},
        {("bind-limit", "notice", "app/find.py:1")},
    ),
    Trap(
        "one placeholder per value, as a list",
        {"app/find.py": 'marks = ", ".join(["?"] * len(ids))\n'},
        {("bind-limit", "notice", "app/find.py:1")},
    ),
    Trap(
        "a pooler and a driver that was told",
        {
            "app/pg.py": "import asyncpg\nPOOL = {'statement_cache_size': 0}\n"
            "c = asyncpg.connect(url, statement_cache_size=0)\n",
            "app/settings.py": "URL = 'postgresql://app@db.corp.net:6543/app'\n",
        },
        set(),
    ),
    Trap(
        "a pooler and a driver that prepares",
        {
            "app/pg.py": "import asyncpg\n",
            "app/settings.py": "URL = 'postgresql://app@db.corp.net:6543/app'\n",
        },
        {("pooler", "warning", "app/settings.py:1")},
    ),
    Trap(
        "a history of Alembic with two heads and a gap",
        {
            "db/versions/a.py": "revision: str = 'a'\ndown_revision = None\n",
            "db/versions/b.py": "revision = 'b'\ndown_revision: str | None = 'a'\n",
            "db/versions/c.py": "revision = 'c'\ndown_revision = ('a', 'lost')\n",
            "db/versions/helper.py": "revision = 'of something else'\n",
            "fine/versions/a.py": "revision = 'a'\ndown_revision = None\n",
            "fine/versions/b.py": "revision = 'b'\ndown_revision = 'a'\n",
        },
        {
            ("migrations", "problem", "db/versions"),
            ("migrations", "problem", "db/versions/c.py"),
        },
    ),
    Trap(
        "histories of Django: two heads, none, squashed",
        {
            **{f"shop/migrations/{n}.py": django("shop", *p) for n, p in TWO_HEADS},
            **{f"blog/migrations/{n}.py": django("blog", *p) for n, p in TWO_HEADS[:2]},
            "blog/migrations/0001_squashed.py": django("blog")
            + "    replaces = [('blog', '0001_initial'), ('blog', '0002_a')]\n",
            "cart/apps.py": "",
            "cart/models.py": "class Item(models.Model):\n    pass\n",
            # No application, no file of models, no model.
            "library/models.py": "class Item(models.Model):\n    pass\n",
            "cart/views.py": "class Item(models.Model):\n    pass\n",
            "pages/apps.py": "",
            "pages/models.py": "from django.db import models\n",
        },
        {
            ("migrations", "problem", "shop/migrations"),
            ("migrations", "warning", "cart/models.py"),
        },
    ),
    Trap(
        "SQL files that do not replay on SQLite",
        {
            "drizzle/meta/_journal.json": json.dumps(
                {"dialect": "sqlite", "entries": [{"tag": "0000_a"}, {"tag": "0001_b"}]}
            ),
            "drizzle/0000_a.sql": "CREATE TABLE `a` (`id` integer);\n",
            "drizzle/0001_b.sql": "ALTER TABLE `b` ADD `x` text;\n",
        },
        {("unreplayable-migrations", "problem", "drizzle/0001_b.sql")},
    ),
    Trap(
        "SQL files that do not replay on PostgreSQL",
        {
            "db/migrations/0001_init.sql": "CREATE TABLE t (id serial PRIMARY KEY,"
            " created_at timestamptz NOT NULL);\n",
            "db/migrations/0002_type.sql": "ALTER TABLE t ALTER COLUMN created_at"
            " SET DATA TYPE bigint;\n",
            "db/migrations/0002_type.down.sql": "nonsense;\n",
        },
        {("unreplayable-migrations", "problem", "db/migrations/0002_type.sql")},
    ),
    Trap(
        "SQL files that replay",
        {
            "migrations/1_init.sql": "CREATE TABLE t (id INTEGER PRIMARY KEY"
            " AUTOINCREMENT);\n",
            "migrations/2_more.sql": "ALTER TABLE t ADD COLUMN x TEXT;\n",
            "migrations/10_last.sql": "CREATE INDEX i ON t (x);\n",
        },
        set(),
    ),
]


def plant(root: Path, trap: Trap) -> Path:
    for name, text in (HEALTHY | trap.files).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    if trap.git:
        ignored = "\n".join(trap.untracked)
        (root / ".gitignore").write_text(ignored + "\n")
        for words in (["init", "-q"], ["add", "-A"]):
            subprocess.run(["git", *words], cwd=root, check=True)
    return root


def told(report: Report) -> set[Told]:
    return {(f.check, f.severity, f.subject) for f in report.findings}


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.name)
def test_a_trap_fires_exactly_its_check(trap: Trap, tmp_path: Path) -> None:
    report = examine(plant(tmp_path, trap))
    assert report.unfinished == ()
    assert told(report) == trap.expected
    assert PASSWORD not in json.dumps(report.to_json())


def test_a_healthy_project_gets_no_finding(tmp_path: Path) -> None:
    assert told(examine(plant(tmp_path, Trap("", {}, set())))) == set()


def test_every_check_of_a_project_has_a_trap() -> None:
    trapped = {check for trap in TRAPS for check, _, _ in trap.expected}
    elsewhere = {"drift", "portability"}  # below: lockstep's own
    looking = {check.name for check in all_checks() if check.project is not None}
    assert looking - trapped == elsewhere


def test_nothing_in_a_folder_is_run(tmp_path: Path) -> None:
    root = plant(tmp_path, Trap("", {"setup.py": "raise SystemExit(1)\n"}, set()))
    marker = tmp_path / "ran"
    program = tmp_path / "monitor.sh"
    program.write_text(f"#!/bin/sh\ntouch {marker}\n")
    program.chmod(0o755)
    config = ["git", "config", "core.fsmonitor", str(program)]
    subprocess.run(config, cwd=root, check=True)
    examine(root)
    assert not marker.exists()


def findings(shell: Shell, *words: str, code: int | None = None) -> set[Told]:
    document = shell("db", "doctor", *words, "--json", code=code).document
    return {(f["check"], f["severity"], f["subject"]) for f in document["findings"]}


HISTORY = ("--check", "migrations", "--check", "drift", "--check", "portability")


def test_a_project_of_lockstep_is_healthy(project: Shell) -> None:
    project("migrate", "upgrade")
    project("seed")
    names = sorted(os.listdir(project.folder))
    document = project("db", "doctor", "--json").document
    assert document["healthy"] is True
    assert len(document["targets"]) == 2
    assert document["unfinished"] == []
    assert sorted(os.listdir(project.folder)) == names


@pytest.mark.engines("postgresql")
def test_a_project_on_postgresql_is_healthy(project_on: Shell) -> None:
    project_on("migrate", "upgrade")
    project_on("seed")
    words = ("--skip", "unreplayable-migrations", "--json")
    document = project_on("db", "doctor", *words).document
    assert document["healthy"] is True
    assert len(document["targets"]) == 2
    loud = project_on.having(LOCKSTEP_POOL__SIZE="900")
    words = ("--processes", "4", "--check", "connection-budget")
    found = findings(loud, *words, code=1)
    assert ("connection-budget", "problem", "pool") in found


def test_a_database_behind_its_history(project: Shell) -> None:
    project("migrate", "upgrade")
    project("migrate", "downgrade", "base", "--yes")
    found = findings(project, *HISTORY, code=1)
    assert {(check, severity) for check, severity, _ in found} == {
        ("migrations", "warning")
    }


def test_drift_is_found_and_nothing_is_written(project: Shell) -> None:
    project("migrate", "upgrade")
    connection = sqlite3.connect(project.folder / "local.db")
    table = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table'"
        " AND name <> 'alembic_version' AND name NOT LIKE 'sqlite%'"
    ).fetchone()[0]
    connection.execute(f'ALTER TABLE "{table}" ADD COLUMN by_hand TEXT')
    connection.commit()
    connection.close()
    names = sorted(os.listdir(project.folder))
    found = findings(project, *HISTORY, code=1)
    assert ("drift", "warning") in {(check, severity) for check, severity, _ in found}
    assert sorted(os.listdir(project.folder)) == names


def test_a_project_without_a_history(project: Shell) -> None:
    (project.folder / "migrations" / "env.py").unlink()
    found = findings(project, *HISTORY, code=1)
    assert found == {("migrations", "warning", "migrations")}


def test_what_is_not_portable(project: Shell) -> None:
    models = project.folder / "app" / "models.py"
    models.write_text(
        models.read_text()
        + "\nimport sqlalchemy as sa\n"
        + "sa.Table('odd', Base.metadata,"
        + " sa.Column('id', sa.Integer, primary_key=True),"
        + " sa.Column('at', sa.DateTime))\n"
    )
    project("migrate", "upgrade")
    found = findings(project, *HISTORY, code=1)
    assert ("portability", "notice") in {(check, level) for check, level, _ in found}


def test_a_history_that_does_not_replay(project: Shell) -> None:
    (revision,) = (project.folder / "migrations" / "versions").glob("*.py")
    text = revision.read_text()
    head, mark, tail = text.partition("def upgrade() -> None:")
    assert mark
    revision.write_text(f"{head}{mark}\n    op.execute('SELECT * FROM nowhere'){tail}")
    found = findings(project, "--check", "unreplayable-migrations", code=1)
    assert {(check, severity) for check, severity, _ in found} == {
        ("unreplayable-migrations", "problem")
    }


def test_models_that_cannot_be_imported_stop_nothing_else(project: Shell) -> None:
    models = project.folder / "app" / "models.py"
    models.write_text("import nothing_of_this_name\n")
    project.folder.joinpath("settings.toml").write_text(f"url = '{remote()}'\n")
    (project.folder / "local.db").touch()
    document = project("db", "doctor", "--json", code=1).document
    assert "secrets-in-files" in {f["check"] for f in document["findings"]}
    outcomes = {run["check"]: run["outcome"] for run in document["unfinished"]}
    assert outcomes["drift"] == "failed"


@pytest.mark.parametrize(
    ("error", "outcome", "is_healthy"),
    [
        (MigrationError("the project's own code fails"), "failed", False),
        (UnsupportedCapability("only a file tells"), "refused", True),
        (AccessDenied("no right to read it"), "refused", True),
        (Timeout("it took too long"), "incomplete", False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_check_that_says_nothing_does_not_say_that_all_is_well(
    error: LockstepError, outcome: str, is_healthy: bool
) -> None:
    def examine_it(_: object) -> Iterator[Finding]:
        raise error
        yield  # as a check does

    runner = Runner("shop", lambda check, target: None)
    runner.run(all_checks()[0], examine_it, None)
    report = runner.report()
    assert [run.outcome for run in report.runs] == [outcome]
    assert report.is_healthy is is_healthy


def test_files_that_lie_in_another_tool_s_project_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    make(tmp_path / "data" / "db.sqlite3", "DROP INDEX ix_orders_customer_id")
    (tmp_path / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0 no SQLite file" * 99)
    (tmp_path / "empty.db").touch()
    report = examine(tmp_path)
    (found,) = [f for f in report.findings if f.severity != "notice"]
    assert (found.check, found.fixable) == ("unindexed-foreign-keys", False)
    assert report.targets == (str(tmp_path), str(tmp_path / "data" / "db.sqlite3"))
