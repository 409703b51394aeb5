"""The spellings in which texts are moments.

Owns how a text is recognized by its shape, in SQLite and in PostgreSQL. A shape
promises less than a form (``forms``): 30 February has one.
"""

from __future__ import annotations

from typing import Final

DATES: Final = "ISO dates"
NAIVE_SPELLINGS: Final = ("ISO text with T", "ISO text with a space")
"""Spellings that do not say in which zone the moment is."""
ISO_SPELLINGS: Final = ("ISO text with an offset", *NAIVE_SPELLINGS)
"""Spellings of one kind of text that do not sort together."""

_GLOB_DAY: Final = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
_DAY: Final = "^[0-9]{4}-[0-9]{2}-[0-9]{2}"
_OFFSETS: Final = (
    *("*Z", "*[+-][0-9][0-9]:[0-9][0-9]", "*[0-9][+-][0-9][0-9][0-9][0-9]"),
)
_OFFSET: Final = " OR ".join(f"{{0}} GLOB '{end}'" for end in _OFFSETS)
_SPELLINGS: Final = {
    "zero dates": ("{0} GLOB '0000-00-00*'", "^0000-00-00"),
    DATES: (f"{{0}} GLOB '{_GLOB_DAY}'", f"{_DAY}$"),
    ISO_SPELLINGS[0]: (
        f"{{0}} GLOB '{_GLOB_DAY}[T ]*' AND ({_OFFSET})",
        f"{_DAY}[T ].*(Z|[+-][0-9]{{2}}:?([0-9]{{2}})?)$",
    ),
    ISO_SPELLINGS[1]: (f"{{0}} GLOB '{_GLOB_DAY}T*'", f"{_DAY}T"),
    ISO_SPELLINGS[2]: (f"{{0}} GLOB '{_GLOB_DAY} [0-9][0-9]:*'", f"{_DAY} [0-9]{{2}}:"),
    "day.month.year": (
        "{0} GLOB '[0-9]*.[0-9]*.[0-9][0-9][0-9][0-9]*'",
        "^[0-9]{1,2}[.][0-9]{1,2}[.][0-9]{4}",
    ),
    "dates with slashes": (
        "{0} GLOB '[0-9]*/[0-9]*/[0-9][0-9]*'",
        "^[0-9]{1,4}/[0-9]{1,2}/[0-9]{2,4}",
    ),
    "compact ISO text": (
        "{0} GLOB '[12][0-9][0-9][0-9][01][0-9][0-3][0-9]T[0-2]*'",
        "^[12][0-9]{3}[01][0-9][0-3][0-9]T[0-2]",
    ),
    "mail dates": (
        "{0} GLOB '[A-Z][a-z][a-z], [0-9]* [A-Z][a-z][a-z] [0-9][0-9]*'",
        "^[A-Z][a-z]{2}, [0-9]{1,2} [A-Z][a-z]{2} [0-9]{2}",
    ),
    "texts of digits": (
        "length({0}) BETWEEN 7 AND 20 AND {0} NOT GLOB '*[^0-9.]*'"
        " AND {0} NOT GLOB '*.*.*'",
        "^[0-9]{6,18}[.]?[0-9]{1,10}$",
    ),
}
"""Spelling: SQLite's condition and PostgreSQL's pattern; the first that holds."""

SPELLING_NAMES: Final = tuple(_SPELLINGS)


def sqlite_spelling(column: str) -> str:
    """Return SQLite's expression for a text's spelling, or NULL.

    Args:
        column: The quoted name of a column.
    """
    return _first_of(
        {name: glob.format(column) for name, (glob, _) in _SPELLINGS.items()}
    )


def postgresql_spelling(column: str) -> str:
    """Return PostgreSQL's expression for a text's spelling, or NULL."""
    return _first_of(
        {name: f"{column} ~ '{regex}'" for name, (_, regex) in _SPELLINGS.items()}
    )


def sqlite_begins_as_date(column: str) -> str:
    """Return SQLite's condition on a text that may be any ISO text."""
    return f"{column} GLOB '{_GLOB_DAY}*'"


def postgresql_begins_as_date(column: str) -> str:
    """Return PostgreSQL's condition on a text that may be any ISO text."""
    return f"{column} ~ '{_DAY}'"


def _first_of(conditions: dict[str, str]) -> str:
    cases = " ".join(f"WHEN {sql} THEN '{name}'" for name, sql in conditions.items())
    return f"CASE {cases} END"
