"""Hrana in Protobuf: the encoding that has every float.

Owns the spelling of the messages this driver uses (the appendix of the Hrana 3
specification). JSON is the rule, because Python reads it in C; this one is for
what JSON cannot carry: infinite numbers, and answers that may hold them.

Unknown fields are skipped, as the specification asks.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Generator
from collections.abc import Sequence as Listed
from contextlib import contextmanager
from typing import Any

from lockstep.engine.hrana import messages as m
from lockstep.engine.hrana.errors import DataError, InterfaceError

CONTENT_TYPE = "application/x-protobuf"
FOLDER_SUFFIX = "-protobuf"

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_UINT64 = 2**64
_VARINT_BITS_MAX = 63


def encode_pipeline(baton: str | None, requests: Listed[m.Request]) -> bytes:
    """Return the body of a pipeline.

    Raises:
        DataError: A text is no Unicode.
    """
    try:
        body = b"" if baton is None else _text(1, baton)
        return body + b"".join(_bytes(2, _request(request)) for request in requests)
    except UnicodeEncodeError as error:
        raise DataError(f"a text holds half a character: {error.reason}") from error


def encode_cursor(baton: str | None, batch: m.Batch) -> bytes:
    """Return the body that asks for a batch's answer row by row.

    Raises:
        DataError: A text is no Unicode.
    """
    try:
        body = b"" if baton is None else _text(1, baton)
        return body + _bytes(
            2, b"".join(_bytes(1, _step(step)) for step in batch.steps)
        )
    except UnicodeEncodeError as error:
        raise DataError(f"a text holds half a character: {error.reason}") from error


def decode_pipeline(body: bytes) -> m.Answer:
    """Return the answer to a pipeline.

    Raises:
        InterfaceError: It is not Hrana.
    """
    baton = base_url = None
    results: list[m.Result] = []
    with _as_hrana():
        for number, value in _fields(body):
            if number == 1:
                baton = value.decode()
            elif number == 2:
                base_url = value.decode()
            elif number == 3:
                results.append(_result(value))
    return m.Answer(baton, base_url, tuple(results))


def split_pieces(received: bytes) -> tuple[list[bytes], bytes]:
    """Return the whole pieces of a cursor's answer, and what is left.

    Each has its length before it.
    """
    pieces: list[bytes] = []
    position = 0
    while position < len(received):
        try:
            length, start = _read_varint(received, position)
        except IndexError:
            break
        if start + length > len(received):
            break
        pieces.append(received[start : start + length])
        position = start + length
    return pieces, received[position:]


def decode_head(piece: bytes) -> tuple[str | None, str | None]:
    """Return the baton and the base URL with which a cursor's answer begins.

    Raises:
        InterfaceError: It is not Hrana.
    """
    with _as_hrana():
        found: dict[int, bytes] = dict(_fields(piece))
        baton, base_url = (found.get(number) for number in (1, 2))
        return (
            None if baton is None else baton.decode(),
            None if base_url is None else base_url.decode(),
        )


def decode_entries(pieces: Listed[bytes]) -> list[m.Entry]:
    """Return pieces of a cursor's answer.

    Raises:
        InterfaceError: It is not Hrana.
    """
    with _as_hrana():
        return list(map(_entry, pieces))


def _entry(piece: bytes) -> m.Entry:
    number, value = _only(piece)
    if number == 4:
        return tuple([decode_value(v) for n, v in _fields(value) if n == 1])
    if number == 1:
        fields = list(_fields(value))
        step = next((v for n, v in fields if n == 1), 0)
        return m.StepBegin(step, tuple(_column(v) for n, v in fields if n == 2))
    if number == 2:
        return m.StepEnd()
    if number == 3:
        parts = dict(_fields(value))
        return m.StepError(parts.get(1, 0), _failure(parts.get(2, b"")))
    return m.StepError(None, _failure(value)) if number == 5 else None


@contextmanager
def _as_hrana() -> Generator[None]:
    try:
        yield
    except (ValueError, IndexError, TypeError, AttributeError, struct.error) as error:
        raise InterfaceError(
            f"the server's answer is not Hrana ({type(error).__name__})",
            disconnected=True,
        ) from error


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _number(field: int, number: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(number % _UINT64)


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(content)) + content


def _text(field: int, text: str) -> bytes:
    return _bytes(field, text.encode())


def _request(request: m.Request) -> bytes:
    match request:
        case m.Close():
            return _bytes(1, b"")
        case m.Execute(statement):
            return _bytes(2, _bytes(1, _statement(statement)))
        case m.Batch(steps):
            batch = b"".join(_bytes(1, _step(step)) for step in steps)
            return _bytes(3, _bytes(1, batch))
        case m.Sequence(sql):
            return _bytes(4, _text(1, sql))
        case m.Describe(sql):
            return _bytes(5, _text(1, sql))
        case m.StoreSql(sql_id, sql):
            return _bytes(6, _number(1, sql_id) + _text(2, sql))
        case m.CloseSql(sql_id):
            return _bytes(7, _number(1, sql_id))
        case m.GetAutocommit():
            return _bytes(8, b"")


def _statement(statement: m.Statement) -> bytes:
    spelled = (
        _text(1, statement.sql or "")
        if statement.sql_id is None
        else _number(2, statement.sql_id)
    )
    for value in statement.args:
        spelled += _bytes(3, encode_value(value))
    for name, value in statement.named_args:
        spelled += _bytes(4, _text(1, name) + _bytes(2, encode_value(value)))
    return spelled + _number(5, int(statement.want_rows))


def _step(step: m.Step) -> bytes:
    spelled = b"" if step.condition is None else _bytes(1, _condition(step.condition))
    return spelled + _bytes(2, _statement(step.statement))


def _condition(condition: m.Condition) -> bytes:
    match condition:
        case m.StepOk(step):
            return _number(1, step)
        case m.StepFailed(step):
            return _number(2, step)
        case m.Not(inner):
            return _bytes(3, _condition(inner))
        case m.All(conditions):
            return _bytes(4, b"".join(_bytes(1, _condition(c)) for c in conditions))
        case m.IsAutocommit():
            return _bytes(6, b"")


def encode_value(value: m.Value) -> bytes:
    """Return a value's ``Value`` message."""
    if value is None:
        return _bytes(1, b"")
    if isinstance(value, str):
        return _text(4, value)
    if isinstance(value, int):
        return _number(2, _zigzag(value))
    if isinstance(value, float):
        if math.isnan(value):
            return _bytes(1, b"")  # as SQLite binds it
        return _varint(3 << 3 | _FIXED64) + struct.pack("<d", value)
    return _bytes(5, value)


def _zigzag(number: int) -> int:
    return number << 1 if number >= 0 else (-number << 1) - 1


def _unzigzag(number: int) -> int:
    return number >> 1 if number & 1 == 0 else -(number + 1 >> 1)


def _fields(message: bytes) -> Generator[tuple[int, Any]]:
    """Yield number and value of each field; the bytes of what has a length."""
    position, end = 0, len(message)
    while position < end:
        tag, position = _read_varint(message, position)
        wire, number = tag & 7, tag >> 3
        value: Any
        if wire == _BYTES:
            length, position = _read_varint(message, position)
            value = message[position : position + length]
            if len(value) != length:
                raise ValueError("the message is cut")
            position += length
        elif wire == _VARINT:
            value, position = _read_varint(message, position)
        elif wire == _FIXED64:
            (value,) = struct.unpack_from("<d", message, position)
            position += 8
        elif wire == _FIXED32:
            value = message[position : position + 4]
            position += 4
        else:
            raise ValueError(f"no field has the wire type {wire}")
        yield number, value


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    found = shift = 0
    while True:
        byte = message[position]
        position += 1
        found |= (byte & 0x7F) << shift
        if shift > _VARINT_BITS_MAX:
            raise ValueError("a number is longer than any")
        if byte < 0x80:
            return found, position
        shift += 7


def _only(message: bytes) -> tuple[int, Any]:
    """Return the one field of a message that is a choice."""
    number: int = 0
    value: Any = b""
    for number, value in _fields(message):  # noqa: B007 - the last one counts
        pass
    return number, value


def _result(message: bytes) -> m.Result:
    number, value = _only(message)
    if number == 2:
        return _failure(value)
    if number != 1:
        raise ValueError("a result is neither a response nor an error")
    kind, response = _only(value)
    if kind == 2:
        return _result_set(_only(response)[1])
    if kind == 3:
        return _batch_result(_only(response)[1])
    if kind == 5:
        return _description(_only(response)[1])
    if kind == 8:
        return m.Autocommit(any(v for n, v in _fields(response) if n == 1))
    return m.Done()


def _failure(message: bytes) -> m.Failure:
    found = dict(_fields(message))
    code: bytes | None = found.get(2)
    text: bytes = found.get(1, b"")
    return m.Failure(text.decode(), None if code is None else code.decode())


def _batch_result(message: bytes) -> m.BatchResult:
    """Return the steps; the maps name only those that ran, so gaps were skipped."""
    found: dict[int, m.ResultSet | m.Failure] = {}
    for number, entry in _fields(message):
        parts = dict(_fields(entry))
        step: int = parts.get(1, 0)
        content: bytes = parts.get(2, b"")
        found[step] = _result_set(content) if number == 1 else _failure(content)
    count = max(found, default=-1) + 1
    return m.BatchResult(tuple(found.get(step) for step in range(count)))


def _result_set(message: bytes) -> m.ResultSet:
    columns: list[m.Column] = []
    result = m.ResultSet()
    for number, value in _fields(message):
        if number == 1:
            columns.append(_column(value))
        elif number == 2:
            row = [decode_value(v) for n, v in _fields(value) if n == 1]
            result.rows.append(tuple(row))
        elif number == 3:
            result.affected_row_count = value
        elif number == 4:
            result.last_insert_rowid = _unzigzag(value)
    result.columns = tuple(columns)
    return result


def _column(message: bytes) -> m.Column:
    found = dict(_fields(message))
    name: bytes = found.get(1, b"")
    decltype: bytes | None = found.get(2)
    return m.Column(name.decode(), None if decltype is None else decltype.decode())


def decode_value(message: bytes) -> m.Value:
    """Return the Python value of a ``Value`` message."""
    number, value = _only(message)
    if number == 2:
        return _unzigzag(value)
    if number == 4:
        text: str = value.decode()
        return text
    if number in (3, 5):
        return value  # type: ignore[no-any-return]
    if number == 1:
        return None
    raise ValueError(f"no value has the number {number}")


def _description(message: bytes) -> m.Description:
    parameters: list[str | None] = []
    columns: list[m.Column] = []
    facts = {3: False, 4: False}
    for number, value in _fields(message):
        if number == 1:
            name: bytes | None = dict(_fields(value)).get(1)
            parameters.append(None if name is None else name.decode())
        elif number == 2:
            columns.append(_column(value))
        elif number in facts:
            facts[number] = bool(value)
    return m.Description(tuple(parameters), tuple(columns), facts[3], facts[4])
