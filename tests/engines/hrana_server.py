"""A second Hrana server, written from the specification, for what sqld never does.

It runs real SQLite in this process and speaks any version: without ``v3``, without
Protobuf, with padded base64, with a ``base_url``, with failures at a wanted moment.
"""

from __future__ import annotations

import base64
import json
import sqlite3
import uuid
from collections.abc import Callable, Generator
from typing import Any, TypeVar

from lockstep.engine.hrana.effects import Call, Reply, TakeTurn

T = TypeVar("T")


class HranaServer:
    """Answers calls; ``calls`` keeps them."""

    def __init__(self, *, versions: tuple[str, ...] = ("v3", "v2")) -> None:
        self.uri = f"file:/hrana-{uuid.uuid4().hex}?vfs=memdb"
        self._anchor = sqlite3.connect(self.uri, uri=True)
        self.versions = versions
        self.streams: dict[str, sqlite3.Connection] = {}
        self.calls: list[Call] = []
        self.base_url: str | None = None
        self.before: Callable[[Call], Reply | None] = lambda call: None
        self._batons = 0

    def run(self, talk: Generator[Any, Any, T]) -> T:
        """Run a conversation's talk against this server."""
        try:
            effect = next(talk)
            while True:
                try:
                    answer: Any = isinstance(effect, TakeTurn) or self.answer(effect)
                except Exception as error:
                    effect = talk.throw(error)
                else:
                    effect = talk.send(answer)
        except StopIteration as done:
            return done.value

    def close(self) -> None:
        """Close the database and what streams are left."""
        self.forget_streams()
        self._anchor.close()

    def forget_streams(self) -> None:
        """Close what is open, as a server does with streams that stand still."""
        while self.streams:
            self.streams.popitem()[1].close()

    def answer(self, call: Call) -> Reply:
        self.calls.append(call)
        early = self.before(call)
        if early is not None:
            return early
        version, _, verb = call.path.partition("/")
        if call.body is None or version not in self.versions or verb != "pipeline":
            return Reply(404, b"")
        asked = json.loads(call.body)
        baton = asked["baton"]
        if baton is None:
            stream = sqlite3.connect(self.uri, uri=True, isolation_level=None)
        else:
            stream = self.streams.pop(baton)
        self._stored: dict[int, str] = {}
        results, closed = [], False
        for request in asked["requests"]:
            closed = closed or request["type"] == "close"
            results.append(self._request(stream, request, version))
        self._batons += 1
        new = None if closed else f"baton {self._batons}"
        if new is None:
            stream.close()
        else:
            self.streams[new] = stream
        answer = {"baton": new, "base_url": self.base_url, "results": results}
        return Reply(200, json.dumps({**answer, "unknown": 1}).encode())

    def _request(
        self, stream: sqlite3.Connection, request: dict[str, Any], version: str
    ) -> dict[str, Any]:
        kind = request["type"]
        response: dict[str, Any] = {"type": kind}
        try:
            if kind == "execute":
                response["result"] = self._execute(stream, request["stmt"])
            elif kind == "batch":
                response["result"] = self._batch(stream, request["batch"], version)
            elif kind == "sequence":
                stream.executescript(request["sql"])
            elif kind == "store_sql":
                self._stored[request["sql_id"]] = request["sql"]
            elif kind == "get_autocommit":
                assert version == "v3", "introduced in Hrana 3"
                response["is_autocommit"] = not stream.in_transaction
            elif kind not in ("close", "close_sql"):
                raise AssertionError(f"no request is called {kind}")
        except sqlite3.Error as error:
            return {"type": "error", "error": told(error)}
        return {"type": "ok", "response": response}

    def _batch(
        self, stream: sqlite3.Connection, batch: dict[str, Any], version: str
    ) -> dict[str, Any]:
        results: list[Any] = []
        errors: list[Any] = []

        def holds(condition: dict[str, Any]) -> bool:
            kind = condition["type"]
            if kind == "ok":
                return results[condition["step"]] is not None
            if kind == "error":
                return errors[condition["step"]] is not None
            if kind == "not":
                return not holds(condition["cond"])
            if kind == "and":
                return all(holds(part) for part in condition["conds"])
            assert kind == "is_autocommit"
            assert version == "v3", "introduced in Hrana 3"
            return not stream.in_transaction

        for step in batch["steps"]:
            result = error = None
            if step.get("condition") is None or holds(step["condition"]):
                try:
                    result = self._execute(stream, step["stmt"])
                except sqlite3.Error as raised:
                    error = told(raised)
            results.append(result)
            errors.append(error)
        return {"step_results": results, "step_errors": errors}

    def _execute(
        self, stream: sqlite3.Connection, statement: dict[str, Any]
    ) -> dict[str, Any]:
        sql = statement.get("sql") or self._stored[statement["sql_id"]]
        named = statement.get("named_args")
        given: Any = [value(v) for v in statement.get("args", [])]
        if named:
            given = {one["name"]: value(one["value"]) for one in named}
        cursor = stream.execute(sql, given)
        rows = cursor.fetchall() if statement.get("want_rows", True) else []
        return {
            "cols": [{"name": c[0]} for c in cursor.description or ()],
            "rows": [[spelled(v) for v in row] for row in rows],
            "affected_row_count": max(cursor.rowcount, 0),
            "last_insert_rowid": str(cursor.lastrowid) if cursor.lastrowid else None,
        }


def told(error: sqlite3.Error) -> dict[str, Any]:
    # As a server that tells the extended code does.
    name = getattr(error, "sqlite_errorname", None)
    return {"message": str(error), "code": name}


def value(given: dict[str, Any]) -> Any:
    kind = given["type"]
    if kind == "integer":
        return int(given["value"])
    if kind == "blob":
        return base64.b64decode(given["base64"] + "==")
    return given.get("value")


def spelled(found: Any) -> dict[str, Any]:
    if found is None:
        return {"type": "null"}
    if isinstance(found, int):
        return {"type": "integer", "value": str(found)}
    if isinstance(found, float):
        lost = found in (float("inf"), float("-inf"))
        return {"type": "float", "value": None if lost else found}
    if isinstance(found, str):
        return {"type": "text", "value": found}
    return {"type": "blob", "base64": base64.b64encode(found).decode()}
