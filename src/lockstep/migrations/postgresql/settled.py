"""One text for what PostgreSQL writes in two ways.

Owns the difference between an expression that was stated and one that a dump brought
back. The server reads again what it wrote, and then two things have changed:

    ((a AND b) AND c)                  a BETWEEN, or brackets of one's own, at the
    (a AND b AND c)                    beginning of a chain of AND or OR

    (ARRAY['a'::character varying, v])::text[]      of ``x IN ('a', v)``: the cast of
    ARRAY[('a'::character varying)::text, (v)::text]    an array goes to its elements

Blanks and line ends of a CASE change with the brackets around it. The server writes
with all brackets it can (checks, predicates, defaults) or with those it needs (keys of
an index, triggers); both are read here.

Without this a restored database would seem to have drifted from its models.
See https://www.postgresql.org/docs/current/functions-comparisons.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

_PIECES: Final = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|[()\[\],]|[^'\"()\[\],]+"
)
_QUOTES: Final = ("'", '"')
_BLANK: Final = re.compile(r"\s+")
_CLOSING: Final = {"(": ")", "[": "]"}
_CHAINED: Final = re.compile(r" (AND|OR) ")
_JOINTS: Final = re.compile(r"(?:^| )(AND|OR)(?: |$)")
_ENDS_WITH_ARRAY: Final = re.compile(r"(?:.*\W)?ARRAY", re.DOTALL)
_SIMPLE: Final = re.compile(r"[\w.]*(::[\w. ]+)*")
"""What needs no brackets before a cast, where the server writes as few as it can."""


@dataclass
class _Group:
    """What stands in brackets; ``open`` is the first of them."""

    open: str
    items: list[_Item] = field(default_factory=list["_Item"])

    def __str__(self) -> str:
        return f"{self.open}{_text(self.items).lstrip()}{_CLOSING[self.open]}"


_Item: TypeAlias = "str | _Group"


def settled(expression: str) -> str:
    """Return what ``expression`` and its restored self have in common.

    Of most it is what the server writes after a restore.

    Example:
        >>> settled("(ARRAY['a'::character varying])::text[]")
        "ARRAY[('a'::character varying)::text]"
        >>> settled("(((x >= 1) AND (x <= 9)) AND (y > 0))")
        '((x >= 1) AND (x <= 9) AND (y > 0))'
    """
    pieces = _PIECES.findall(expression)
    try:
        return _text(_settled(_grouped(iter(pieces), "")))
    except RecursionError:
        return expression  # hundreds of brackets inside of each other


def _text(items: Iterable[_Item]) -> str:
    return "".join(map(str, items))


def _grouped(pieces: Iterator[str], until: str) -> list[_Item]:
    found: list[_Item] = []
    for piece in pieces:
        if piece == until:
            break
        if piece in _CLOSING:
            found.append(_Group(piece, _grouped(pieces, _CLOSING[piece])))
        else:
            found.append(piece if piece[0] in _QUOTES else _BLANK.sub(" ", piece))
    return found


def _settled(items: list[_Item]) -> list[_Item]:
    for item in items:
        if isinstance(item, _Group):
            item.items = _settled(item.items)
    return _with_casts_inside(_flat(items))


def _flat(items: list[_Item]) -> list[_Item]:
    """Return a chain without the brackets around its beginning."""
    match items:
        case [_Group("(", inner), str(text), *_]:
            joint = _CHAINED.match(text)
            if joint is not None and _is_chain(inner, joint[1]):
                return [*inner, *items[1:]]
        case _:
            pass
    return items


def _is_chain(items: list[_Item], word: str) -> bool:
    texts = [item for item in items if isinstance(item, str)]
    words = {found for text in texts for found in _JOINTS.findall(text)}
    return words == {word}


def _with_casts_inside(items: list[_Item]) -> list[_Item]:
    """Return every array with its cast given to each of its elements."""
    made: list[_Item] = []
    place = 0
    while place < len(items):
        array, behind = _array_at(items, place)
        end = behind if array is None else _end_of_cast(items, behind)
        if array is None or end == behind:
            made.append(items[place])
            place += 1
            continue
        cast = items[behind : end - 1]
        is_terse = not isinstance(items[place], _Group)
        before = items[place]
        made.append(before if isinstance(before, str) else "ARRAY")
        made.append(_Group("[", _cast_each(array.items, cast, is_terse=is_terse)))
        place = end
    return made


def _array_at(items: list[_Item], place: int) -> tuple[_Group | None, int]:
    """Return the array that begins at a place, and the place behind it."""
    match items[place : place + 2]:
        case [_Group("(", ["ARRAY", _Group("[") as array]), *_]:
            return array, place + 1
        case [str(text), _Group("[") as array] if _ENDS_WITH_ARRAY.fullmatch(text):
            return array, place + 2
        case _:
            return None, place
    return None, place


def _end_of_cast(items: list[_Item], start: int) -> int:
    """Return the place behind ``::type[]``; ``start`` where there is none."""
    first = items[start] if start < len(items) else ""
    if not isinstance(first, str) or not first.startswith("::"):
        return start
    for place in range(start + 1, len(items)):
        item = items[place]
        if isinstance(item, _Group) and item.open == "[":
            return start if item.items else place + 1
    return start


def _cast_each(items: list[_Item], cast: list[_Item], *, is_terse: bool) -> list[_Item]:
    elements: list[list[_Item]] = [[]]
    for item in items:
        if item == ",":
            elements.append([])
        else:
            elements[-1].append(item)
    made: list[_Item] = []
    for element in map(_without_blank, elements):
        if made:
            made.append(", ")
        match element:
            case ["ARRAY", _Group("[", inner)]:
                cast_inside = _cast_each(inner, cast, is_terse=is_terse)
                made += ["ARRAY", _Group("[", cast_inside)]
            case _ if is_terse and _is_simple(element):
                made += [*element, *cast]
            case _:
                made += [_Group("(", element), *cast]
    return made


def _without_blank(element: list[_Item]) -> list[_Item]:
    match element:
        case [str(first), *rest] if first[:1] == " ":
            return [first[1:], *rest] if len(first) > 1 else rest
        case _:
            return element


def _is_simple(element: list[_Item]) -> bool:
    words = [item for item in element if isinstance(item, str)]
    if words[:1] != element[:1]:
        return False  # it begins with a bracket
    if words[0].startswith("CASE "):
        return True
    return all(word[0] in _QUOTES or _SIMPLE.fullmatch(word) for word in words)
