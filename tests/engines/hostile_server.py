"""A Hrana server of ill will on a real socket, written from the specification.

It runs SQLite in this process and answers as it should, until it is told to do
something else at one of its calls: to cut, to lie, to be late, to forget, to refuse.
"""

from __future__ import annotations

import base64
import json
import sqlite3
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FAULTS = (
    *("cut", "cut after", "half", "garbage", "not json", "empty", "few results"),
    *("late", "forget", "expired", "400", "401", "404", "429", "500", "502", "503"),
    *("other address", "dead address", "null baton"),
)
LATE_S = 0.3


class HostileServer:
    """Serves one database; ``faults`` maps the number of a call to what goes wrong."""

    def __init__(self) -> None:
        self.uri = f"file:/hostile-{uuid.uuid4().hex}?vfs=memdb"
        self.anchor = sqlite3.connect(self.uri, uri=True, check_same_thread=False)
        self.lock = threading.Lock()
        self.streams: dict[str, sqlite3.Connection] = {}
        self.faults: dict[int, str] = {}
        self.calls = 0
        self.rows_sent = 0
        handler = type("Handler", (_Handler,), {"served": self})
        self._servers = [
            ThreadingHTTPServer(("127.0.0.1", 0), handler) for _ in range(2)
        ]
        for server in self._servers:
            server.daemon_threads = True
            server.block_on_close = False
            threading.Thread(target=server.serve_forever, args=(0.02,)).start()

    def url(self, number: int = 0) -> str:
        return f"http://127.0.0.1:{self._servers[number].server_port}"

    def rows(self) -> list[int]:
        return [n for (n,) in self.anchor.execute("SELECT n FROM t ORDER BY n")]

    def begin_anew(self, faults: dict[int, str]) -> None:
        self.forget()
        self.faults, self.calls, self.rows_sent = faults, 0, 0

    def forget(self) -> None:
        with self.lock:
            while self.streams:
                self.streams.popitem()[1].close()

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()
        self.forget()
        self.anchor.close()


class _Handler(BaseHTTPRequestHandler):
    served: HostileServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._send(404, b"")

    def do_POST(self) -> None:
        served = self.served
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with served.lock:
            served.calls += 1
            fault = served.faults.get(served.calls, "")
        if fault in ("forget", "expired"):
            served.forget()
        if fault == "cut" or fault.isdigit():
            self._refuse(fault)
            return
        if body.get("baton") is not None and body["baton"] not in served.streams:
            error = {"message": "gone", "code": "STREAM_EXPIRED"}
            self._send(400, json.dumps(error).encode() if fault != "forget" else b"?")
            return
        if self.path == "/v3/cursor":
            self._cursor(body, fault)
        elif self.path == "/v3/pipeline":
            self._pipeline(body, fault)
        else:
            self._send(404, b"")

    def _refuse(self, fault: str) -> None:
        if fault == "cut":
            self.close_connection = True
            self.connection.close()
        else:
            self._send(int(fault), b"no")

    def _stream(self, body: dict[str, Any]) -> sqlite3.Connection:
        if body.get("baton") is None:
            return sqlite3.connect(
                self.served.uri,
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=0.02,
            )
        return self.served.streams.pop(body["baton"])

    def _keep(self, stream: sqlite3.Connection) -> str:
        baton = uuid.uuid4().hex
        self.served.streams[baton] = stream
        return baton

    def _pipeline(self, body: dict[str, Any], fault: str) -> None:
        stream = self._stream(body)
        results = [self._request(stream, one) for one in body["requests"]]
        closed = any(one["type"] == "close" for one in body["requests"])
        answer: dict[str, Any] = {"baton": None, "base_url": None, "results": results}
        if closed:
            stream.close()
        else:
            answer["baton"] = self._keep(stream)
        if fault == "late":
            time.sleep(LATE_S)
        if fault == "few results":
            results.pop()
        if fault == "null baton":
            answer["baton"] = None
        if fault.endswith("address") and not closed:
            dead = "http://127.0.0.1:1"
            answer["base_url"] = dead if "dead" in fault else self.served.url(1)
        text = json.dumps(answer).encode()
        if fault == "cut after":
            self.close_connection = True
            self.connection.close()
            return
        text = _damaged(text, fault)
        self._send(200, text, cut=fault == "half")

    def _cursor(self, body: dict[str, Any], fault: str) -> None:
        stream = self._stream(body)
        lines: list[dict[str, Any]] = [{"baton": self._keep(stream), "base_url": None}]
        done: list[bool] = []
        for number, step in enumerate(body["batch"]["steps"]):
            condition = step.get("condition")
            if condition is not None and not _holds(condition, stream, done):
                done.append(False)
                continue
            try:
                cursor = stream.execute(step["stmt"]["sql"])
                columns = [{"name": c[0]} for c in cursor.description or ()]
                lines.append({"type": "step_begin", "step": number, "cols": columns})
                lines += [
                    {"type": "row", "row": [_spelled(v) for v in row]} for row in cursor
                ]
                lines.append({"type": "step_end", "affected_row_count": 0})
                done.append(True)
            except sqlite3.Error as error:
                told = {"message": str(error), "code": "SQLITE_ERROR"}
                lines.append({"type": "step_error", "step": number, "error": told})
                done.append(False)
        lines.append({"type": "something new"})
        if fault == "late":
            time.sleep(LATE_S)
        if fault == "few results":
            # A whole HTTP answer that is no whole Hrana one.
            lines = lines[: max(1, len(lines) - 3)]
        text = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        if fault == "cut after":
            fault = "half"
        self._send(200, _damaged(text, fault), cut=fault == "half")

    def _request(
        self, stream: sqlite3.Connection, request: dict[str, Any]
    ) -> dict[str, Any]:
        kind = request["type"]
        response: dict[str, Any] = {"type": kind}
        try:
            if kind == "execute":
                response["result"] = _executed(stream, request["stmt"])
            elif kind == "batch":
                response["result"] = _batch(stream, request["batch"]["steps"])
            elif kind == "get_autocommit":
                response["is_autocommit"] = not stream.in_transaction
            elif kind == "describe":
                empty: dict[str, Any] = {"params": [], "cols": []}
                response["result"] = {
                    **empty,
                    "is_explain": False,
                    "is_readonly": True,
                }
        except sqlite3.Error as error:
            told = {"message": str(error), "code": error.sqlite_errorname}
            return {"type": "error", "error": told}
        return {"type": "ok", "response": response}

    def _send(self, status: int, body: bytes, *, cut: bool = False) -> None:
        try:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if cut else body)
            self.wfile.flush()
        except OSError:
            cut = True  # the client did not wait
        if cut:
            self.close_connection = True
            self.connection.close()


def _damaged(text: bytes, fault: str) -> bytes:
    if fault == "garbage":
        return b"\x00\xff<html>" + text[:40]
    if fault == "not json":
        return text.replace(b'"type"', b'"kind"').replace(b'"results"', b'"result"')
    return b"" if fault == "empty" else text


def _holds(
    condition: dict[str, Any], stream: sqlite3.Connection, done: list[bool]
) -> bool:
    if condition["type"] == "not":
        return not _holds(condition["cond"], stream, done)
    if condition["type"] == "ok":
        return done[condition["step"]]
    assert condition["type"] == "is_autocommit"
    return not stream.in_transaction


def _batch(stream: sqlite3.Connection, steps: list[dict[str, Any]]) -> dict[str, Any]:
    results: list[Any] = []
    errors: list[Any] = []
    done: list[bool] = []
    for step in steps:
        result = error = None
        condition = step.get("condition")
        if condition is None or _holds(condition, stream, done):
            try:
                result = _executed(stream, step["stmt"])
            except sqlite3.Error as raised:
                error = {"message": str(raised), "code": raised.sqlite_errorname}
        done.append(result is not None)
        results.append(result)
        errors.append(error)
    return {"step_results": results, "step_errors": errors}


def _executed(stream: sqlite3.Connection, statement: dict[str, Any]) -> dict[str, Any]:
    given = [_given(value) for value in statement.get("args", [])]
    cursor = stream.execute(statement["sql"], given)
    return {
        "cols": [{"name": c[0]} for c in cursor.description or ()],
        "rows": [[_spelled(v) for v in row] for row in cursor.fetchall()],
        "affected_row_count": max(cursor.rowcount, 0),
        "last_insert_rowid": None,
    }


def _given(value: dict[str, Any]) -> Any:
    return int(value["value"]) if value["type"] == "integer" else value.get("value")


def _spelled(value: Any) -> dict[str, Any]:
    if isinstance(value, int):
        return {"type": "integer", "value": str(value)}
    if isinstance(value, bytes):
        text = base64.b64encode(value).decode().rstrip("=")
        return {"type": "blob", "base64": text}
    return {"type": "null"} if value is None else {"type": "text", "value": value}
