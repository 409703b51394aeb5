"""The OpenAPI 3.1 document, made from the operations and their types."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import msgspec

from fixit.web.api.operation import NoQuery, Operation
from fixit.web.api.operations import OPERATIONS
from fixit.web.api.schemas import Credentials, Problem, Token

PREFIX = "/api/v1"
_REF = "#/components/schemas/{name}"


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    """Return the document; the same object each time, do not change it."""
    types: list[Any] = [Problem, Credentials, Token]
    for operation in OPERATIONS:
        types += [kind for kind in (operation.answer, operation.body) if kind]
        types.append(operation.query)
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    schema_of = dict(zip(map(str, types), schemas, strict=True))
    paths: dict[str, Any] = {PREFIX + "/sessions": _sign_in(schema_of)}
    for operation in OPERATIONS:
        entry = paths.setdefault(PREFIX + operation.path, {})
        entry[operation.method.lower()] = _operation(operation, schema_of, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "FixIt",
            "version": "1",
            "description": "Report, mend and count. The pages use the same services.",
        },
        "security": [{"bearer": []}, {"cookie": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "fixit_session"},
            },
        },
    }


def _operation(
    operation: Operation, schema_of: dict[str, Any], components: dict[str, Any]
) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": _parameters(operation, components),
        "responses": {
            str(operation.status): _answer(operation, schema_of),
            "4XX": _problem("What was wrong with the request"),
            "503": _problem("The database cannot answer now; try again"),
        },
    }
    if operation.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema_of[str(operation.body)]}},
        }
    return described


def _parameters(operation: Operation, components: dict[str, Any]) -> list[Any]:
    found: list[Any] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "format": "uuid"},
        }
        for name in re.findall(r"{(\w+)}", operation.path)
    ]
    if operation.query is NoQuery:
        return found
    properties = components[operation.query.__name__]["properties"]
    return found + [
        {"name": name, "in": "query", "schema": schema}
        for name, schema in properties.items()
    ]


def _answer(operation: Operation, schema_of: dict[str, Any]) -> dict[str, Any]:
    if operation.answer is None:
        return {"description": "Done"}
    schema = schema_of[str(operation.answer)]
    return {
        "description": operation.summary,
        "content": {"application/json": {"schema": schema}},
    }


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": _REF.format(name="Problem")}
    return {
        "description": description,
        "content": {"application/problem+json": {"schema": schema}},
    }


def _sign_in(schema_of: dict[str, Any]) -> dict[str, Any]:
    body = {"application/json": {"schema": schema_of[str(Credentials)]}}
    token = {"application/json": {"schema": schema_of[str(Token)]}}
    return {
        "post": {
            "operationId": "sign_in",
            "summary": "Exchange an employee id and a PIN for a token",
            "security": [],
            "requestBody": {"required": True, "content": body},
            "responses": {
                "201": {"description": "Signed in", "content": token},
                "4XX": _problem("Refused"),
            },
        }
    }
