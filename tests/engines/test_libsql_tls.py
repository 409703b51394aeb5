"""TLS to a libSQL server: who is trusted, what is said otherwise, and the token."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa
import trustme
from tests.engines.ed25519 import Key

from lockstep.config import load_settings
from lockstep.engine import Database
from lockstep.engine.embedded_libsql import EmbeddedLibsql
from lockstep.errors import AccessDenied, LockstepError

pytestmark = pytest.mark.engines("libsql")
Result = TypeVar("Result")


class TlsFront:
    """Ends TLS before a server that has none, as a proxy in front of it does.

    One thread serves all connections: two that read and write one of them would share
    OpenSSL's state, and the number of a socket that the other one has closed.
    """

    def __init__(self, certificate: trustme.LeafCert, port: int) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        self._behind = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._server = self._call(
            asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        )
        self.port: int = self._server.sockets[0].getsockname()[1]

    def _call(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    def close(self) -> None:
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(
        self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        server, to_server = await asyncio.open_connection("127.0.0.1", self._behind)
        try:
            await asyncio.gather(
                self._pump(client, to_server), self._pump(server, to_client)
            )
        except OSError:
            pass
        finally:
            to_server.close()
            to_client.close()

    @staticmethod
    async def _pump(one: asyncio.StreamReader, other: asyncio.StreamWriter) -> None:
        while piece := await one.read(65_536):
            other.write(piece)
            await other.drain()
        other.close()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def guarded(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[EmbeddedLibsql, Key]]:
    key = Key()
    path = tmp_path_factory.mktemp("key") / "public"
    path.write_text(key.public_text)
    with EmbeddedLibsql("--auth-jwt-key-file", str(path)) as server:
        yield server, key


@pytest.fixture
def trusted(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))


@contextmanager
def opened(url: str) -> Iterator[Database]:
    with Database(url, settings=load_settings(env={})) as database:
        yield database


def refused(url: str) -> LockstepError:
    with opened(url) as database, pytest.raises(LockstepError) as caught:
        database.ping()
    return caught.value


@pytest.mark.usefixtures("trusted")
def test_a_token_over_tls(
    guarded: tuple[EmbeddedLibsql, Key],
    authority: trustme.CA,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server, key = guarded
    caplog.set_level(logging.DEBUG)
    token = key.token(a="rw", exp=int(time.time()) + 600)
    expired = key.token(a="rw", exp=int(time.time()) - 600)
    with closing(TlsFront(authority.issue_cert("localhost"), server.port)) as front:
        url = f"libsql://localhost:{front.port}"
        with opened(f"{url}?authToken={token}") as database:
            with database.write_session() as session:
                session.execute(sa.text("CREATE TABLE t (a)"))
            assert database.url.http_url.startswith("https://")
        for wrong in (None, expired, Key().token(a="rw")):
            error = refused(url + (f"?authToken={wrong}" if wrong else ""))
            assert isinstance(error, AccessDenied)
            assert not error.retryable
            assert "AUTH_TOKEN" in error.hint
            said = repr(error) + json.dumps(error.to_json())
            assert wrong is None or wrong not in said
    for secret in (token, expired):
        assert secret not in caplog.text


def test_a_certificate_of_nobody_is_refused(
    guarded: tuple[EmbeddedLibsql, Key], authority: trustme.CA
) -> None:
    server, key = guarded
    token = key.token(a="rw")
    with closing(TlsFront(authority.issue_cert("localhost"), server.port)) as front:
        error = refused(f"libsql://localhost:{front.port}?authToken={token}")
    assert isinstance(error, AccessDenied)
    assert not error.retryable
    assert "SSL_CERT_FILE" in error.hint
    assert token not in repr(error)


@pytest.mark.usefixtures("trusted")
def test_a_certificate_of_another_host_is_refused(
    guarded: tuple[EmbeddedLibsql, Key], authority: trustme.CA
) -> None:
    other = authority.issue_cert("shop.example")
    with closing(TlsFront(other, guarded[0].port)) as front:
        error = refused(f"libsql://localhost:{front.port}")
    assert isinstance(error, AccessDenied)
    assert "the host" in error.hint


def test_a_server_without_tls_is_named(guarded: tuple[EmbeddedLibsql, Key]) -> None:
    server, key = guarded
    address = f"localhost:{server.port}"
    error = refused(f"libsql://{address}")
    assert not error.retryable
    assert "?tls=0" in error.hint
    token = key.token(a="rw")
    with opened(f"libsql://{address}?tls=0&authToken={token}") as database:
        database.ping()
