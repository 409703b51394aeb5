"""The driver against a server of ill will: no wait without end, no wrong word."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.engines.hostile_server import FAULTS, HostileServer

from lockstep.engine.classify import classify
from lockstep.engine.hrana import dbapi, streamed
from lockstep.engine.hrana.errors import (
    ConnectionFailed,
    Error,
    ProgrammingError,
    TransactionLost,
)
from lockstep.engine.hrana.transport import Server, Transport
from lockstep.errors import (
    AccessDenied,
    ConnectionLost,
    LockstepError,
    OutcomeUnknown,
    Timeout,
)

CALL_TIMEOUT_S = 0.15  # where a late answer is one of the faults
PATIENCE_S = 15.0


@pytest.fixture(scope="module")
def server() -> Iterator[HostileServer]:
    with closing(HostileServer()) as hostile:
        hostile.anchor.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)")
        yield hostile


def connected(
    server: HostileServer, call_timeout_s: float = PATIENCE_S
) -> dbapi.Connection:
    transport = Transport(
        Server(server.url(), connect_timeout_s=5, call_timeout_s=call_timeout_s)
    )
    connection = dbapi.Connection(transport.run, autocommit=True)
    connection.when_closed = transport.close
    return connection


def meaning_of(error: Error) -> LockstepError:
    found = classify(error)
    assert found is not None
    return found


def write(connection: dbapi.Connection, number: int, alone: bool) -> None:
    if alone:
        connection.execute("INSERT INTO t VALUES (?)", (number,))
        return
    connection.begin("IMMEDIATE")
    try:
        connection.execute("INSERT INTO t VALUES (?)", (number,))
        connection.execute("SELECT count(*) FROM t").fetchone()
        connection.commit()
    except Error:
        connection.rollback()
        raise


faults = st.dictionaries(st.integers(1, 8), st.sampled_from(FAULTS), max_size=3)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(faults=faults, alone=st.booleans())
def test_what_is_said_of_a_write_is_true(
    server: HostileServer, faults: dict[int, str], alone: bool
) -> None:
    """Success: it is there. To be tried again: it is not. Unknown: either."""
    server.begin_anew(faults)
    server.anchor.execute("DELETE FROM t")
    server.anchor.commit()
    with closing(connected(server, CALL_TIMEOUT_S)) as connection:
        for number in range(3):
            began_s = time.monotonic()
            said: LockstepError | None = None
            try:
                write(connection, number, alone)
            except Error as error:
                said = meaning_of(error)
            assert time.monotonic() - began_s < PATIENCE_S
            assert not connection.in_transaction
            if isinstance(said, OutcomeUnknown):
                assert not said.retryable
                continue
            server.forget()  # what was left open is taken back
            is_there = number in server.rows()
            assert is_there == (said is None), (number, said, faults)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(faults=faults, inside=st.booleans(), size=st.sampled_from([1, 7, 500]))
def test_a_streamed_answer_is_whole_or_an_error(
    server: HostileServer, faults: dict[int, str], inside: bool, size: int
) -> None:
    server.begin_anew({})
    server.anchor.execute("DELETE FROM t")
    server.anchor.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(size)])
    server.anchor.commit()
    server.begin_anew(faults)
    with closing(connected(server, CALL_TIMEOUT_S)) as connection:
        began_s = time.monotonic()
        found = None
        try:
            if inside:
                connection.begin()
                connection.execute("SELECT 1").fetchone()
            cursor = connection.cursor(stream=True)
            cursor.execute("SELECT n, NULL, 'x', x'00ff' FROM t ORDER BY n")
            found = [row[0] for row in cursor]
        except Error as error:
            meaning_of(error)
        assert found in (None, list(range(size)))
        assert time.monotonic() - began_s < PATIENCE_S
        connection.rollback()


@pytest.mark.parametrize(
    ("fault", "kind", "retryable"),
    [
        ("cut", ConnectionLost, True),
        ("half", ConnectionLost, True),
        ("503", ConnectionLost, True),
        ("429", ConnectionLost, True),
        ("expired", ConnectionLost, True),
        ("forget", ConnectionLost, True),
        ("late", Timeout, None),
        ("401", AccessDenied, False),
        ("garbage", LockstepError, False),
        ("500", LockstepError, False),
    ],
)
def test_a_fault_in_a_transaction_has_its_class(
    server: HostileServer, fault: str, kind: type[LockstepError], retryable: bool | None
) -> None:
    # The first call opens the transaction, the second one fails.
    server.begin_anew({2: fault})
    patience_s = CALL_TIMEOUT_S if fault == "late" else PATIENCE_S
    with closing(connected(server, patience_s)) as connection:
        connection.begin()
        connection.execute("SELECT 1")
        with pytest.raises(Error) as caught:
            connection.execute("SELECT 2")
        said = meaning_of(caught.value)
        assert isinstance(said, kind), said
        assert retryable is None or said.retryable is retryable
        assert connection.is_lost
        with pytest.raises(TransactionLost):
            connection.execute("SELECT 3")
        connection.rollback()
        assert connection.execute("SELECT 4").fetchone() == (4,)


def test_rows_before_a_cut_were_given_and_the_cut_is_told(
    server: HostileServer,
) -> None:
    server.begin_anew({1: "half"})
    server.anchor.execute("DELETE FROM t")
    server.anchor.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(4000)])
    server.anchor.commit()
    with closing(connected(server)) as connection:
        cursor = connection.cursor(stream=True).execute("SELECT n FROM t ORDER BY n")
        first = cursor.fetchmany(100)
        assert first == [(n,) for n in range(100)]
        with pytest.raises(ConnectionFailed):
            cursor.fetchall()


def test_without_cursors_the_answer_comes_whole(server: HostileServer) -> None:
    server.begin_anew({1: "404"})
    with closing(connected(server)) as connection:
        cursor = connection.cursor(stream=True).execute("SELECT 1 UNION SELECT 2")
        assert cursor.fetchall() == [(1,), (2,)]
        calls = server.calls
        assert connection.cursor(stream=True).execute("SELECT 3").fetchall() == [(3,)]
        assert server.calls == calls + 1, "the server was asked for cursors again"


def test_another_statement_keeps_what_is_left(server: HostileServer) -> None:
    server.begin_anew({})
    with closing(connected(server)) as connection:
        cursor = connection.cursor(stream=True)
        cursor.execute("SELECT n FROM t ORDER BY n LIMIT 3000")
        first = cursor.fetchone()
        assert connection.execute("SELECT 'between'").fetchone() == ("between",)
        rest = cursor.fetchall()
        assert [first, *rest] == [(n,) for n in range(3000)]
    assert not server.streams, "a stream was left open"


def test_not_more_is_kept_than_may_be(
    server: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other statement works; who reads on is told that rows are missing."""
    monkeypatch.setattr(streamed, "KEPT_ROWS_MAX", 10)
    server.begin_anew({})
    server.anchor.execute("DELETE FROM t")
    server.anchor.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(4000)])
    server.anchor.commit()
    with closing(connected(server)) as connection:
        cursor = connection.cursor(stream=True).execute("SELECT n FROM t ORDER BY n")
        assert cursor.fetchone() == (0,)
        assert connection.execute("SELECT 'between'").fetchone() == ("between",)
        given = 1
        with pytest.raises(ProgrammingError, match="another statement"):
            while cursor.fetchone() is not None:
                given += 1
        assert 10 < given < 4000
