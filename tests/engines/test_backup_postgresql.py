"""What is PostgreSQL's own about backups: programs, passwords, versions, roles."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from lockstep.contrib.pytest.databases import MakeDatabase
from lockstep.engine import Database
from lockstep.engine.backup import back_up, restore_backup, verify_backup
from lockstep.engine.backup.programs import find_program
from lockstep.engine.embedded import EmbeddedPostgres
from lockstep.engine.vacuum import vacuum
from lockstep.errors import (
    AccessDenied,
    BackupFailed,
    Busy,
    ConfigError,
    PoolerIncompatible,
    ProgramMissing,
    StorageFailed,
)

pytestmark = pytest.mark.engines("postgresql")


@pytest.fixture(scope="module")
def tcp_server() -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(tcp=True) as server:
        yield server


def fill(db: Database) -> None:
    with db.write_session() as session:
        run = session.connection().exec_driver_sql
        run("CREATE SCHEMA shop")
        run(
            'CREATE TABLE shop."a ""quoted"" name" (lockstep_row int PRIMARY KEY,'
            " f float8, t timestamptz, b bytea, j jsonb, m money, a int[],"
            " g int GENERATED ALWAYS AS (lockstep_row * 2) STORED)"
        )
        run(
            'INSERT INTO shop."a ""quoted"" name" VALUES'
            " (1, 0.1, now(), '\\x00ff', '{\"a\": 1}', 1.5, '{1,2}'),"
            " (2, 'NaN', 'infinity', NULL, NULL, -2, '{}')"
        )
        run("CREATE TABLE whole (id int, at date) PARTITION BY RANGE (at)")
        run("CREATE TABLE part_1 PARTITION OF whole DEFAULT")
        run("INSERT INTO whole SELECT n, current_date FROM generate_series(1, 50) n")
        run("CREATE VIEW seen AS SELECT id FROM whole")


def script(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_odd_tables_come_back(
    db: Database, make_database: MakeDatabase, tmp_path: Path
) -> None:
    fill(db)
    result = back_up(db, tmp_path / "shop.dump")
    assert result.manifest.rows == 52
    assert verify_backup(result.path).is_good
    target = make_database("postgresql")
    restore_backup(result.path, target)
    with target.read_session() as session:
        assert session.execute(sa.text("SELECT count(*) FROM seen")).scalar() == 50


def test_a_lost_index_is_a_difference(db: Database, tmp_path: Path) -> None:
    fill(db)
    result = back_up(db, tmp_path / "shop.dump")
    with db.write_session() as session:
        session.execute(sa.text("CREATE INDEX part_1_id ON part_1 (id)"))
    other = back_up(db, tmp_path / "other.dump")
    changed = {
        a.name
        for a, b in zip(result.manifest.tables, other.manifest.tables, strict=True)
        if a != b
    }
    assert changed == {"pg_class"}


def test_the_password_is_in_no_argument_and_no_message(
    tcp_server: EmbeddedPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = tcp_server.url_of("postgres", tcp=True)
    password = url.split(":")[2].split("@")[0]
    with Database(url) as db:
        real = find_program("pg_dump", db.capabilities.version[0]).path
    script(
        tmp_path / "bin",
        "pg_dump",
        f'echo "$@" >> {tmp_path}/arguments; exec {real} "$@"',
    )
    monkeypatch.setenv("LOCKSTEP_POSTGRESQL_BIN", str(tmp_path / "bin"))
    # What the caller has set for libpq leads pg_dump nowhere else.
    monkeypatch.setenv("PGPASSWORD", "wrong")
    with Database(url) as db:
        result = back_up(db, tmp_path / "shop.dump")
    said = (tmp_path / "arguments").read_text()
    assert "--snapshot=" in said
    assert password not in said
    assert password not in result.manifest.text()


def test_a_wrong_password_is_said_and_not_shown(
    tcp_server: EmbeddedPostgres, tmp_path: Path
) -> None:
    url = tcp_server.url_of("postgres", tcp=True)
    good = url.split(":")[2].split("@")[0]
    with Database(url.replace(good, "s3cret-guess")) as db:
        with pytest.raises(AccessDenied) as caught:
            back_up(db, tmp_path / "shop.dump")
        assert "s3cret-guess" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_without_pg_dump_it_says_what_to_install(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.ping()
    empty = tmp_path / "bin"
    empty.mkdir()
    monkeypatch.setenv("LOCKSTEP_POSTGRESQL_BIN", str(empty))
    with pytest.raises(ProgramMissing, match="pg_dump is not installed") as caught:
        back_up(db, tmp_path / "shop.dump")
    assert "apt install" in caught.value.hint
    assert [p.name for p in tmp_path.iterdir()] == ["bin"]


def test_a_pg_dump_older_than_the_server_is_refused(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.ping()
    script(tmp_path / "bin", "pg_dump", 'echo "pg_dump (PostgreSQL) 9.6.24"')
    monkeypatch.setenv("LOCKSTEP_POSTGRESQL_BIN", str(tmp_path / "bin"))
    with pytest.raises(ProgramMissing, match="older than PostgreSQL"):
        back_up(db, tmp_path / "shop.dump")


def test_what_pg_dump_says_is_passed_on(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.ping()
    script(
        tmp_path / "bin",
        "pg_dump",
        '[ "$1" = --version ] && echo "pg_dump (PostgreSQL) 99.0" && exit 0\n'
        'echo "pg_dump: error: the moon is full" >&2; exit 3',
    )
    monkeypatch.setenv("LOCKSTEP_POSTGRESQL_BIN", str(tmp_path / "bin"))
    with pytest.raises(BackupFailed, match="the moon is full"):
        back_up(db, tmp_path / "shop.dump")
    usage = type(shutil.disk_usage(tmp_path))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100, 100, 0))
    with pytest.raises(StorageFailed, match=r"0 bytes free .* the moon is full"):
        back_up(db, tmp_path / "shop.dump")
    assert [p.name for p in tmp_path.iterdir()] == ["bin"]


BACK_UP_WITH_A_LIMIT = """
import resource, signal, sys
from lockstep.engine import Database
from lockstep.engine.backup import back_up
from lockstep.errors import BackupFailed
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    back_up(Database(sys.argv[1]), sys.argv[2], force=True)
except BackupFailed as error:
    print("refused:", error.message)
"""


def test_a_disk_that_fills_up_leaves_the_old_backup(
    db: Database, tmp_path: Path
) -> None:
    fill(db)
    result = back_up(db, f"{tmp_path}/safe/")
    before = {path: path.read_bytes() for path in result.path.parent.iterdir()}
    with db.write_session() as session:
        run = session.connection().exec_driver_sql
        run("CREATE TABLE long AS SELECT md5(n::text) FROM generate_series(1, 9000) n")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            BACK_UP_WITH_A_LIMIT,
            db.url.unmasked(),
            str(result.path),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("refused: pg_dump")
    after = {path: path.read_bytes() for path in result.path.parent.iterdir()}
    assert after == before
    assert verify_backup(result.path).is_good


def test_a_pooler_is_refused(tmp_path: Path) -> None:
    with (
        Database("postgresql://a@pooler.example:6543/shop") as db,
        pytest.raises(PoolerIncompatible),
    ):
        back_up(db, tmp_path / "shop.dump")


def test_a_database_in_use_is_not_replaced(db: Database, tmp_path: Path) -> None:
    fill(db)
    result = back_up(db, tmp_path / "shop.dump")
    name = db.url.sqlalchemy_url().database
    other = Database(db.url.sqlalchemy_url())
    with other.read_session() as session:
        session.execute(sa.text("SELECT 1"))
        with pytest.raises(Busy):
            restore_backup(result.path, db, replace=True)
        rows = session.execute(sa.text("SELECT datname FROM pg_database")).scalars()
        names = [found for found in rows if str(name)[:40] in found]
    assert names == [name], "nothing was renamed"
    with db.read_session() as session:
        left = session.execute(
            sa.text("SELECT count(*) FROM pg_database WHERE datname LIKE '%restore%'")
        )
        assert left.scalar() == 0, "the successor is gone"
    other.close()


FACTS = sa.text(
    "SELECT current_setting('search_path'), current_setting('work_mem'),"
    " current_setting('shop.tenant', true), datacl::text, datconnlimit,"
    " shobj_description(oid, 'pg_database'),"
    " (SELECT array_agg(setconfig::text) FROM pg_db_role_setting"
    "  WHERE setdatabase = d.oid AND setrole <> 0)"
    " FROM pg_database AS d WHERE datname = current_database()"
)


def test_the_database_that_takes_over_is_set_up_as_the_old_one(
    db: Database, tmp_path: Path
) -> None:
    fill(db)
    name = db.url.sqlalchemy_url().database
    with db.write_session() as session:
        run = session.connection().exec_driver_sql
        run(f'ALTER DATABASE {name} SET search_path = shop, "odd, name", public')
        run(f"ALTER DATABASE {name} SET work_mem = '7MB'")
        run(f"ALTER DATABASE {name} SET shop.tenant = 'it''s, one'")
        run("CREATE ROLE lockstep_clerk")
        run(f"ALTER ROLE lockstep_clerk IN DATABASE {name} SET work_mem = '9MB'")
        run(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
        run(f"GRANT CONNECT ON DATABASE {name} TO lockstep_clerk WITH GRANT OPTION")
        run(f"COMMENT ON DATABASE {name} IS 'it''s the shop'")
        run(f"ALTER DATABASE {name} CONNECTION LIMIT 17")
    db.close()
    with db.read_session() as session:
        before = session.execute(FACTS).one()
    assert before[:3] == ('shop, "odd, name", public', "7MB", "it's, one")
    result = back_up(db, tmp_path / "shop.dump")
    (kept,) = restore_backup(result.path, db, replace=True).kept
    with db.read_session() as session:
        assert session.execute(FACTS).one() == before
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as admin:
        admin.execute(sa.text(f"DROP DATABASE {kept}"))
        run = admin.exec_driver_sql
        run(f"REVOKE ALL ON DATABASE {name} FROM lockstep_clerk")
        run(f"ALTER ROLE lockstep_clerk IN DATABASE {name} RESET ALL")
        run("DROP ROLE lockstep_clerk")


def test_a_restore_that_fails_leaves_nothing(
    db: Database, make_database: MakeDatabase, tmp_path: Path
) -> None:
    with db.write_session() as session:
        run = session.connection().exec_driver_sql
        run("CREATE ROLE lockstep_someone")
        run("CREATE TABLE t (a int)")
        run("ALTER TABLE t OWNER TO lockstep_someone")
    result = back_up(db, tmp_path / "shop.dump")
    with db.write_session() as session:
        run = session.connection().exec_driver_sql
        run("ALTER TABLE t OWNER TO CURRENT_USER")
        run("DROP ROLE lockstep_someone")
    target = make_database("postgresql")
    with pytest.raises(BackupFailed, match="lockstep_someone"):
        restore_backup(result.path, target, owners=True)
    restore_backup(result.path, target)
    with target.read_session() as session:
        assert session.execute(sa.text("SELECT count(*) FROM t")).scalar() == 0


def test_vacuum_runs_and_leaves_the_limits(db: Database) -> None:
    fill(db)
    done = vacuum(db)
    assert done.after_bytes > 0
    assert done.auto_vacuum is None
    with db.read_session() as session:
        limit = session.execute(sa.text("SHOW statement_timeout")).scalar()
    assert limit == "30s"
    with pytest.raises(ConfigError, match="SQLite"):
        vacuum(db, auto_vacuum="full")
    assert os.environ.get("PGPASSWORD") is None
