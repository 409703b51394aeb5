"""Never a hang: one deadline for a whole exchange, whatever the server does with it."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, Protocol

import pytest
from tests.engines.raw_server import (
    CLOSED,
    HEAD,
    RawServer,
    answer,
    chunked,
    dripping,
    executed,
    for_ever,
    whole,
)

from lockstep.engine.classify import classify
from lockstep.engine.hrana import aio, dbapi, http_client
from lockstep.engine.hrana.errors import Error
from lockstep.errors import (
    AccessDenied,
    ConnectionLost,
    EngineError,
    LockstepError,
    OutcomeUnknown,
    Timeout,
)

Script = Callable[[int], Any]


class Serve(Protocol):
    """Starts a server that answers by a script."""

    def __call__(self, script: Script, *, reads: bool = True) -> RawServer: ...


CALL_S = 0.12
PATIENCE_S = 5.0  # more than any of these takes on a busy machine

_LONG = answer(*[executed(*range(2000))] * 2)
_HEADERS = HEAD + b"content-length: 100000\r\n\r\n"

SLOW: dict[str, Script] = {
    "silence": lambda _: [60.0],
    "headers drip": lambda _: dripping(HEAD + b"x: " + b"y" * 60_000),
    "interim answers": lambda _: for_ever(b"HTTP/1.1 100 Continue\r\n\r\n", 0.02),
    "nothing behind the headers": lambda _: [_HEADERS, 60.0],
    "body drips": lambda _: [_HEADERS, *dripping(_LONG[:3000])],
    "chunks drip": lambda _: (
        piece
        for chunk in chunked(bytes([byte]) for byte in _LONG)
        for piece in (chunk, 0.02)
    ),
    "packed body drips": lambda _: [
        HEAD + b"content-encoding: gzip\r\ncontent-length: 100000\r\n\r\n",
        *dripping(gzip.compress(_LONG)),
    ],
}


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[RawServer] = []

    def started(script: Script, *, reads: bool = True) -> RawServer:
        servers.append(RawServer(script, reads=reads))
        return servers[-1]

    yield started
    for server in servers:
        server.close()


def failure_of(
    url: str, sql: str, *, is_async: bool = False, stream: bool = False, **how: float
) -> LockstepError:
    """Run a statement that must fail in time; return what its error means."""
    given: Any = {"call_timeout_s": CALL_S, "autocommit": True, **how}

    async def run_async() -> None:
        async with aio.connect(url, **given) as connection:
            if stream:
                async with await connection.stream(sql) as cursor:
                    await cursor.fetchall()
            else:
                await connection.execute(sql)

    began_s = time.monotonic()
    with pytest.raises(Error) as caught:
        if is_async:
            asyncio.run(run_async())
        else:
            with closing(dbapi.connect(url, **given)) as connection:
                connection.cursor(stream=stream).execute(sql).fetchall()
    assert time.monotonic() - began_s < PATIENCE_S
    found = classify(caught.value)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("slow", "is_async"), [*((slow, False) for slow in SLOW), ("body drips", True)]
)
def test_a_slow_answer_ends_by_the_deadline(
    serve: Serve, slow: str, is_async: bool
) -> None:
    """A read is to be tried again; of a write nobody knows."""
    server = serve(SLOW[slow])
    read = failure_of(server.url, "SELECT 1", is_async=is_async)
    assert type(read) is Timeout
    write = failure_of(server.url, "INSERT INTO t VALUES (1)", is_async=is_async)
    assert type(write) is OutcomeUnknown
    assert len(server.requests) <= 2, "a request was sent again behind its deadline"


def test_a_server_that_takes_nothing_in_ends_by_the_deadline(
    serve: Serve,
) -> None:
    server = serve(SLOW["silence"], reads=False)
    large = f"INSERT INTO t VALUES ('{'x' * 8_000_000}')"
    assert type(failure_of(server.url, large)) is OutcomeUnknown


def test_a_handshake_that_drips_ends_by_the_deadline(
    serve: Serve,
) -> None:
    # The beginning of a TLS record of 16 KiB, which never comes to its end.
    record = b"\x16\x03\x03\x40\x00" + b"\x02\x00\x3f\xfc" + b"\x03" * 16_000
    server = serve(lambda _: dripping(record), reads=False)
    url = server.url.replace("http:", "https:")
    failure = failure_of(url, "INSERT INTO t VALUES (1)", connect_timeout_s=CALL_S)
    assert type(failure) is ConnectionLost, "nothing was sent, so nothing was written"


_BEGIN = [
    {"baton": "b", "base_url": None},
    {"type": "step_begin", "step": 1, "cols": [{"name": "n"}]},
]
_ROW = json.dumps({"type": "row", "row": [{"type": "integer", "value": "1"}]}).encode()


def streamed(rest: Any) -> Script:
    head = b"".join(json.dumps(line).encode() + b"\n" for line in _BEGIN)

    def script(_: int) -> Iterator[bytes | float]:
        yield HEAD + b"content-length: 100000000\r\n\r\n" + head
        yield from rest()

    return script


_DRIPPING_ROWS: list[Any] = [
    pytest.param(lambda: [60.0], {}, id="nothing"),
    pytest.param(lambda: dripping(_ROW * 100), {}, id="a row drips"),
    pytest.param(lambda: for_ever(b"\n", 0.02), {}, id="empty lines"),
    pytest.param(lambda: for_ever(b'{"type": "new"}\n', 0.02), {}, id="unknown"),
    pytest.param(
        lambda: for_ever(_ROW + b"\n", 0.02), {"stream_timeout_s": 0.3}, id="no end"
    ),
]


@pytest.mark.parametrize(("rest", "how"), _DRIPPING_ROWS)
@pytest.mark.parametrize("is_async", [False, True], ids=["threads", "asyncio"])
def test_rows_that_do_not_come_end_by_a_deadline(
    serve: Serve, rest: Any, how: dict[str, float], is_async: bool
) -> None:
    server = serve(streamed(rest))
    failure = failure_of(
        server.url, "SELECT n FROM t", is_async=is_async, stream=True, **how
    )
    assert type(failure) is Timeout


def test_a_slow_reader_is_no_slow_server(serve: Serve) -> None:
    """What passes between two fetches is the program's time, not the server's."""
    end = b'{"type": "step_end", "affected_row_count": 0}\n'
    server = serve(
        streamed(lambda: [_ROW + b"\n" + _ROW[:9], 0.1, _ROW[9:] + b"\n" + end, 0.2])
    )
    server.keeps_alive = False
    connection = dbapi.connect(server.url, autocommit=True, call_timeout_s=CALL_S)
    with closing(connection):
        cursor = connection.cursor(stream=True).execute("SELECT n FROM t")
        assert cursor.fetchmany(1) == [(1,)]
        time.sleep(CALL_S * 1.5)
        assert cursor.fetchmany(1) == [(1,)]


def test_a_row_of_many_pieces_may_take_the_time_of_one(
    serve: Serve,
) -> None:
    """The deadline is each row's: a long answer that flows is not cut."""
    rows = [piece for _ in range(8) for piece in (_ROW + b"\n", 0.08)]
    end = b'{"type": "step_end", "affected_row_count": 0}\n'
    server = serve(streamed(lambda: [*rows, end]))
    server.keeps_alive = False
    given: Any = {"autocommit": True, "call_timeout_s": 0.4}
    with closing(dbapi.connect(server.url, **given)) as connection:
        cursor = connection.cursor(stream=True).execute("SELECT n FROM t")
        assert len(cursor.fetchmany(8)) == 8


PACKED = b"content-encoding: gzip"


def bomb() -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(24)) + packer.flush()


def test_an_answer_has_a_size(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what was packed small, and of a write, whose outcome is then unknown."""
    monkeypatch.setattr(http_client, "ANSWER_BYTES_MAX", 16 << 20)
    packed = bomb()
    assert len(packed) < 64 * 1024
    server = serve(lambda _: [whole(packed, PACKED)])
    read = failure_of(server.url, "SELECT 1", call_timeout_s=PATIENCE_S)
    assert type(read) is EngineError
    assert "more than 16 MiB" in str(read)
    write = failure_of(server.url, "DELETE FROM t", call_timeout_s=PATIENCE_S)
    assert type(write) is OutcomeUnknown


_DEEP = whole(b"[" * 200_000)
WRONG: dict[str, tuple[type[LockstepError], list[bytes]]] = {
    "cut gzip": (ConnectionLost, [whole(gzip.compress(_LONG)[:-9], PACKED)]),
    "no gzip": (ConnectionLost, [whole(b"no gzip", PACKED)]),
    "unknown packing": (EngineError, [whole(_LONG, b"content-encoding: br")]),
    "chunks without end": (ConnectionLost, [*chunked([_LONG])]),
    "http 1.0 cut": (EngineError, [b"HTTP/1.0 200 OK\r\n\r\n" + _LONG[:-9]]),
    "no content": (EngineError, [b"HTTP/1.1 204 No Content\r\n\r\n"]),
    "no http": (ConnectionLost, [b"SSH-2.0-OpenSSH_9.9\r\n"]),
    "long header": (ConnectionLost, [HEAD + b"x: " + b"y" * 300_000 + b"\r\n\r\n"]),
    "deep json": (EngineError, [_DEEP]),
    "deep json in a failure": (ConnectionLost, [_DEEP.replace(b"200 OK", b"503 No")]),
    "baton is a number": (EngineError, [whole(b'{"baton": 1, "results": []}')]),
    "cut json": (EngineError, [whole(answer(executed(), CLOSED)[:-1])]),
    "giant number": (EngineError, [whole(answer(executed("9" * 5000), CLOSED))]),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_answer_is_an_error_of_ours(serve: Serve, wrong: str) -> None:
    kind, pieces = WRONG[wrong]
    server = serve(lambda _: pieces)
    server.keeps_alive = False
    read = failure_of(server.url, "SELECT 1", call_timeout_s=PATIENCE_S)
    assert type(read) is kind
    write = failure_of(server.url, "DELETE FROM t", call_timeout_s=PATIENCE_S)
    assert type(write) is OutcomeUnknown


UNUSUAL: dict[str, Callable[[bytes], bytes]] = {
    "http 1.0": lambda body: b"HTTP/1.0 200 OK\r\n\r\n" + body,
    "interim": lambda body: (
        b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + whole(body)
    ),
    "gzip": lambda body: whole(gzip.compress(body), PACKED),
    "trailers": lambda body: b"".join(
        [*chunked([body[:9], body[9:]]), b"0\r\nt: x\r\n\r\n"]
    ),
    "a name twice": lambda body: whole(
        body.replace(b'"results"', b'"results": 1, "results"')
    ),
}


@pytest.mark.parametrize("unusual", UNUSUAL)
def test_an_unusual_answer_is_understood(serve: Serve, unusual: str) -> None:
    spelled = UNUSUAL[unusual]
    server = serve(lambda _: [spelled(answer(executed(7), CLOSED))])
    server.keeps_alive = False
    with closing(dbapi.connect(server.url, autocommit=True)) as connection:
        assert connection.execute("SELECT 7").fetchall() == [(7,)]


def test_a_connection_that_was_closed_meanwhile_is_made_again(
    serve: Serve,
) -> None:
    """Also for a write: the closed socket is seen before anything is sent."""
    server = serve(lambda _: [whole(answer(executed(), executed(), CLOSED))])
    server.keeps_alive = False
    with closing(dbapi.connect(server.url, autocommit=True)) as connection:
        for number in range(3):
            connection.execute("INSERT INTO t VALUES (1)")
            time.sleep(0.05)  # for the end of the connection to arrive
            assert len(server.requests) == number + 1


@pytest.mark.parametrize(
    "redirect", ["http://[x", "http://h:99999", "http://", "a\x00b"]
)
def test_a_redirect_to_nowhere_is_an_error_of_ours(serve: Serve, redirect: str) -> None:
    told = answer({"type": "describe"}, baton="b", base_url=redirect)
    server = serve(lambda _: [whole(told.replace(b'"describe"}', _DESCRIBED))])
    with closing(dbapi.connect(server.url)) as connection:
        connection.begin()
        with pytest.raises(Error):
            connection.execute("SELECT 1")
        with pytest.raises(Error):
            connection.execute("SELECT 1")
        connection.rollback()


_DESCRIBED = (
    b'"batch", "result": {"step_results": [], "step_errors": []}}},'
    b' {"type": "ok", "response": {"type": "get_autocommit", "is_autocommit": false}'
)


def test_the_token_stays_with_the_server_that_was_named(
    serve: Serve,
) -> None:
    other = serve(lambda _: [b"HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n"])
    one: dict[str, Any] = {"rows": [], "cols": [], "affected_row_count": 0}
    told = answer(
        {
            "type": "batch",
            "result": {"step_results": [one] * 3, "step_errors": [None] * 3},
        },
        {"type": "get_autocommit", "is_autocommit": False},
        baton="b",
        base_url=other.url,
    )
    server = serve(lambda _: [whole(told)])
    with closing(dbapi.connect(server.url, auth_token="hush")) as connection:
        connection.begin()
        connection.execute("SELECT 1")
        with pytest.raises(Error) as caught:
            connection.execute("SELECT 2")
        assert type(classify(caught.value)) is AccessDenied
    assert b"hush" in server.requests[0]
    assert other.requests
    assert not any(b"hush" in request for request in other.requests)


def test_a_server_that_asks_to_wait_is_told_on(serve: Serve) -> None:
    """Too many requests: refused before anything was done, so also for a write."""
    refusal = b"HTTP/1.1 429 No\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n"
    server = serve(lambda _: [refusal])
    failure = failure_of(server.url, "DELETE FROM t", call_timeout_s=PATIENCE_S)
    assert type(failure) is ConnectionLost
    assert failure.retryable
    assert failure.detail["retry_after_s"] == 7
    assert "wait for 7 s" in str(failure)
