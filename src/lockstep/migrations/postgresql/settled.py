"""One text for what PostgreSQL writes in two ways.

Owns the difference between an expression that was stated and one that a dump brought
back. ``shade IN ('a', 'b')`` of a varchar is first written with one cast for the whole
array; read again it has a cast for each element, and stays so.

    (ARRAY['a'::character varying, 'b'::character varying])::text[]
    ARRAY[('a'::character varying)::text, ('b'::character varying)::text]

Without this a restored database would seem to have drifted from its models.
See https://www.postgresql.org/docs/current/functions-comparisons.html
"""

from __future__ import annotations

import re

_ELEMENT = r"E?'(?:[^']|'')*'::character varying"
_CAST_AS_ONE = re.compile(rf"\(ARRAY\[({_ELEMENT}(?:, {_ELEMENT})*)\]\)::text\[\]")


def settled(expression: str) -> str:
    """Return ``expression`` as it reads once it was dumped and restored.

    Example:
        >>> settled("(ARRAY['a'::character varying])::text[]")
        "ARRAY[('a'::character varying)::text]"
    """
    return _CAST_AS_ONE.sub(_cast_each, expression)


def _cast_each(found: re.Match[str]) -> str:
    elements = re.findall(_ELEMENT, found[1])
    return f"ARRAY[{', '.join(f'({element})::text' for element in elements)}]"
