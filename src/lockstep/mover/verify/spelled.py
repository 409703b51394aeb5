r"""How the cells of two databases are written that no plan connects.

Owns the choice by which a cell of SQLite is written: wherever that is possible as
PostgreSQL itself writes the same value of its column's type. Then most lines are the
same bytes on both sides, and only cells of the others are looked at (``canonical``).

    SQLite ──codec──► line  ── the same bytes? ──  line ◄── PostgreSQL
                        └──► canonical, the same? ◄──┘

Invariant: where both texts of a cell are the same, so are both canonical ones. So a
blob is never spelled for a text, nor a text for bytes: ``\x00`` can be either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from lockstep.migrations.sqlite.tokens import quote
from lockstep.moments.forms import OWN
from lockstep.mover.codecs import Codec, codec_of
from lockstep.mover.codecs.written import UTC_IS_MEANT
from lockstep.mover.model.profile import ColumnProfile
from lockstep.mover.plan.types import by_preference, type_of_form
from lockstep.mover.verify.canonical import DAYS, NUMBERS, Foreign

_LONG_NAMES: Final = {name: form for form, name in OWN.items()}
_SHORT_TYPES: Final = {
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
    "time without time zone": "time",
}
INTEGERS: Final = frozenset({"smallint", "integer", "bigint"})
TEXTS: Final = frozenset({"text", "character varying"})
"""Types whose text is the value, character by character."""

_AS_READ: Final = {
    # Four bytes show fewer digits than they stand for; eight show them all.
    "real": "{0}::float8",
    # Its blanks at the end mean nothing, and a text has none of them.
    "character": "{0}::text",
    "numeric": "trim_scale({0})",
}


def as_read(column: str, kind: str) -> str:
    """Return what PostgreSQL is asked for to show a column's values.

    Args:
        column: Its name.
        kind: Its type, without modifiers.
    """
    return _AS_READ.get(kind, "{0}").format(quote(column))


def codec_for(stored: ColumnProfile, kind: str) -> str:
    """Return the codec that writes SQLite's values as PostgreSQL does.

    Args:
        stored: What the column holds, in the snapshot that is read.
        kind: PostgreSQL's type, without modifiers.

    Returns:
        A word of ``codec_of``; empty where none does, or could be taken for another
        value.
    """
    classes = stored.classes
    if kind == "bytea":
        return "bytes" if classes <= {"blob"} else ""
    if classes <= {"text"}:
        if not stored.is_clean_text:
            return ""
        return _moment_codec(stored.forms or set(), kind) or "text"
    if classes == {"integer"} and kind == "boolean":
        return "boolean" if stored.is_zero_or_one else ""
    if classes == {"integer"}:
        return "" if kind in DAYS else "integer"
    if classes <= {"integer", "real"} and kind in NUMBERS:
        return _number_codec(stored)
    return ""


def _number_codec(stored: ColumnProfile) -> str:
    if stored.classes == {"real"}:
        return "real"
    is_plain = stored.fits_double and not stored.integral_reals
    return "number" if is_plain else "numeric"


def _moment_codec(forms: set[str], kind: str) -> str:
    """Return the codec of texts of one form; empty where they are text enough."""
    wanted = _SHORT_TYPES.get(kind, "")
    if wanted in forms:
        return ""
    # PostgreSQL's own form needs the least work.
    for form in sorted(by_preference(forms), key=lambda form: form not in _LONG_NAMES):
        said = type_of_form(form)
        if (said, wanted) == ("timestamp", "timestamptz"):
            return f"moment:{_LONG_NAMES.get(form, form)}{UTC_IS_MEANT}"
        if said == wanted:
            return f"moment:{form}"
    return ""


class FileColumn(Codec):
    """A column of SQLite beside one of PostgreSQL.

    Args:
        word: The codec that wrote its cells; empty where they are canonical.
        foreign: What they mean.
        kind: PostgreSQL's type, without modifiers.
    """

    def __init__(self, word: str, foreign: Foreign, kind: str) -> None:
        self._codec = codec_of(word) if word else None
        self._foreign = foreign
        self.has_one_spelling = (
            not word
            or (word == "bytes" and kind == "bytea")
            or (word == "integer" and kind in INTEGERS)
            or (word in ("integer", "text") and kind in TEXTS)
        )

    def encode(self, value: Any) -> str:
        """Return the canonical text."""
        return str(value)

    def decode(self, text: str) -> str:
        """Return the canonical text of a cell."""
        if self._codec is None:
            return text
        return self._foreign.encode(self._codec.decode(text))

    def respelled(self, text: str) -> str:
        """Return the canonical text of a cell."""
        return self.decode(text)


class ServerColumn(Codec):
    """A column of PostgreSQL beside one of another database.

    Args:
        foreign: What its texts mean.
        is_value: Whether it is a text, which means what SQLite's text would.
    """

    def __init__(self, foreign: Foreign, *, is_value: bool = False) -> None:
        self._decode = foreign.encode if is_value else foreign.decode
        self.has_one_spelling = foreign.is_plain and not is_value

    def encode(self, value: Any) -> str:
        """Return the canonical text."""
        return str(value)

    def decode(self, text: str) -> str:
        """Return the canonical text of a cell."""
        return self._decode(text)

    def respelled(self, text: str) -> str:
        """Return the canonical text of a cell."""
        return self._decode(text)


@dataclass
class SpelledTable:
    """How the cells of two tables are compared that no plan connects.

    Attributes:
        source, target: What each side's cells mean, in the order of the columns.
        encoders: What writes SQLite's cells where some of them are canonical; empty
            where the plan's codecs do.
    """

    source: list[Codec] = field(default_factory=list[Codec])
    target: list[Codec] = field(default_factory=list[Codec])
    encoders: Sequence[Codec] = ()
