"""Column types as source code that any machine can run.

Owns how a type of a model is written in a revision: ``ls.Uuid()`` for a portable
type, ``sa.String(length=50)`` for SQLAlchemy's, an import and a call for anybody
else's. Must not know: operations.

Invariant: what is written has been evaluated, and gave a type with the same DDL
on SQLite and on PostgreSQL. If a class cannot be written so (it is local to a
function, its arguments are not kept), the type that it stores is written instead.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy import exc as sa_exc
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

import lockstep.schema
from lockstep.errors import NotPortable
from lockstep.migrations.ddl import make_dialect, type_sql
from lockstep.schema import PortableType

_DIALECTS: tuple[Dialect, ...] = (make_dialect("sqlite"), make_dialect("postgresql"))
_HINTS = {
    "JSONB": "ls.Json()",
    "HSTORE": "ls.Json()",
    "ARRAY": "ls.Array(…)",
    "TIMESTAMP": "ls.UtcDateTime()",
    "BYTEA": "ls.Blob()",
    "MONEY": "ls.Money()",
    "ENUM": "ls.Enum(…)",
    "DOUBLE_PRECISION": "ls.Float()",
    "CITEXT": "ls.Text() with a unique index on sa.func.lower(column)",
}


class TypeRenderer:
    """Writes types and collects the imports that the file needs."""

    def __init__(self, imports: set[str] | None = None) -> None:
        self.imports: set[str] = set() if imports is None else imports

    def render(self, type_: TypeEngine[Any], *, where: str = "") -> str:
        """Return the type's source.

        Args:
            type_: Of a model or of the history.
            where: ``table.column``, for the error.

        Raises:
            NotPortable: An engine has no such type.
        """
        refuse_unportable(type_, where)
        for candidate, imports in _candidates(type_):
            if _is_same(candidate, imports, type_):
                self.imports.update(imports)
                return candidate
        raise NotPortable(
            f"the type {type_!r} of {where or 'a column'} cannot be written into a "
            "revision",
            hint="define its class in a module of the application, with a "
            "constructor whose arguments are kept under their names",
        )


def refuse_unportable(type_: TypeEngine[Any], where: str) -> None:
    """Refuse a type that an engine does not have.

    Args:
        type_: Of a model.
        where: ``table.column``, for the error.

    Raises:
        NotPortable: The message names the engine and what to use instead.
    """
    for dialect in _DIALECTS:
        try:
            type_sql(dialect, type_)
        except (sa_exc.CompileError, AttributeError, NotImplementedError) as exc:
            name = type(type_).__name__
            raise NotPortable(
                f"{where or 'a column'}: {dialect.name} has no type {name}",
                hint=f"use {_HINTS.get(name.upper(), 'a type of lockstep')}",
                detail={"column": where, "dialect": dialect.name},
            ) from exc


def same_ddl(one: TypeEngine[Any], two: TypeEngine[Any]) -> bool:
    """Whether two types are declared alike on every engine."""
    try:
        return _signature(one) == _signature(two)
    except (sa_exc.CompileError, AttributeError, NotImplementedError):
        return False


def _signature(type_: TypeEngine[Any]) -> tuple[Any, ...]:
    words = tuple(type_sql(dialect, type_) for dialect in _DIALECTS)
    checks: tuple[Any, ...] = ()
    if isinstance(type_, PortableType):
        checks = tuple(type_.check_sql("x", d.name) for d in _DIALECTS)
        checks = (type_.check_kind if any(checks) else "", *checks)
    labels = getattr(type_, "enums", None)
    bound = getattr(type_, "create_constraint", None) or None
    named = getattr(type_, "name", None) if labels or bound else None
    return (words, checks, tuple(labels or ()), bound, named)


def _candidates(type_: TypeEngine[Any]) -> Iterator[tuple[str, set[str]]]:
    """Yield ways to write a type, best first, with the imports each needs."""
    variants: dict[str, TypeEngine[Any]] = dict(
        getattr(type_, "_variant_mapping", None) or {}
    )
    if variants:
        yield from _with_variants(type_, variants)
        return
    module = type(type_).__module__
    if module.startswith("lockstep.schema"):
        yield _prefixed(repr(type_), ours=True), set()
    elif module.startswith("sqlalchemy.dialects."):
        dialect = module.split(".")[2]
        line = f"from sqlalchemy.dialects import {dialect}"
        yield f"{dialect}.{_prefixed(repr(type_), nested_only=True)}", {line}
    elif module.startswith("sqlalchemy."):
        yield from _of_sqlalchemy(type_)
    else:
        yield from _of_somebody(type_)
    if isinstance(type_, TypeDecorator):
        yield from _candidates(type_.impl_instance)


def _with_variants(
    type_: TypeEngine[Any], variants: dict[str, TypeEngine[Any]]
) -> Iterator[tuple[str, set[str]]]:
    plain = type_.copy()
    plain._variant_mapping = type(plain)._variant_mapping  # pyright: ignore[reportPrivateUsage]
    code, imports = next(iter(_candidates(plain)))
    for name, variant in sorted(variants.items()):
        part, more = next(iter(_candidates(variant)))
        code += f".with_variant({part}, {name!r})"
        imports = imports | more
    yield code, imports


def _of_sqlalchemy(type_: TypeEngine[Any]) -> Iterator[tuple[str, set[str]]]:
    if isinstance(type_, sa.Enum):
        # A Python enum belongs to the application of today; the revision keeps
        # what the database holds.
        arguments = [repr(value) for value in type_.enums]
        for name in ("name", "native_enum", "create_constraint", "length"):
            value = getattr(type_, name, None)
            default = {"native_enum": True, "create_constraint": False}.get(name)
            if value != default:
                arguments.append(f"{name}={value!r}")
        yield f"sa.Enum({', '.join(arguments)})", set()
        longest = [a for a in arguments if not a.startswith("length=")]
        yield f"sa.Enum({', '.join(longest)})", set()
    if isinstance(type_, sa.ARRAY):
        part, imports = next(iter(_candidates(cast("Any", type_).item_type)))
        yield f"sa.ARRAY({part})", imports
    plain = cast("Any", type_)
    if type(plain).__name__ == "_Binary":
        yield "sa.LargeBinary()", set()
    yield _prefixed(repr(plain)), set()
    module = type(plain).__module__
    inside = _prefixed(repr(plain), nested_only=True)
    yield f"{module}.{inside}", {f"import {module}"}


def _of_somebody(type_: TypeEngine[Any]) -> Iterator[tuple[str, set[str]]]:
    kind = type(type_)
    module, name = kind.__module__, kind.__qualname__
    if module == "__main__" or "<locals>" in name:
        return
    imports = {f"import {module}"}
    arguments = _arguments(type_)
    if arguments is not None:
        yield f"{module}.{name}({', '.join(arguments)})", imports
    yield f"{module}.{name}()", imports
    written = repr(type_)
    if written.startswith(kind.__name__ + "("):
        ours = isinstance(type_, PortableType)
        inside = _prefixed(written, ours=ours, nested_only=True)[len(kind.__name__) :]
        yield f"{module}.{name}{inside}", imports
    yield _prefixed(written, ours=isinstance(type_, PortableType)), imports


def _arguments(type_: TypeEngine[Any]) -> list[str] | None:
    """Return the constructor's arguments, found under their names."""
    try:
        parameters = list(inspect.signature(type(type_)).parameters.values())
    except (TypeError, ValueError):
        return None
    found: list[str] = []
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        value = _kept(type_, parameter.name)
        if value is inspect.Parameter.empty:
            if parameter.default is inspect.Parameter.empty:
                return None
            continue
        if value is not parameter.default and value != parameter.default:
            found.append(f"{parameter.name}={_value(value)}")
    return found


def _kept(type_: TypeEngine[Any], name: str) -> Any:
    holders: list[Any] = [type_]
    if isinstance(type_, TypeDecorator):
        holders.append(type_.impl_instance)
    for holder in holders:
        for attribute in (name, f"_{name}"):
            if attribute in getattr(holder, "__dict__", {}):
                return getattr(holder, attribute)
    return inspect.Parameter.empty


def _value(value: Any) -> str:
    if isinstance(value, TypeEngine):
        kind = cast("TypeEngine[Any]", value)
        return next(iter(_candidates(kind)))[0]
    return repr(value)


def _prefixed(source: str, *, ours: bool = False, nested_only: bool = False) -> str:
    """Put ``ls`` or ``sa`` before the classes in a type's repr."""
    try:
        tree = ast.parse(source, mode="eval")
    except SyntaxError:
        return source
    outermost = tree.body if nested_only else None

    class Prefix(ast.NodeTransformer):
        def visit_Call(self, node: ast.Call) -> ast.AST:
            self.generic_visit(node)
            if isinstance(node.func, ast.Name) and node is not outermost:
                home = "ls" if ours and hasattr(lockstep.schema, node.func.id) else "sa"
                node.func = ast.Attribute(
                    ast.Name(home, ast.Load()), node.func.id, ast.Load()
                )
            return node

    return ast.unparse(ast.fix_missing_locations(Prefix().visit(tree)))


_IMPORT = re.compile(r"^(?:from ([\w.]+) )?import ([\w.]+)$")


def _is_same(source: str, imports: set[str], wanted: TypeEngine[Any]) -> bool:
    """Evaluate the source as the revision will, and compare the DDL."""
    names: dict[str, Any] = {"sa": sa, "ls": lockstep.schema}
    try:
        for line in imports:
            match = _IMPORT.match(line)
            assert match is not None, "only this module writes the lines"
            package, name = match.groups()
            if package is None:
                importlib.import_module(name)
                top = name.partition(".")[0]
                names[top] = importlib.import_module(top)
            else:
                names[name] = importlib.import_module(f"{package}.{name}")
        made: Any = eval(source, names)  # noqa: S307 - source is our own
        made = sa.types.to_instance(made)
    except Exception:
        # Whatever a foreign constructor raises, this way to write it is wrong
        # and the next candidate is tried; the last resort is an error.
        return False
    return isinstance(made, TypeEngine) and same_ddl(
        cast("TypeEngine[Any]", made), wanted
    )
