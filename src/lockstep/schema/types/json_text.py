"""JSON as one canonical text, exact on every engine.

Owns which Python values are JSON documents and how they are written. It knows
neither SQLAlchemy nor a database.

Invariants: equal documents have equal texts (keys in jsonb's order, no spaces, no
escape that is not needed); what one of the engines cannot hold is refused; and a float
is written so that it comes back as a float from ``jsonb`` too, which stores
numbers as ``numeric`` and would give 1e23 back as an integer.
"""

from __future__ import annotations

import decimal
import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from lockstep.schema.types.text import text_fault

JSON_DEPTH_MAX = 200
"""Nested arrays and objects. SQLite parses 1,000, Python's parser about as many."""

INTEGER_DIGITS_MAX = 4300
"""Python's own limit for turning text into an integer."""

_encode_string = json.encoder.encode_basestring
_ORDER_LENGTH_MAX = 1_000
"""Characters of all keys together; the form of longer ones is not remembered."""
_FORMS_MAX = 1_000
_forms: dict[tuple[str, ...], tuple[str, tuple[str, ...]]] = {}
"""What stands around the values of a flat document, and its keys in jsonb's order."""
_PLAIN: dict[type[Any], Callable[[Any], str]] = {
    str: _encode_string,
    int: int.__repr__,
    bool: {False: "false", True: "true"}.__getitem__,
    type(None): {None: "null"}.__getitem__,
}


class NotJson(ValueError):
    """The value is no JSON document, or one that not every engine can hold."""


def canonical_json(value: object, *, expand_floats: bool = False) -> str:
    """Return the canonical text of a document.

    Args:
        value: ``dict`` with string keys, ``list``, ``tuple``, ``str``, ``int``,
            ``float``, ``bool`` or None, nested as JSON allows.
        expand_floats: Write floats with a point and without an exponent, for
            ``jsonb``.

    Raises:
        NotJson: The value cannot be stored exactly on every engine.
    """
    document: dict[Any, Any] = value  # type: ignore[assignment]
    if type(document) is dict:
        text = _flat(document)
        if text is not None:
            return text
    return "".join(_parts(value, expand_floats, JSON_DEPTH_MAX))


def _flat(document: dict[Any, Any]) -> str | None:
    """Return a flat document's text; None if ``_parts`` is to write or refuse it.

    Most that an audit trail holds have only strings, integers, booleans and nulls in
    them, and the same keys again and again.
    """
    names = tuple(document)
    form = _forms.get(names)
    if form is None:
        if not _PLAIN.keys() >= set(map(type, document.values())):
            return None
        form = _form_of(names)
        if form is None:
            return None
    try:
        values = [_PLAIN[type(value := document[name])](value) for name in form[1]]
    except (KeyError, ValueError):  # of another type; an integer of too many digits
        return None
    text = form[0] % tuple(values)
    # What no engine holds is found in the text; a backslash before it is escaped,
    # too, so a document that only looks like it takes the long way.
    if "\\u0000" in text or not (text.isascii() or text_fault(text) is None):
        return None
    return text


def storable_json(value: object, expand_floats: bool) -> str:
    """Return ``canonical_json`` of a value whose strings are known to be storable."""
    write = _PLAIN.get(type(value))
    if write is None:
        return canonical_json(value, expand_floats=expand_floats)
    return write(value)


def labelled(name: str) -> str:
    """Return a key as it stands in a canonical text, before its value."""
    return f"{_string(name)}:"


def _form_of(names: tuple[Any, ...]) -> tuple[str, tuple[str, ...]] | None:
    """Return the form of a document with these keys; None if one is no key."""
    if not all(type(name) is str and text_fault(name) is None for name in names):
        return None
    order = tuple(sorted(names, key=jsonb_order))
    labels = (labelled(name).replace("%", "%%") for name in order)
    form = "{" + ",".join(f"{label}%s" for label in labels) + "}", order
    if sum(map(len, names)) <= _ORDER_LENGTH_MAX:
        if len(_forms) >= _FORMS_MAX:
            _forms.clear()
        _forms[names] = form
    return form


def _parts(value: object, expand_floats: bool, depth: int) -> Iterator[str]:
    if value is None or isinstance(value, bool):
        yield {None: "null", True: "true", False: "false"}[value]
    elif isinstance(value, str):
        yield _string(value)
    elif isinstance(value, int):
        yield _integer(value)
    elif isinstance(value, float):
        yield _float(value, expand_floats)
    elif depth == 0:
        raise NotJson(f"nested more than {JSON_DEPTH_MAX} deep")
    elif isinstance(value, Mapping):
        document = cast("Mapping[Any, object]", value)
        yield from _object(document, expand_floats, depth - 1)
    elif isinstance(value, list | tuple):
        yield from _array(
            cast("list[object] | tuple[object, ...]", value), expand_floats, depth - 1
        )
    else:
        raise NotJson(f"{type(value).__name__} is no JSON value")


def _object(
    document: Mapping[Any, object], expand_floats: bool, depth: int
) -> Iterator[str]:
    for key in document:
        if not isinstance(key, str):
            raise NotJson(f"the key {key!r} is no string")
    separator = "{"
    for key in sorted(document, key=jsonb_order):
        yield separator
        yield _string(key)
        yield ":"
        yield from _parts(document[key], expand_floats, depth)
        separator = ","
    yield "}" if document else "{}"


def jsonb_order(key: str) -> tuple[int, bytes]:
    """Sort keys as ``jsonb`` does, so that they are read in one order everywhere."""
    encoded = key.encode("utf-8", errors="surrogatepass")
    return len(encoded), encoded


def _array(
    items: list[object] | tuple[object, ...], expand_floats: bool, depth: int
) -> Iterator[str]:
    separator = "["
    for item in items:
        yield separator
        yield from _parts(item, expand_floats, depth)
        separator = ","
    yield "]" if items else "[]"


def _string(text: str) -> str:
    fault = text_fault(text)
    if fault is not None:
        raise NotJson(fault)
    # A subclass (an enum member, a SafeString) is written as the text it is.
    return _encode_string(str.__str__(text))


def _integer(number: int) -> str:
    try:
        return int.__repr__(number)
    except ValueError as error:
        raise NotJson(f"an integer of more than {INTEGER_DIGITS_MAX} digits") from error


def _float(number: float, expand: bool) -> str:
    if not math.isfinite(number):
        raise NotJson(f"{number!r} is no JSON number")
    number += 0.0  # jsonb has no negative zero
    text = float.__repr__(number)
    if not expand or "e" not in text:
        return text
    digits = format(decimal.Decimal(text), "f")
    return digits if "." in digits else f"{digits}.0"
