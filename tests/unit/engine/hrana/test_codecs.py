"""The two spellings of Hrana: every value both ways, and what is refused."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.engine.hrana import json_codec, protobuf_codec
from lockstep.engine.hrana import messages as m
from lockstep.engine.hrana.errors import DataError, InterfaceError

integers = st.integers(m.INTEGER_MIN, m.INTEGER_MAX)
texts = st.text(st.characters(exclude_categories=("Cs",)))
values = st.one_of(st.none(), integers, st.floats(allow_nan=False), texts, st.binary())


def same(left: Any, right: Any) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        return left == right and math.copysign(1, left) == math.copysign(1, right)
    return type(left) is type(right) and left == right


@given(values)
def test_a_value_survives_protobuf(value: m.Value) -> None:
    spelled = protobuf_codec.encode_value(value)
    assert same(protobuf_codec.decode_value(spelled), value)


@given(values.filter(lambda v: not (isinstance(v, float) and math.isinf(v))))
def test_a_value_survives_json(value: m.Value) -> None:
    spelled = json.loads(json.dumps(json_codec.encode_value(value), allow_nan=False))
    assert same(json_codec.decode_value(spelled), value)


@pytest.mark.parametrize("number", [math.inf, -math.inf])
def test_json_refuses_infinity(number: float) -> None:
    with pytest.raises(DataError, match="infinite"):
        json_codec.encode_value(number)


def test_no_number_is_null_as_sqlite_binds_it() -> None:
    assert json_codec.encode_value(math.nan) == {"type": "null"}
    assert protobuf_codec.decode_value(protobuf_codec.encode_value(math.nan)) is None


@pytest.mark.parametrize("codec", [json_codec, protobuf_codec])
def test_half_a_character_is_refused(codec: Any) -> None:
    statement = m.Statement("SELECT ?", ("\ud800",))
    with pytest.raises(DataError, match="half a character"):
        codec.encode_pipeline(None, [m.Execute(statement)])


@pytest.mark.parametrize(
    "text", ["", "YQ", "YQ==", "YWI", "YWI=", "YWJj", "/+8", "/+8="]
)
def test_base64_may_be_padded_or_not(text: str) -> None:
    import base64

    found = json_codec.decode_value({"type": "blob", "base64": text})
    assert found == base64.b64decode(text.rstrip("=") + "==")


def test_a_pipeline_is_spelled_as_the_specification_has_it() -> None:
    steps = (
        m.Step(m.Statement("BEGIN", want_rows=False)),
        m.Step(
            m.Statement(None, (1, None, b"\xff"), sql_id=3),
            m.All((m.StepOk(0), m.Not(m.IsAutocommit()))),
        ),
        m.Step(m.Statement("x", named_args=((":a", 1.5),)), m.StepFailed(1)),
    )
    body = json_codec.encode_pipeline(
        "b",
        [
            m.StoreSql(3, "INSERT"),
            m.Batch(steps),
            m.CloseSql(3),
            m.Sequence("a;b"),
            m.Describe("d"),
            m.GetAutocommit(),
            m.Close(),
        ],
    )
    assert json.loads(body) == {
        "baton": "b",
        "requests": [
            {"type": "store_sql", "sql_id": 3, "sql": "INSERT"},
            {
                "type": "batch",
                "batch": {
                    "steps": [
                        {"stmt": {"sql": "BEGIN", "want_rows": False}},
                        {
                            "stmt": {
                                "sql_id": 3,
                                "args": [
                                    {"type": "integer", "value": "1"},
                                    {"type": "null"},
                                    {"type": "blob", "base64": "/w=="},
                                ],
                            },
                            "condition": {
                                "type": "and",
                                "conds": [
                                    {"type": "ok", "step": 0},
                                    {"type": "not", "cond": {"type": "is_autocommit"}},
                                ],
                            },
                        },
                        {
                            "stmt": {
                                "sql": "x",
                                "named_args": [
                                    {
                                        "name": ":a",
                                        "value": {"type": "float", "value": 1.5},
                                    }
                                ],
                            },
                            "condition": {"type": "error", "step": 1},
                        },
                    ]
                },
            },
            {"type": "close_sql", "sql_id": 3},
            {"type": "sequence", "sql": "a;b"},
            {"type": "describe", "sql": "d"},
            {"type": "get_autocommit"},
            {"type": "close"},
        ],
    }


def test_an_answer_is_read_and_what_is_unknown_ignored() -> None:
    result = {
        "cols": [{"name": "a", "decltype": "INTEGER", "new": 1}, {"name": None}],
        "rows": [
            [{"type": "integer", "value": "9007199254740993"}, {"type": "null"}],
            [{"type": "float", "value": 1}, {"type": "float", "value": None}],
        ],
        "affected_row_count": 2,
        "last_insert_rowid": "-9223372036854775808",
        "rows_read": 7,
    }
    failed = {"message": "no", "code": "SQLITE_FULL"}
    body = {
        "baton": None,
        "results": [
            {"type": "ok", "response": {"type": "execute", "result": result}},
            {"type": "error", "error": failed},
            {
                "type": "ok",
                "response": {
                    "type": "batch",
                    "result": {
                        "step_results": [None, None, result],
                        "step_errors": [None, {"message": "x"}, None],
                    },
                },
            },
            {"type": "ok", "response": {"type": "close"}},
        ],
    }
    answer = json_codec.decode_pipeline(json.dumps(body).encode())
    assert (answer.baton, answer.base_url) == (None, None)
    first, second, third, last = answer.results
    assert isinstance(first, m.ResultSet)
    assert first.columns == (m.Column("a", "INTEGER"), m.Column("", None))
    assert first.rows[0] == (9007199254740993, None)
    assert type(first.rows[1][0]) is float
    assert first.holds_lost_numbers
    assert first.last_insert_rowid == m.INTEGER_MIN
    assert second == m.Failure("no", "SQLITE_FULL")
    assert isinstance(third, m.BatchResult)
    assert third.steps[:2] == (None, m.Failure("x"))
    assert last == m.Done()


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b"null", b"<html>", b'{"results": [{}]}', b"\xff\xff"),
        b'{"results": [{"type": "ok", "response": {"type": "execute"}}]}',
        b'{"results": [{"type": "ok", "response": {"type": "execute", "result":'
        b'{"cols": [], "rows": [[{"type": "colour"}]]}}}]}',
    ],
)
def test_what_is_no_hrana_is_an_interface_error(body: bytes) -> None:
    with pytest.raises(InterfaceError) as caught:
        json_codec.decode_pipeline(body)
    assert caught.value.disconnected


@given(st.binary())
def test_protobuf_either_reads_an_answer_or_says_it_is_none(body: bytes) -> None:
    try:
        answer = protobuf_codec.decode_pipeline(body)
    except InterfaceError:
        return
    assert isinstance(answer, m.Answer)


@given(st.integers(0, 2**64 - 1))
def test_protobuf_numbers_of_any_size(number: int) -> None:
    spelled = protobuf_codec._varint(number)
    assert protobuf_codec._read_varint(spelled, 0) == (number, len(spelled))


@pytest.mark.parametrize(
    ("body", "failure"),
    [
        (b'{"message": "m", "code": "C"}', m.Failure("m", "C")),
        (b'{"message": "m"}', m.Failure("m")),
        (b'{"error": "e"}', m.Failure("e")),
        *((body, None) for body in (b"plain", b"[1]", b'{"message": 1}', b"")),
    ],
)
def test_the_body_of_an_http_error(body: bytes, failure: m.Failure | None) -> None:
    assert json_codec.decode_failure(body) == failure
