"""What sqlite3 and psql are given."""

import shutil

import pytest
from sqlalchemy import make_url

from lockstep.cli.shell import postgresql_command, sqlite_command
from lockstep.engine.libpq import libpq_environment


def test_the_password_is_in_the_environment_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    url = make_url("postgresql://ann:s%40cret@db:5433/shop?sslmode=require")
    chosen = postgresql_command(url, ["-c", "select 1"], {"PATH": "/bin"})
    assert chosen is not None
    assert chosen.arguments == ["psql", "-c", "select 1"]
    assert chosen.environment == {
        "PATH": "/bin",
        "PGHOST": "db",
        "PGPORT": "5433",
        "PGUSER": "ann",
        "PGPASSWORD": "s@cret",
        "PGDATABASE": "shop",
        "PGSSLMODE": "require",
    }


def test_a_service_file_cannot_lead_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    chosen = postgresql_command(
        make_url("postgresql://db/shop"), [], {"PGSERVICE": "other", "PGUSER": "me"}
    )
    assert chosen is not None
    assert "PGSERVICE" not in chosen.environment
    assert chosen.environment["PGUSER"] == "me"


def test_several_hosts_and_a_socket_are_kept() -> None:
    url = make_url("postgresql:///shop?host=/var/run/postgresql&port=5433")
    assert libpq_environment(url) == {
        "PGHOST": "/var/run/postgresql",
        "PGPORT": "5433",
        "PGDATABASE": "shop",
    }
    url = make_url("postgresql:///shop?host=a:1&host=b:2")
    assert libpq_environment(url)["PGHOST"] == "a:1,b:2"


def test_the_sqlite_shell_enforces_foreign_keys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    chosen = sqlite_command("/data/local.db", 5.0, ["-json"], {})
    assert chosen is not None
    assert "PRAGMA foreign_keys=ON" in chosen.arguments
    assert ".timeout 5000" in chosen.arguments
    assert chosen.arguments[-2:] == ["/data/local.db", "-json"]


def test_without_the_program_there_is_no_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert sqlite_command("x", 1.0, [], {}) is None
    assert postgresql_command(make_url("postgresql://db/x"), [], {}) is None
