"""P11: no password and no row reaches a text that somebody may read."""

from __future__ import annotations

import asyncio
import json
import logging
import traceback

import pytest
import sqlalchemy as sa

from lockstep.config import load_settings
from lockstep.engine import Database
from lockstep.engine.embedded import EmbeddedPostgres
from lockstep.errors import LockstepError

PASSWORD = "s3cret-pass"
UNREACHABLE = [
    f"postgresql://anna:{PASSWORD}@127.0.0.1:1/fixit",
    f"postgresql://anna:{PASSWORD}@no-such-host.invalid/fixit",
    f"postgresql:///fixit?host=/no/such/folder&user=anna&password={PASSWORD}",
    f"postgresql://anna@127.0.0.1:1/fixit?sslpassword={PASSWORD}",
]
UNREADABLE = [
    f"postgres://anna:{PASSWORD}@127.0.0.1:1/fixit?sslmod={PASSWORD}",
    f"postgres://anna:{PASSWORD}@127.0.0.1:port/fixit",
    f"libsql://x.turso.io?authToken={PASSWORD}",
    f"mysql://anna:{PASSWORD}@host/fixit",
    f"sqlite:///a.db?key={PASSWORD}",
]


def frames_of(error: BaseException | None) -> list[str]:
    """Frames with their variables, as pytest and crash reporters show them.

    Those of this test hold the URL, of course.
    """
    frames: list[str] = []
    while error is not None:
        found = traceback.TracebackException.from_exception(error, capture_locals=True)
        frames += [
            f"{frame.filename}: {frame.locals}"
            for frame in found.stack
            if frame.filename != __file__
        ]
        error = error.__cause__ or error.__context__
    return frames


@pytest.mark.parametrize("url", UNREACHABLE + UNREADABLE)
def test_a_failure_shows_no_password(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(LockstepError) as caught, Database(url) as db:
        db.ping()
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))
    assert PASSWORD not in json.dumps(caught.value.to_json())
    assert PASSWORD not in caplog.text
    if url in UNREACHABLE:
        assert not [frame for frame in frames_of(caught.value) if PASSWORD in frame]


@pytest.mark.parametrize("url", UNREACHABLE[:3])
def test_an_async_failure_shows_no_password(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def use() -> None:
        async with Database(url) as db, db.async_read_session() as session:
            await session.execute(sa.text("SELECT 1"))

    with pytest.raises(LockstepError) as caught:
        asyncio.run(use())
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))
    assert PASSWORD not in caplog.text


def test_nothing_about_a_database_shows_its_password(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    with EmbeddedPostgres(tcp=True) as server:
        url = server.url_of("postgres", tcp=True)
        password = url.split("@")[0].rpartition(":")[2]
        with Database(url) as db:
            for name in ("sqlalchemy.engine", "sqlalchemy.pool"):
                logging.getLogger(name).setLevel(logging.DEBUG)
            try:
                info = db.describe()
                with db.write_session() as session:
                    session.execute(sa.text("SELECT 1"))
                    shown = [repr(session.connection().connection.driver_connection)]
            finally:
                for name in ("sqlalchemy.engine", "sqlalchemy.pool"):
                    logging.getLogger(name).setLevel(logging.NOTSET)
            shown += [
                *(repr(db), str(db), repr(db.url), str(db.url), f"{db.url}"),
                *(repr(db.engine), str(db.engine.url), repr(db.engine.url)),
                *(repr(db.async_engine), repr(db.engine.pool), repr(db.settings)),
                *(repr(info), json.dumps(info.to_json()), str(db.pool_statistics())),
                *(db.settings.model_dump_json(), repr(db.settings.model_dump())),
                caplog.text,
            ]
    assert len(password) == 32
    assert not [text for text in shown if password in text]
    assert "SELECT 1" in caplog.text, "the log was listened to"


def test_secret_parameters_are_not_part_of_the_engine_s_url() -> None:
    url = f"postgresql://h/d?sslpassword={PASSWORD}&sslmode=require"
    with Database(url) as db:
        assert PASSWORD not in str(db.engine.url)
        assert db.engine.url.query == {"sslmode": "require"}
        assert db.url.sqlalchemy_url().query["sslpassword"] == PASSWORD


def test_values_of_rows_are_not_logged(
    db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sqlalchemy.engine")
    with db.write_session() as session:
        found = session.scalar(sa.text("SELECT :pin"), {"pin": "hush-hush"})
    assert found == "hush-hush"
    assert "SELECT" in caplog.text
    assert "hush-hush" not in caplog.text


def test_settings_errors_show_no_password() -> None:
    env = {"LOCKSTEP_POSTGRESQL__POOLER": PASSWORD, "DATABASE_URL": UNREACHABLE[0]}
    with pytest.raises(LockstepError) as caught:
        load_settings(env=env)
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))
