"""A connection's side of Hrana, against a second server made from the specification."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from tests.engines.hrana_server import HranaServer

from lockstep.engine.hrana.conversation import Conversation
from lockstep.engine.hrana.dbapi import Connection
from lockstep.engine.hrana.effects import Call, Reply
from lockstep.engine.hrana.errors import (
    AccessDenied,
    ConnectionFailed,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    OperationalError,
    OutcomeUnknown,
    ProgrammingError,
    TransactionLost,
    TurnTimeout,
    WriteRefused,
)
from lockstep.engine.hrana.transport import Server
from lockstep.engine.hrana.wire import ServerFacts

Opened = tuple[HranaServer, Connection]


@pytest.fixture
def server() -> Iterator[HranaServer]:
    with closing(HranaServer()) as server:
        yield server


@pytest.fixture(params=["v3", "v2"])
def opened(request: pytest.FixtureRequest, server: HranaServer) -> Iterator[Opened]:
    server.versions = ("v3", "v2") if request.param == "v3" else ("v2",)
    connection = Connection(server.run, autocommit=True)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER UNIQUE)")
    server.calls.clear()
    yield server, connection
    connection.close()
    assert server.streams == {}, "every stream was closed"


def ids(connection: Connection) -> list[Any]:
    return [row[0] for row in connection.execute("SELECT id FROM t ORDER BY id")]


def kinds(call: Call) -> list[str]:
    assert call.body is not None
    return [request["type"] for request in json.loads(call.body)["requests"]]


def test_a_statement_alone_is_one_stream_and_one_call(opened: Opened) -> None:
    server, connection = opened
    cursor = connection.execute("INSERT INTO t VALUES (7, 1)")
    assert (cursor.lastrowid, cursor.rowcount, cursor.description) == (7, 1, None)
    assert [kinds(call) for call in server.calls] == [["execute", "execute", "close"]]
    assert server.streams == {}


def test_a_transaction_is_a_call_per_statement_and_one(opened: Opened) -> None:
    server, connection = opened
    connection.begin("IMMEDIATE")
    assert server.calls == []
    connection.execute("INSERT INTO t VALUES (1, 1)")
    connection.execute("INSERT INTO t VALUES (2, 2)")
    assert len(server.calls) == 2
    connection.commit()
    assert len(server.calls) == 3
    assert server.streams == {}
    assert ids(connection) == [1, 2]


def test_a_transaction_without_a_statement_costs_nothing(opened: Opened) -> None:
    server, connection = opened
    for end in (connection.commit, connection.rollback):
        connection.begin()
        end()
    assert server.calls == []


def test_a_whole_transaction_is_one_call(opened: Opened) -> None:
    server, connection = opened
    cursors = connection.transaction(
        [("INSERT INTO t VALUES (?, ?)", (1, 1)), ("SELECT n FROM t", ())]
    )
    assert cursors[1].fetchall() == [(1,)]
    assert len(server.calls) == 1
    with pytest.raises(IntegrityError, match="UNIQUE"):
        connection.transaction(
            [
                ("INSERT INTO t VALUES (2, 2)", ()),
                ("INSERT INTO t VALUES (3, 1)", ()),
                ("INSERT INTO t VALUES (4, 4)", ()),
            ]
        )
    assert not connection.in_transaction
    assert ids(connection) == [1]


def test_many_rows_are_one_call_and_all_or_none(opened: Opened) -> None:
    server, connection = opened
    rows = [(number, number) for number in range(100)]
    cursor = connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
    assert cursor.rowcount == 100
    assert len(server.calls) == 1
    with pytest.raises(IntegrityError):
        connection.executemany(
            "INSERT INTO t VALUES (:i, :n)",
            [{"i": 200, "n": 200}, {"i": 201, "n": 5}, {"i": 202, "n": 202}],
        )
    assert len(ids(connection)) == 100
    assert not connection.in_transaction


def test_more_rows_than_a_batch_are_still_all_or_none(opened: Opened) -> None:
    _, connection = opened
    rows = [(number, number) for number in range(1_200)]
    with pytest.raises(IntegrityError):
        connection.executemany("INSERT INTO t VALUES (?, ?)", [*rows, (9_999, 3)])
    assert ids(connection) == []
    connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
    assert len(ids(connection)) == 1_200
    long = f"INSERT INTO t VALUES (?, ?) /* {'x' * 9_000} */"
    connection.executemany(long, [(5_000, 5_000), (5_001, 5_001)])
    assert len(ids(connection)) == 1_202


def test_a_failed_statement_leaves_the_transaction_open(opened: Opened) -> None:
    _, connection = opened
    connection.begin()
    connection.execute("INSERT INTO t VALUES (1, 1)")
    for wrong, error in (
        ("INSERT INTO t VALUES (1, 2)", IntegrityError),
        ("SELECT nothing", OperationalError),
    ):
        with pytest.raises(error):
            connection.execute(wrong)
    connection.execute("INSERT INTO t VALUES (2, 2)")
    connection.commit()
    assert ids(connection) == [1, 2]


@pytest.mark.parametrize("then", ["SELECT 1", "INSERT INTO t VALUES (3, 3)"])
def test_a_stolen_transaction_is_never_continued(opened: Opened, then: str) -> None:
    server, connection = opened
    connection.begin()
    connection.execute("INSERT INTO t VALUES (1, 1)")
    (stream,) = server.streams.values()
    stream.execute("ROLLBACK")  # as libsql-server does after five seconds
    with pytest.raises(TransactionLost):
        connection.execute(then)
    for _ in range(2):
        with pytest.raises(TransactionLost):
            connection.execute("INSERT INTO t VALUES (4, 4)")
    with pytest.raises(TransactionLost):
        connection.commit()
    assert not connection.in_transaction
    assert ids(connection) == []


def test_a_stolen_transaction_is_not_committed(opened: Opened) -> None:
    server, connection = opened
    connection.begin()
    connection.execute("INSERT INTO t VALUES (1, 1)")
    (stream,) = server.streams.values()
    stream.execute("ROLLBACK")
    with pytest.raises(TransactionLost):
        connection.commit()
    assert ids(connection) == []


def test_a_statement_that_rolls_back_ends_the_transaction(opened: Opened) -> None:
    _, connection = opened
    connection.begin()
    connection.execute("INSERT INTO t VALUES (1, 1)")
    with pytest.raises(IntegrityError):
        connection.execute("INSERT OR ROLLBACK INTO t VALUES (1, 1)")
    with pytest.raises(TransactionLost):
        connection.execute("INSERT INTO t VALUES (2, 2)")
    connection.rollback()
    assert ids(connection) == []


def test_words_begin_and_end_too(opened: Opened) -> None:
    server, connection = opened
    connection.execute("BEGIN IMMEDIATE")
    assert next(iter(server.streams.values())).in_transaction
    with pytest.raises(ProgrammingError):
        connection.execute("BEGIN")
    connection.execute("INSERT INTO t VALUES (1, 1)")
    connection.execute("SAVEPOINT a")
    connection.execute("INSERT INTO t VALUES (2, 2)")
    connection.execute("ROLLBACK TO a")
    connection.execute("END")
    connection.execute("begin")
    connection.execute("INSERT INTO t VALUES (3, 3)")
    connection.execute("ROLLBACK")
    assert ids(connection) == [1]


def test_a_savepoint_can_be_the_transaction(server: HranaServer) -> None:
    connection = Connection(server.run, autocommit=True)
    connection.execute("CREATE TABLE t (id INTEGER)")
    connection.execute("SAVEPOINT a")
    connection.execute("INSERT INTO t VALUES (1)")
    connection.execute("RELEASE a")
    assert not connection.in_transaction
    assert server.streams == {}
    assert ids(connection) == [1]


def test_a_reader_sends_nothing_that_may_write(opened: Opened) -> None:
    server, connection = opened
    connection.begin(reads_only=True)
    assert ids(connection) == []
    before = len(server.calls)
    for attempt in (
        "DELETE FROM t",
        "PRAGMA user_version = 1",
        "SELECT 1; DELETE FROM t",
    ):
        with pytest.raises(WriteRefused):
            connection.execute(attempt)
    with pytest.raises(WriteRefused):
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(1, 1)])
    with pytest.raises(WriteRefused):
        connection.executescript("DELETE FROM t")
    assert len(server.calls) == before
    connection.commit()


def test_foreign_keys_are_on_until_they_are_switched_off(opened: Opened) -> None:
    _, connection = opened
    connection.execute("CREATE TABLE c (t INTEGER REFERENCES t (id))")
    with pytest.raises(IntegrityError, match="FOREIGN KEY"):
        connection.execute("INSERT INTO c VALUES (1)")
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("INSERT INTO c VALUES (1)")
    connection.execute("PRAGMA foreign_keys = ON")
    with pytest.raises(IntegrityError):
        connection.execute("INSERT INTO c VALUES (2)")


def test_statements_that_travel_with_the_next_one(opened: Opened) -> None:
    server, connection = opened
    connection.begin()
    conversation = connection.conversation
    for number in (1, 2):
        conversation.execute_later("SAVEPOINT a")
        connection.execute(f"INSERT INTO t VALUES ({number}, {number})")
        if number == 2:
            conversation.execute_later("ROLLBACK TO a")
        conversation.execute_later("RELEASE a")
    connection.commit()
    assert len(server.calls) == 3
    assert ids(connection) == [1]


def lose(*, sent: bool) -> Any:
    def before(call: Call) -> Reply | None:
        raise ConnectionFailed("gone", sent=sent)

    return before


def test_an_answer_that_does_not_come(opened: Opened) -> None:
    server, connection = opened
    connection.begin()
    connection.execute("INSERT INTO t VALUES (1, 1)")
    server.before = lose(sent=True)
    with pytest.raises(ConnectionFailed) as caught:
        connection.execute("INSERT INTO t VALUES (2, 2)")
    assert not isinstance(caught.value, OutcomeUnknown), "nothing can be committed"
    with pytest.raises(TransactionLost):
        connection.commit()
    with pytest.raises(OutcomeUnknown):
        connection.execute("INSERT INTO t VALUES (3, 3)")
    with pytest.raises(ConnectionFailed) as caught:
        connection.execute("SELECT 1")
    assert not isinstance(caught.value, OutcomeUnknown)
    server.forget_streams()


def test_a_commit_without_an_answer_is_unknown(opened: Opened) -> None:
    server, connection = opened
    for sent, error in ((True, OutcomeUnknown), (False, ConnectionFailed)):
        connection.begin()
        connection.execute("DELETE FROM t")
        server.before = lose(sent=sent)
        with pytest.raises(ConnectionFailed) as caught:
            connection.commit()
        assert type(caught.value) is error
        assert not connection.in_transaction
        server.before = lambda call: None
        server.forget_streams()


def test_only_what_commits_nothing_may_be_sent_again(opened: Opened) -> None:
    server, connection = opened
    connection.execute("SELECT 1")
    connection.execute("INSERT INTO t VALUES (1, 1)")
    connection.begin("IMMEDIATE")
    connection.execute("INSERT INTO t VALUES (2, 2)")
    connection.execute("INSERT INTO t VALUES (3, 3)")
    connection.commit()
    connection.transaction([("DELETE FROM t", ())])
    connection.executemany("INSERT INTO t VALUES (?, ?)", [(1, 1)])
    # A read; a write alone; the opening of a transaction; inside of it; COMMIT; …
    expected = [True, False, True, False, False, False, False]
    assert [call.may_repeat for call in server.calls] == expected


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, b'{"message": "no", "code": "AUTH_JWT_INVALID"}', AccessDenied),
        (403, b"forbidden", AccessDenied),
        (404, b"nothing here", OperationalError),
        (400, b"Received an invalid baton", OperationalError),
        (500, b'{"message": "x", "code": "STREAM_EXPIRED"}', TransactionLost),
        (500, b'{"error": "invalid utf-8"}', Error),
        (502, b"<html>bad gateway</html>", ConnectionFailed),
        (200, b"<html>a captive portal</html>", InterfaceError),
        (200, b'{"baton": null, "results": []}', InterfaceError),
    ],
)
def test_every_kind_of_refusal(
    opened: Opened, status: int, body: bytes, error: type[Error]
) -> None:
    server, connection = opened
    connection.begin()
    connection.execute("INSERT INTO t VALUES (1, 1)")
    server.before = lambda call: Reply(status, body)
    with pytest.raises(error):
        connection.execute("INSERT INTO t VALUES (2, 2)")
    server.before = lambda call: None
    with pytest.raises(TransactionLost):
        connection.execute("INSERT INTO t VALUES (3, 3)")
    connection.rollback()
    server.forget_streams()
    assert ids(connection) == []


def test_a_server_may_ask_for_another_address(opened: Opened) -> None:
    server, connection = opened
    server.base_url = "https://other.example"
    connection.begin()
    for _ in range(2):
        connection.execute("SELECT 1")
    connection.commit()
    connection.execute("SELECT 1")
    asked = [call.base_url for call in server.calls]
    assert asked == [None, server.base_url, server.base_url, None]


@pytest.mark.parametrize("redirect", ["http://other", "file:///x", "gopher://x"])
def test_nobody_is_sent_from_tls_to_clear_text(redirect: str) -> None:
    server = Server("https://h", auth_token="hush")
    call = Call("v3/pipeline", b"", "", redirect, may_repeat=False)
    with pytest.raises(InterfaceError, match="not as safe"):
        server.address_of(call)
    assert "hush" not in repr(server)


def test_a_name_below_localhost_is_this_machine() -> None:
    server = Server("http://shop.localhost:8080/x")
    call = Call("v3/pipeline", b"", "", None, may_repeat=False)
    assert server.address_of(call) == "http://127.0.0.1:8080/x/v3/pipeline"
    assert server.headers(call)["host"] == "shop.localhost:8080"


def test_infinity_is_refused_where_only_json_is_spoken(opened: Opened) -> None:
    server, connection = opened
    with pytest.raises(DataError, match="infinite"):
        connection.execute("SELECT ?", (float("inf"),))
    with pytest.raises(DataError, match="infinite"):
        connection.execute("SELECT 9e999")
    asked = [call.path for call in server.calls if call.body is None]
    assert asked == ["v3-protobuf"], "asked once"
    connection.begin()
    connection.execute("INSERT INTO t VALUES (1, 1)")
    with pytest.raises(DataError):
        connection.execute("SELECT 9e999")
    connection.commit()
    assert ids(connection) == [1]


def test_the_turn_is_had_from_begin_to_commit(server: HranaServer) -> None:
    given: list[str] = []
    conversation = Conversation(ServerFacts(), lambda: given.append("turn"))
    from lockstep.engine.hrana.binding import bind

    server.run(conversation.execute(bind("CREATE TABLE t (id)", ())))
    assert given == ["turn"]
    server.run(conversation.execute(bind("SELECT 1", ())))
    assert given == ["turn"], "a reader needs none"
    conversation.begin()
    server.run(conversation.execute(bind("INSERT INTO t VALUES (1)", ())))
    server.run(conversation.execute(bind("INSERT INTO t VALUES (2)", ())))
    assert given == ["turn"]
    server.run(conversation.commit())
    assert given == ["turn", "turn"]


def test_a_turn_that_does_not_come_leaves_no_transaction(server: HranaServer) -> None:
    def run(talk: Any) -> Any:
        try:
            next(talk)
            talk.send(False)
        except StopIteration as done:
            return done.value

    connection = Connection(run)
    with pytest.raises(TurnTimeout):
        connection.begin("IMMEDIATE")
    assert not connection.in_transaction
    assert server.calls == []


def test_what_cannot_be_bound(opened: Opened) -> None:
    from decimal import Decimal

    _, connection = opened
    for value in (Decimal(1), object(), [1]):
        with pytest.raises(ProgrammingError, match="no type"):
            connection.execute("SELECT ?", (value,))
    with pytest.raises(OverflowError):
        connection.execute("SELECT ?", (2**63,))
    with pytest.raises(ProgrammingError):
        connection.execute("SELECT ?", "text")
    cursor = connection.execute(
        "SELECT ?, ?, ?", (True, bytearray(b"a"), memoryview(b"b"))
    )
    assert cursor.fetchone() == (1, b"a", b"b")
    assert connection.execute("SELECT :a", {"a": 5}).fetchone() == (5,)
