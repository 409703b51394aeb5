"""``/api/v1``: the same services as the pages, as JSON.

schemas      what is sent and taken, as types
operations   one function and one table row for each operation
endpoint     from HTTP to an operation and back
openapi      the document, made from the same table
"""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from fixit.errors import FixitError
from fixit.services import auth
from fixit.web.api.endpoint import (
    BadRequest,
    endpoint,
    json_response,
    problem_response,
    read_body,
)
from fixit.web.api.openapi import PREFIX, document
from fixit.web.api.operations import OPERATIONS
from fixit.web.api.schemas import Credentials, Token
from lockstep.errors import LockstepError


async def sign_in(request: Request) -> Response:
    """Exchange an employee id and a PIN for a token."""
    try:
        given: Credentials = await read_body(request, Credentials)
        opened = await run_in_threadpool(
            auth.login,
            request.app.state.db,
            given.employee_id,
            given.pin,
            user_agent=request.headers.get("user-agent", "")[:200],
        )
    except (BadRequest, FixitError, LockstepError) as error:
        return problem_response(error)
    return json_response(Token(opened.token, opened.expires_at), 201)


async def openapi(request: Request) -> Response:
    """Return the OpenAPI document."""
    return json_response(document())


routes: list[BaseRoute] = [
    Route(PREFIX + "/sessions", sign_in, methods=["POST"]),
    Route(PREFIX + "/openapi.json", openapi, methods=["GET"]),
    *(
        Route(
            PREFIX + operation.path,
            endpoint(operation),
            methods=[operation.method],
            name=operation.name,
        )
        for operation in OPERATIONS
    ),
]
