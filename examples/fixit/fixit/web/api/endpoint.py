"""From a request to an operation and back.

Owns the API's HTTP: who asks (a bearer token, or the pages' cookie with its CSRF
token in a header), strict decoding, one transaction, problems as JSON (RFC 9457).
Database work runs off the event loop.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from fixit.errors import (
    AlreadyTaken,
    FixitError,
    Forbidden,
    Invalid,
    LoginRefused,
    NotPossibleNow,
    NotThere,
    PinChangeRequired,
    StepsMissing,
)
from fixit.permissions import Identity
from fixit.services import auth
from fixit.web.api.operation import Call, Operation
from fixit.web.api.schemas import Problem
from fixit.web.session import SESSION_COOKIE
from lockstep import Database
from lockstep.errors import (
    DataError,
    InvalidCursor,
    InvalidValue,
    LockstepError,
    NotEnough,
    NotFound,
    StaleVersion,
)

CSRF_HEADER = "x-csrf-token"
RETRY_AFTER_S = 2
_ENCODER = msgspec.json.Encoder(decimal_format="string")

_STATUS: list[tuple[type[Exception], int]] = [
    (Invalid, 422),
    (LoginRefused, 401),
    (Forbidden, 403),
    (PinChangeRequired, 403),
    (NotThere, 404),
    (AlreadyTaken, 409),
    (NotPossibleNow, 409),
    (StepsMissing, 409),
    (FixitError, 409),
    (InvalidCursor, 400),
    (InvalidValue, 422),
    (StaleVersion, 409),
    (NotEnough, 409),
    (NotFound, 404),
    (DataError, 409),
]


class Unauthenticated(Exception):
    """No valid token came with the request."""


class BadRequest(Exception):
    """The request cannot be understood; the text says why."""


def endpoint(operation: Operation) -> Callable[[Request], Awaitable[Response]]:
    """Return the Starlette endpoint that runs ``operation``."""

    async def run(request: Request) -> Response:
        try:
            call = await _call(operation, request)
            answer = await _in_transaction(operation, request, call)
        except (Unauthenticated, BadRequest, FixitError, LockstepError) as error:
            return problem_response(error)
        if answer is None:
            return Response(status_code=204)
        return json_response(answer, operation.status)

    run.__name__ = operation.name
    return run


async def _call(operation: Operation, request: Request) -> Call:
    try:
        path = {k: uuid.UUID(str(v)) for k, v in request.path_params.items()}
    except ValueError as error:
        raise NotThere("There is nothing with this key.") from error
    pairs = request.query_params.multi_items()
    if len({name for name, _ in pairs}) != len(pairs):
        raise BadRequest("A query parameter is given twice.")
    try:
        query = msgspec.convert(dict(pairs), operation.query, strict=False)
    except msgspec.ValidationError as error:
        raise BadRequest(f"Query: {error}") from error
    body = None
    if operation.body is not None:
        body = await read_body(request, operation.body)
    return Call(path, query, body)


async def read_body(request: Request, kind: type[msgspec.Struct]) -> Any:
    """Return the request's JSON body as ``kind``.

    Raises:
        BadRequest: It is not JSON, or not of this shape.
    """
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":
        raise BadRequest("Send the body as application/json.")
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"Body: {error}") from error


async def _in_transaction(operation: Operation, request: Request, call: Call) -> Any:
    db: Database = request.app.state.db
    token, from_cookie = _token(request)

    def run(session: Session) -> Any:
        active = auth.resume(session, token)
        if active is None:
            raise Unauthenticated
        changes = operation.method != "GET"
        sent = request.headers.get(CSRF_HEADER)
        if changes and from_cookie and not active.accepts(sent):
            raise Forbidden("csrf")
        _act_as(session, active.who)
        return operation.handler(session, active.who, call)

    if operation.method == "GET":
        async with db.async_read_session() as session:
            return await session.run_sync(run)
    async with db.async_write_session() as session:
        return await session.run_sync(run)


def _act_as(session: Session, who: Identity) -> None:
    # The token says who acts, and it is read inside this transaction.
    session.info["lockstep.actor"] = who.employee_id


def _token(request: Request) -> tuple[str, bool]:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip(), False
    cookie = request.cookies.get(SESSION_COOKIE)
    if cookie:
        return cookie, True
    raise Unauthenticated


def json_response(answer: Any, status: int = 200) -> Response:
    """Return a struct as JSON that no cache keeps."""
    return Response(
        _ENCODER.encode(answer),
        status_code=status,
        media_type="application/json",
        headers={"cache-control": "no-store"},
    )


def problem_response(error: Exception) -> Response:
    """Return an error as ``application/problem+json``."""
    problem = _problem(error)
    headers = {"cache-control": "no-store"}
    if problem.status == 401:
        headers["www-authenticate"] = "Bearer"
    if problem.status == 503:
        headers["retry-after"] = str(RETRY_AFTER_S)
    return Response(
        _ENCODER.encode(problem),
        status_code=problem.status,
        media_type="application/problem+json",
        headers=headers,
    )


def _problem(error: Exception) -> Problem:
    if isinstance(error, Unauthenticated):
        return Problem("Sign in first", 401, "POST /api/v1/sessions gives a token.")
    if isinstance(error, BadRequest):
        return Problem("Bad request", 400, str(error))
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), None)
    if status is None:
        return Problem("The database cannot answer now", 503)
    if isinstance(error, LockstepError):
        current = error.actual if isinstance(error, StaleVersion) else None
        return Problem(
            type(error).__name__, status, error.message, current_version=current
        )
    fields = error.fields if isinstance(error, Invalid) else {}
    return Problem(type(error).__name__, status, str(error), fields)
