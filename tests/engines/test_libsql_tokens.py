"""Tokens of a libsql-server: what they open, and what is said when they do not."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.engines.ed25519 import Key
from tests.engines.test_libsql import CREATE, OwnServer, insert

from lockstep.config import load_settings
from lockstep.engine import Database, Unit
from lockstep.errors import AccessDenied, ConfigError

pytestmark = pytest.mark.engines("libsql")


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[OwnServer, Key]]:
    key = Key()
    (tmp_path / "key").write_text(key.public_text)
    server = OwnServer(tmp_path, "--auth-jwt-key-file", str(tmp_path / "key"))
    server.start()
    yield server, key
    server.stop()


def test_a_token_opens_what_it_allows(guarded: tuple[OwnServer, Key]) -> None:
    server, key = guarded
    url = f"http://127.0.0.1:{server.port}"
    may_write = key.token(a="rw", exp=int(time.time()) + 600)
    with Database(f"{url}?authToken={may_write}", settings=load_settings(env={})) as db:
        with db.write_session() as session:
            session.execute(sa.text(CREATE))
        asyncio.run(ping_async(db))
    variable = {"LOCKSTEP_LIBSQL__AUTH_TOKEN": key.token(a="ro")}
    with Database(url, settings=load_settings(env=variable)) as db:
        with db.read_session() as session:
            session.execute(sa.text("SELECT * FROM part"))
        with pytest.raises(AccessDenied):
            insert(db, 1)
        assert variable["LOCKSTEP_LIBSQL__AUTH_TOKEN"] not in repr(db.settings)
        assert variable["LOCKSTEP_LIBSQL__AUTH_TOKEN"] not in str(
            db.settings.model_dump_json()
        )


async def ping_async(db: Database) -> None:
    async with db.async_read_session() as session:
        await session.execute(sa.text("SELECT 1"))


def test_a_wrong_token_is_refused_and_never_shown(
    guarded: tuple[OwnServer, Key],
) -> None:
    server, key = guarded
    wrong = [
        None,
        "hush-hush-hush",
        Key().token(a="rw", n="hush"),
        key.token(a="rw", exp=int(time.time()) - 600, n="hush"),
    ]
    for token in wrong:
        query = f"?authToken={token}" if token else ""
        url = f"http://127.0.0.1:{server.port}{query}"
        with Database(url, settings=load_settings(env={})) as db:
            with pytest.raises(AccessDenied) as caught:
                db.ping()
            if token:
                shown = f"{db!r} {db.engine.url!r} {db.engine!r} {caught.value!r}"
                shown += json.dumps(caught.value.to_json())
                assert token not in shown
        assert "LOCKSTEP_LIBSQL__AUTH_TOKEN" in caught.value.hint


def test_a_token_that_expires_is_told_and_can_be_replaced(
    guarded: tuple[OwnServer, Key], tmp_path: Path
) -> None:
    server, key = guarded
    file = tmp_path / "token"
    leeway_s = 60  # libsql-server's

    def renew(valid_s: float) -> None:
        file.write_text(key.token(a="rw", exp=int(time.time() + valid_s - leeway_s)))

    variable = {"LOCKSTEP_LIBSQL__AUTH_TOKEN_FILE": str(file)}
    settings = load_settings(env=variable)
    with Database(f"http://127.0.0.1:{server.port}", settings=settings) as db:
        with pytest.raises(ConfigError, match="token's file"):
            db.ping()
        renew(600)
        db.write(lambda unit: unit.execute(CREATE))

        def expiring(unit: Unit) -> None:
            unit.execute("INSERT INTO part VALUES (1, 1)")
            renew(-5)
            unit.execute("INSERT INTO part VALUES (2, 2)")

        for _ in range(2):
            with pytest.raises(AccessDenied) as told:
                db.write(expiring)
            assert not told.value.retryable
        renew(600)
        with pytest.raises(AccessDenied), db.write_session() as session:
            session.execute(sa.text("INSERT INTO part VALUES (3, 3)"))
            renew(-5)
        renew(600)
        db.write(lambda unit: unit.execute("INSERT INTO part VALUES (4, 4)"))
        ids = db.read(lambda unit: unit.execute("SELECT id FROM part").fetchall())
        assert ids == [(4,)]
