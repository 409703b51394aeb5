"""What a declared type of a SQLite column means to say.

Owns the reading of type names that people write. SQLite itself looks for a few
letters anywhere in the name (``POINT`` holds INT and so has INTEGER affinity);
the doctor asks what the author meant, and leaves unknown names alone.

See https://sqlite.org/datatype3.html#determination_of_column_affinity
"""

from __future__ import annotations

import re

from lockstep.doctor.catalog import Family

_FAMILIES: tuple[tuple[str, Family], ...] = (
    (r"bool(ean)?|bit", "boolean"),
    (
        r"(unsigned )?(tiny|small|medium|big|long)?int(eger)?[1248]?( unsigned)?",
        "integer",
    ),
    (r"unsigned big int|(small|big)?serial|year|long", "integer"),
    (r"decimal|numeric|money|smallmoney|number", "decimal"),
    (r"real|float[48]?|double( precision)?", "real"),
    (r"datetime(2|offset)?|timestamp(tz)?( with(out)? time ?zone)?", "time"),
    (r"date", "date"),
    (r"jsonb?", "json"),
    (r"uuid|guid|uniqueidentifier", "uuid"),
    (r"blob|(tiny|medium|long)blob|bytea|(var)?binary|image|raw", "blob"),
    (r"(tiny|medium|long)?text|clob|string|citext|nclob", "text"),
    (r"(native |national )?(character|char|varchar)( varying| varchar)?", "text"),
    (r"n?(var)?char2?|varying character|longn?varchar|bpchar", "text"),
)
_COMPILED: list[tuple[re.Pattern[str], Family]] = [
    (re.compile(pattern), family) for pattern, family in _FAMILIES
]
_LENGTH = re.compile(r"\(\s*(\d+)\s*(?:char|byte)?\s*\)")


def family_of(declared: str) -> Family:
    """Return what ``declared`` means to say; ``other`` when nobody knows.

    Example:
        >>> family_of("VARCHAR(20)"), family_of("LINESTRING"), family_of("")
        ('text', 'other', 'other')
    """
    plain = re.sub(r"\([^)]*\)", " ", declared.lower())
    plain = " ".join(plain.split())
    for pattern, family in _COMPILED:
        if pattern.fullmatch(plain):
            return family
    return "other"


def length_of(declared: str) -> int | None:
    """Return the n of a ``varchar(n)``; None where there is no limit."""
    found = _LENGTH.search(declared)
    if found is None or family_of(declared) != "text":
        return None
    return int(found[1])
