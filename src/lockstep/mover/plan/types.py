"""Which type of PostgreSQL holds every stored value of a column of SQLite.

Owns the rule, and nothing else. The declared type is a wish, the stored values
decide: the narrowest type that holds each of them exactly and gives each back.

    stored                          PostgreSQL          when
    nothing                         by the declared type
    integers                        boolean             declared so, only 0 and 1
                                    bigint              else
    reals (and integers)            numeric             declared DECIMAL, MONEY …
                                    double precision    the class comes back
                                    numeric             else (3 and 3.0 differ)
    texts                           date, timestamp     declared so, all texts are
                                    timestamptz, time   moments in one form
                                    bytea               NUL or invalid UTF-8
                                    text                else
    blobs                           bytea
    texts and numbers               text                the digits, readable
    blobs and anything              bytea               text as UTF-8

Never ``real`` (4 bytes), never ``varchar(n)``: SQLite did not cut there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from lockstep.moments.forms import OWN
from lockstep.mover.model.declared import is_boolean_type, is_exact_type
from lockstep.mover.model.profile import ColumnProfile
from lockstep.mover.model.sqlite import Column

FEW: Final = 20

_OWN_FORMS: Final = frozenset(OWN.values())


@dataclass(frozen=True)
class Chosen:
    """A type, its codec, and a sentence when a person should know why."""

    type: str
    codec: str
    note: str = ""


def choose(column: Column, profile: ColumnProfile) -> Chosen:
    """Return the type for a column, by what is stored in it."""
    classes = profile.classes
    if not classes:
        return _by_declaration(column)
    if classes == {"integer"}:
        if is_boolean_type(column.declared) and profile.is_zero_or_one:
            return Chosen("boolean", "boolean")
        return Chosen("bigint", "integer", _surprise(column, "integer"))
    if classes <= {"integer", "real"}:
        return _number(column, profile)
    if classes == {"text"}:
        return _text(column, profile)
    if classes == {"blob"}:
        return Chosen("bytea", "bytes", _surprise(column, "blob"))
    return _mixed(profile)


def but_for_few(column: Column, profile: ColumnProfile) -> tuple[ColumnProfile, int]:
    """Return a column's values without its few odd ones, and how many those are.

    Odd is what is of another class than nearly all values, or a text that ``text``
    cannot hold; few is one of ``FEW`` at most. Where they are more, none is left out.
    """
    counts = profile.counts
    broken = profile.invalid_text + profile.nul_text
    sizes = {
        kinds: sum(counts[kind] for kind in kinds)
        for kinds in (("integer", "real"), ("text",), ("blob",))
    }
    usual = max(sizes, key=lambda kinds: sizes[kinds])
    odd = sum(sizes.values()) - sizes[usual]
    kept = {kind: counts[kind] for kind in ("null", *usual)}
    if usual == ("text",):
        kept["text"] -= broken
        odd += broken
    if not odd or odd * FEW > sum(sizes.values()):
        return profile, 0
    rest = replace(profile, counts=Counter(kept), invalid_text=0, nul_text=0)
    return rest, odd


def _by_declaration(column: Column) -> Chosen:
    words = column.declared.upper()
    if is_boolean_type(words):
        return Chosen("boolean", "boolean")
    if column.affinity == "integer":
        return Chosen("bigint", "integer")
    if column.affinity == "real":
        return Chosen("double precision", "real")
    if column.affinity == "blob" and words.strip():
        return Chosen("bytea", "bytes")
    if is_exact_type(words):
        return Chosen("numeric", "numeric")
    if "TIMESTAMP" in words or "DATETIME" in words:
        return Chosen("timestamp", "text")
    if words.strip() in ("DATE", "TIME"):
        return Chosen(words.strip().lower(), "text")
    return Chosen("text", "text")


def _number(column: Column, profile: ColumnProfile) -> Chosen:
    if is_exact_type(column.declared) and not profile.special_reals:
        # Who edits it to numeric(10, 2) gets 5.00 back of an integer 5.
        is_whole = column.affinity == "numeric" and not profile.integral_reals
        return Chosen("numeric", "whole_numeric" if is_whole else "numeric")
    if profile.classes == {"real"}:
        return Chosen("double precision", "real", _surprise(column, "real"))
    # With numeric affinity an integral real is stored as an integer, so that
    # what a double says is enough to know which of the two it was.
    if not profile.integral_reals and profile.fits_double:
        note = "integers and reals" if column.affinity == "integer" else ""
        return Chosen("double precision", "number", note)
    if profile.special_reals:
        return Chosen("text", "mixed_text", "integers, and reals numeric cannot hold")
    return Chosen("numeric", "numeric", "integers and reals side by side")


def _text(column: Column, profile: ColumnProfile) -> Chosen:
    if not profile.is_clean_text:
        what = "invalid UTF-8" if profile.invalid_text else "NUL characters"
        return Chosen(
            "bytea",
            "text_bytes",
            f"texts with {what}, which PostgreSQL's text cannot hold",
        )
    moment = _moment(column, profile.forms or set())
    if moment is not None:
        return moment
    return Chosen("text", "text", _surprise(column, "text"))


def _moment(column: Column, forms: set[str]) -> Chosen | None:
    """Return the type of texts that are all written in one form, if they are."""
    wanted = _time_words(column.declared)
    for form in by_preference(forms):
        kind = type_of_form(form)
        if kind.removesuffix("tz").upper() in wanted:
            return Chosen(kind, "text" if form == kind else f"moment:{form}")
    return None


def by_preference(forms: Iterable[str]) -> list[str]:
    """Return the forms that all texts of a column have, the likeliest first.

    A program that always writes as many digits does so with a new row, too.
    """
    return sorted(
        forms, key=lambda form: ("f" not in form or "[" in form, "[.ff" in form, form)
    )


def type_of_form(form: str) -> str:
    """Return the type of PostgreSQL whose values a form writes."""
    if form in _OWN_FORMS:
        return form
    if not form.startswith("YYYY"):
        return "time"
    return "timestamptz" if form.endswith(("Z", "0")) else "timestamp"


def _time_words(declared: str) -> set[str]:
    words = declared.upper()
    if "TIMESTAMP" in words or "DATETIME" in words:
        # A column of days stays one, whatever it was called.
        return {"TIMESTAMP", "DATE"}
    if "DATE" in words:
        return {"DATE", "TIMESTAMP"}
    return {"TIME"} if "TIME" in words else set()


def _mixed(profile: ColumnProfile) -> Chosen:
    classes = profile.classes
    found = ", ".join(
        f"{profile.counts[name]} {name}" for name in sorted(classes, key=str)
    )
    if "blob" not in classes and profile.is_clean_text:
        return Chosen("text", "mixed_text", f"different kinds of values: {found}")
    usual = max(sorted(classes), key=lambda name: profile.counts[name])
    return Chosen(
        "bytea", f"mixed_bytes:{usual}", f"different kinds of values: {found}"
    )


def _surprise(column: Column, stored: str) -> str:
    """Say when a column was declared as something else than it holds."""
    usual = {
        "integer": {"integer", "numeric", "blob"},
        "real": {"real", "numeric", "blob"},
        "text": {"text", "numeric", "blob"},
        "blob": {"blob", "numeric"},
    }[stored]
    if column.affinity in usual:
        return ""
    return f"declared {column.declared}, every value is {stored}"
