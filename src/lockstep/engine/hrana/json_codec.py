"""Hrana in JSON: the encoding that every server has.

Owns the spelling, and refuses what JSON cannot carry. Unknown fields are ignored,
as the specification asks; a missing or wrong one is an ``InterfaceError``.

JSON has no infinity. Sending one raises ``DataError``; where a server sends its
``null`` in a float's place the result says so (``holds_lost_numbers``) and the
caller asks again in Protobuf.
"""

from __future__ import annotations

import json
import math
from base64 import b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Generator
from collections.abc import Sequence as Listed
from contextlib import contextmanager
from typing import Any, cast

from lockstep.engine.hrana import messages as m
from lockstep.engine.hrana.errors import DataError, InterfaceError

CONTENT_TYPE = "application/json"
FOLDER_SUFFIX = ""

_LOST = object()


def encode_pipeline(baton: str | None, requests: Listed[m.Request]) -> bytes:
    """Return the body of a pipeline.

    Raises:
        DataError: A value is infinite, or a text is no Unicode.
    """
    return _spelled(
        {"baton": baton, "requests": [_request(request) for request in requests]}
    )


def encode_cursor(baton: str | None, batch: m.Batch) -> bytes:
    """Return the body that asks for a batch's answer row by row.

    Raises:
        DataError: A value is infinite, or a text is no Unicode.
    """
    return _spelled({"baton": baton, "batch": {"steps": list(map(_step, batch.steps))}})


def _spelled(body: dict[str, Any]) -> bytes:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"a text holds half a character: {error.reason}") from error


def decode_pipeline(body: bytes) -> m.Answer:
    """Return the answer to a pipeline.

    Raises:
        InterfaceError: It is not Hrana.
    """
    with _as_hrana():
        answer = cast("dict[str, Any]", json.loads(body))
        return m.Answer(
            baton=_text_or_none(answer, "baton"),
            base_url=_text_or_none(answer, "base_url"),
            results=tuple(_result(result) for result in answer["results"]),
        )


def split_pieces(received: bytes) -> tuple[list[bytes], bytes]:
    """Return the whole pieces of a cursor's answer, and what is left: lines."""
    *lines, rest = received.split(b"\n")
    return [line for line in lines if line.strip()], rest


def decode_head(piece: bytes) -> tuple[str | None, str | None]:
    """Return the baton and the base URL with which a cursor's answer begins.

    Raises:
        InterfaceError: It is not Hrana.
    """
    with _as_hrana():
        head = cast("dict[str, Any]", json.loads(piece))
        return _text_or_none(head, "baton"), _text_or_none(head, "base_url")


def decode_entries(pieces: Listed[bytes]) -> list[m.Entry]:
    """Return pieces of a cursor's answer.

    Raises:
        DataError: A row holds an infinite number, which came as ``null``.
        InterfaceError: It is not Hrana.
    """
    with _as_hrana():
        return list(map(_entry, json.loads(b"[" + b",".join(pieces) + b"]")))


def _text_or_none(found: dict[str, Any], name: str) -> str | None:
    text: Any = found.get(name)
    if not isinstance(text, str | None):
        raise TypeError(f"{name} is no text")
    return text


def _entry(entry: dict[str, Any]) -> m.Entry:
    kind = entry["type"]
    if kind == "row":
        row = tuple([decode_value(value) for value in entry["row"]])
        if _LOST in row:
            raise DataError(
                "the answer holds an infinite number, which JSON cannot carry"
            )
        return row
    if kind == "step_begin":
        columns = tuple(_column(column) for column in entry["cols"])
        return m.StepBegin(int(entry["step"]), columns)
    if kind == "step_end":
        return m.StepEnd()
    if kind == "step_error":
        return m.StepError(int(entry["step"]), _failure(entry["error"]))
    return m.StepError(None, _failure(entry["error"])) if kind == "error" else None


@contextmanager
def _as_hrana() -> Generator[None]:
    try:
        yield
    except (
        *(KeyError, TypeError, ValueError, AttributeError),
        *(Base64Error, OverflowError, RecursionError),
    ) as error:
        raise InterfaceError(
            f"the server's answer is not Hrana ({type(error).__name__})",
            disconnected=True,
        ) from error


def decode_failure(body: bytes) -> m.Failure | None:
    """Return the ``Error`` structure in the body of an HTTP error, if it is one."""
    try:
        given: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(given, dict):
        return None
    found = cast("dict[str, Any]", given)
    # libsql-server spells some of its own errors {"error": "…"}.
    message: Any = found.get("message", found.get("error"))
    if not isinstance(message, str):
        return None
    code: Any = found.get("code")
    return m.Failure(message, code if isinstance(code, str) else None)


def _request(request: m.Request) -> dict[str, Any]:
    match request:
        case m.Execute(statement):
            return {"type": "execute", "stmt": _statement(statement)}
        case m.Batch(steps):
            return {"type": "batch", "batch": {"steps": [_step(s) for s in steps]}}
        case m.Sequence(sql):
            return {"type": "sequence", "sql": sql}
        case m.Describe(sql):
            return {"type": "describe", "sql": sql}
        case m.StoreSql(sql_id, sql):
            return {"type": "store_sql", "sql_id": sql_id, "sql": sql}
        case m.CloseSql(sql_id):
            return {"type": "close_sql", "sql_id": sql_id}
        case m.GetAutocommit():
            return {"type": "get_autocommit"}
        case m.Close():
            return {"type": "close"}


def _statement(statement: m.Statement) -> dict[str, Any]:
    spelled: dict[str, Any] = (
        {"sql": statement.sql}
        if statement.sql_id is None
        else {"sql_id": statement.sql_id}
    )
    if statement.args:
        spelled["args"] = [encode_value(value) for value in statement.args]
    if statement.named_args:
        spelled["named_args"] = [
            {"name": name, "value": encode_value(value)}
            for name, value in statement.named_args
        ]
    if not statement.want_rows:
        spelled["want_rows"] = False
    return spelled


def _step(step: m.Step) -> dict[str, Any]:
    spelled: dict[str, Any] = {"stmt": _statement(step.statement)}
    if step.condition is not None:
        spelled["condition"] = _condition(step.condition)
    return spelled


def _condition(condition: m.Condition) -> dict[str, Any]:
    match condition:
        case m.StepOk(step):
            return {"type": "ok", "step": step}
        case m.StepFailed(step):
            return {"type": "error", "step": step}
        case m.Not(inner):
            return {"type": "not", "cond": _condition(inner)}
        case m.All(conditions):
            return {"type": "and", "conds": [_condition(c) for c in conditions]}
        case m.IsAutocommit():
            return {"type": "is_autocommit"}


def encode_value(value: m.Value) -> dict[str, Any]:
    """Return a value's ``Value`` structure."""
    if value is None:
        return {"type": "null"}
    if isinstance(value, str):
        return {"type": "text", "value": value}
    if isinstance(value, int):
        return {"type": "integer", "value": str(value)}
    if isinstance(value, float):
        if math.isnan(value):
            return {"type": "null"}  # as SQLite binds it
        if math.isinf(value):
            raise DataError("this server's encoding cannot carry an infinite number")
        return {"type": "float", "value": value}
    return {"type": "blob", "base64": b64encode(value).decode()}


def _result(result: dict[str, Any]) -> m.Result:
    if result["type"] == "error":
        return _failure(result["error"])
    response = result["response"]
    kind = response["type"]
    if kind == "execute":
        return _result_set(response["result"])
    if kind == "batch":
        found = response["result"]
        return m.BatchResult(
            tuple(
                _failure(error)
                if error is not None
                else (None if step is None else _result_set(step))
                for step, error in zip(
                    found["step_results"], found["step_errors"], strict=True
                )
            )
        )
    if kind == "get_autocommit":
        return m.Autocommit(bool(response["is_autocommit"]))
    if kind == "describe":
        return _description(response["result"])
    return m.Done()


def _failure(error: dict[str, Any]) -> m.Failure:
    return m.Failure(str(error["message"]), _text_or_none(error, "code"))


def _column(column: dict[str, Any]) -> m.Column:
    return m.Column(column.get("name") or "", column.get("decltype"))


def _result_set(result: dict[str, Any]) -> m.ResultSet:
    rows = [tuple([decode_value(value) for value in row]) for row in result["rows"]]
    lost = any(value is _LOST for row in rows for value in row)
    last: Any = result.get("last_insert_rowid")
    index: Any = result.get("replication_index")  # libsql-server's own addition
    return m.ResultSet(
        columns=tuple(_column(column) for column in result["cols"]),
        rows=cast("list[m.Row]", rows),
        affected_row_count=int(result.get("affected_row_count") or 0),
        last_insert_rowid=None if last is None else int(last),
        holds_lost_numbers=lost,
        replication_index=None if index is None else int(index),
    )


def _description(result: dict[str, Any]) -> m.Description:
    return m.Description(
        parameters=tuple(parameter.get("name") for parameter in result["params"]),
        columns=tuple(_column(column) for column in result["cols"]),
        is_explain=bool(result["is_explain"]),
        is_readonly=bool(result["is_readonly"]),
    )


def decode_value(value: dict[str, Any]) -> Any:
    """Return the Python value of a ``Value`` structure; a marker for a lost float."""
    kind = value["type"]
    if kind == "text":
        return value["value"]
    if kind == "integer":
        return int(value["value"])
    if kind == "null":
        return None
    if kind == "float":
        number = value["value"]
        return _LOST if number is None else float(number)
    if kind == "blob":
        text: str = value["base64"]
        # Padding is optional.
        return a2b_base64(text + "=" * (-len(text) % 4))
    raise ValueError(f"no value is called {kind!r}")
