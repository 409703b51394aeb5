"""The ``fixit`` command."""

from __future__ import annotations

import socket

import pytest

from fixit import server
from fixit.__main__ import main
from fixit.errors import FixitError
from fixit.services import auth
from lockstep import Database


def run(db: Database, *arguments: str) -> int:
    url = db.url.unmasked()
    return main(["--url", url, *arguments])


def test_the_first_administrator(
    blank: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(blank, "create-admin", "ada-1", "Ada Brandt") == 0
    pin = capsys.readouterr().out.strip()
    who = auth.login(blank, "ADA-1", pin).who
    assert who.must_change_pin
    assert who.role == "administrator"
    assert run(blank, "create-admin", "ADA-1", "Ada Twin") == 1
    assert "taken" in capsys.readouterr().err


def test_a_forgotten_pin(db: Database, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(db, "reset-pin", "tech-001") == 0
    shown = capsys.readouterr()
    assert auth.login(db, "TECH-001", shown.out.strip()).who.must_change_pin
    assert shown.out.strip() not in shown.err
    assert run(db, "reset-pin", "NOBODY") == 1
    assert "Nobody" in capsys.readouterr().err


def test_schedules_from_cron(db: Database, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(db, "run-schedules") == 0
    first = capsys.readouterr().out.splitlines()
    assert run(db, "run-schedules") == 0
    assert capsys.readouterr().out == ""
    assert len(first) == 2, "the demo's dates lie in the tests' past"


def test_production_names_its_database(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_ENV", "production")
    for name in ("DATABASE_URL", "LOCKSTEP_URL"):
        monkeypatch.delenv(name, raising=False)
    assert main(["serve"]) == 1
    assert "DATABASE_URL" in capsys.readouterr().err


def test_a_database_that_cannot_be_reached_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--url", "postgresql://u:secret@127.0.0.1:1/x", "run-schedules"]) == 1
    told = capsys.readouterr().err
    assert "LS-" in told
    assert "secret" not in told
    assert "Traceback" not in told


def test_the_next_free_port_is_taken() -> None:
    with (
        server.listen("127.0.0.1", None) as first,
        server.listen("127.0.0.1", None) as second,
    ):
        ports = first.getsockname()[1], second.getsockname()[1]
    assert server.PORT <= ports[0] < ports[1] < server.PORT + server.PORTS_TRIED


def test_a_port_asked_for_is_never_another() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        with pytest.raises(FixitError, match=f"port {port}"):
            server.listen("127.0.0.1", port)
