"""Where statements end, on either engine."""

import sqlite3

import pytest

from lockstep.cli.prompt import (
    STATEMENT_CHARACTERS_MAX,
    StatementReader,
    is_complete_postgresql,
    shown,
)
from lockstep.errors import InvalidValue


def cut(reader: StatementReader, text: str) -> list[str]:
    found = [s for line in text.splitlines() for s in reader.feed(line)]
    rest = reader.rest()
    return [*found, rest] if rest else found


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("select 1;", ["select 1;"]),
        ("select 1; select 2;", ["select 1;", "select 2;"]),
        ("select\n1\n;", ["select\n1\n;"]),
        ("select ';';", ["select ';';"]),
        ("select 'it''s; ok'; select 2;", ["select 'it''s; ok';", "select 2;"]),
        ('select "a;b" from t;', ['select "a;b" from t;']),
        ("select 1 -- ; no\n;", ["select 1 -- ; no\n;"]),
        ("select /* ; */ 1;", ["select /* ; */ 1;"]),
        ("select 1", ["select 1"]),
        ("", []),
    ],
)
@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_both_engines_agree(dialect: str, text: str, statements: list[str]) -> None:
    rule = sqlite3.complete_statement if dialect == "sqlite" else is_complete_postgresql
    assert cut(StatementReader(rule), text) == statements


def test_a_trigger_body_of_sqlite_is_one_statement() -> None:
    text = "create trigger t after insert on a begin\nupdate a set b=1;\nend;"
    assert cut(StatementReader(sqlite3.complete_statement), text) == [text]


@pytest.mark.parametrize(
    "text",
    [
        "create function f() returns int as $$ begin\nreturn 1; end $$ language x;",
        "do $body$ begin; $$ ; $$ end $body$;",
        "create trigger t after insert on a for each row execute function f();",
    ],
)
def test_a_dollar_quoted_body_of_postgresql_is_one_statement(text: str) -> None:
    assert cut(StatementReader(is_complete_postgresql), text) == [text]


def test_a_statement_has_a_limit() -> None:
    reader = StatementReader(is_complete_postgresql)
    with pytest.raises(InvalidValue):
        list(reader.feed("x" * (STATEMENT_CHARACTERS_MAX + 1)))
    assert reader.is_empty


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "NULL"), (b"\x00\xff", "x'00ff'"), (memoryview(b"a"), "x'61'"), (1, "1")],
)
def test_values(value: object, text: str) -> None:
    assert shown(value) == text
    assert shown(b"a" * 65).endswith("…")
