"""One cell of a row that SQLite packs: how its text is made inside SQLite.

Owns which stored values SQLite can turn into a cell by itself, and how; where it
cannot, a codec is called for each value, or the row goes the exact way.

Invariant: a cell that is compared is the text that PostgreSQL writes; one that is
copied is a text that PostgreSQL reads as the same value, whichever is made sooner.
"""

from __future__ import annotations

import functools as memo
import random
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from typing import Any, Final

from lockstep.migrations.sqlite.tokens import quote
from lockstep.moments.forms import OWN
from lockstep.mover.codecs import Codec, codec_of
from lockstep.mover.codecs.written import UTC_IS_MEANT, Written
from lockstep.mover.model.plan import ColumnPlan
from lockstep.mover.model.profile import ColumnProfile
from lockstep.mover.model.values import is_same, real_text

Cell = tuple[str, str]
"""What stands in the format of ``printf``, and the argument for it."""

Functions = dict[str, Callable[[Any], str]]
"""What the arguments call, by the name in SQL."""

_NULL: Final = "CAST(x'ff' AS TEXT)"

# ``repr`` is PostgreSQL's own text but for integral and for very large numbers.
_REAL: Final = (
    "CASE WHEN abs({0}) < 1e15 AND {0} <> CAST({0} AS INTEGER) "
    "THEN lockstep_repr({0}) ELSE lockstep_real({0}) END"
)
_SMALL_REAL: Final = (
    "CASE WHEN {0} = CAST({0} AS INTEGER) THEN lockstep_real({0}) "
    "WHEN CAST({0} * 10000.0 + 0.5 AS INTEGER) / 10000.0 = {0} "
    "THEN printf('%!.15g', {0}) ELSE lockstep_repr({0}) END"
)
_SMALL_BELOW: Final = 1e11
"""Below it four decimals make fifteen digits, and those are one double each."""

_PRINTED: Final = "printf('%!.19g', {0})"
_PRINTED_BELOW: Final = 1e22
"""From here on SQLite scales by powers of ten that no double holds."""

_BY_FUNCTION: Final = frozenset(
    {
        *("number", "numeric", "whole_numeric", "julian", "utc", "zoned"),
        *("uuid_bytes", "uuid_hex", "epoch", "scaled", "uuid7", "moment"),
    }
)


def cell_of(
    planned: ColumnPlan,
    name: str,
    stored: ColumnProfile,
    functions: Functions,
    *,
    for_copy: bool,
) -> Cell | None:
    """Return how a column's cells are made; None where SQLite cannot.

    Args:
        planned: What they become.
        name: The column in SQLite, quoted.
        stored: What lies in it.
        functions: Gets what the argument calls.
        for_copy: The cell is read by PostgreSQL, and compared with nothing.
    """
    cell = _cheap(planned, name, stored, functions) if for_copy else None
    return cell or _spelled(planned.codec, name, stored, functions)


def _cheap(
    planned: ColumnPlan,
    name: str,
    stored: ColumnProfile,
    functions: Functions,
) -> Cell | None:
    """Return a cell that PostgreSQL reads as the same value; None for the usual one."""
    has_null = bool(stored.counts["null"])
    if (planned.codec, planned.type) == ("real", "double precision"):
        return _printed_real(name, stored, functions, has_null)
    if (planned.codec, planned.type) == ("bytes", "bytea"):
        is_plain = stored.classes == {"blob"} and not has_null
        # Digits of either case are the same byte.
        return ("\\x%s", f"hex({name})") if is_plain else None
    kind, _, form = planned.codec.partition(":")
    if kind == "moment" and form in (stored.forms or ()):
        return "%s", _or_null(name, has_null)
    return None


def _printed_real(
    name: str,
    stored: ColumnProfile,
    functions: Functions,
    has_null: bool,
) -> Cell | None:
    """Return a cell that SQLite prints without asking Python; None if it cannot.

    Nineteen digits of a binary number, computed in at least 64 bits, are nearer to
    it than to the middle between it and its neighbour: who reads them correctly
    rounded, as PostgreSQL and Python do, has the same double.
    """
    if not _lies_within(stored, _PRINTED_BELOW) or not prints_exactly():
        return None
    if not has_null and not stored.has_zero_real:
        return _PRINTED.split("'")[1], name
    expression = _PRINTED.format(name)
    if stored.has_zero_real:
        # The sign of a zero is not printed.
        functions["lockstep_real"] = real_text
        expression = f"iif({name} = 0, lockstep_real({name}), {expression})"
    return "%s", _unless_null(name, expression, has_null)


def _lies_within(stored: ColumnProfile, limit: float) -> bool:
    """Whether all values are known to be reals nearer to zero than ``limit``."""
    low, high = stored.real_min, stored.real_max
    if stored.classes != {"real"} or low is None or high is None:
        return False
    return -limit < low and high < limit


@memo.cache
def prints_exactly() -> bool:
    """Whether this SQLite prints nineteen right digits, asked of it.

    It computes them in the C compiler's ``long double`` or, since 3.42, in two
    doubles; where a compiler makes ``long double`` a double they come out wrong.

    See https://sqlite.org/floatingpoint.html
    """
    with closing(sqlite3.connect(":memory:")) as connection:
        return all(
            float(
                connection.execute(f"SELECT {_PRINTED.format('?')}", (x,)).fetchone()[0]
            )
            == x
            for x in _hard_reals()
        )


def _hard_reals() -> list[float]:
    """Return doubles of all sizes that are printed, always the same ones."""
    source = random.Random(0)  # noqa: S311 - a choice, no secret
    bits = (source.getrandbits(64) for _ in range(2_000))
    found = [struct.unpack("d", struct.pack("Q", some))[0] for some in bits]
    return [x for x in found if 0 < abs(x) < _PRINTED_BELOW]


def _spelled(
    word: str, name: str, stored: ColumnProfile, functions: Functions
) -> Cell | None:
    """Return a cell as PostgreSQL writes it."""
    classes = stored.classes
    has_null = bool(stored.counts["null"])
    if "text" in classes and not stored.is_clean_text:
        return None
    if word == "integer" and classes <= {"integer"}:
        return "%s", _or_null(name, has_null)
    if word == "text" and classes <= {"text"}:
        return "%s", _or_null(name, has_null)
    if word == "boolean" and (stored.is_zero_or_one or not classes):
        return "%s", _unless_null(name, f"iif({name}, 't', 'f')", has_null)
    if word == "bytes" and classes <= {"blob"}:
        if has_null:
            return "%s", _unless_null(name, f"'\\x' || lower(hex({name}))", has_null)
        return "\\x%s", f"lower(hex({name}))"
    if word == "real" and classes <= {"real"}:
        functions |= {"lockstep_repr": repr, "lockstep_real": real_text}
        # A quotient of two integers is the double nearest to the decimal.
        is_small = _lies_within(stored, _SMALL_BELOW) and prints_exactly()
        form = _SMALL_REAL if is_small else _REAL
        return "%s", _unless_null(name, form.format(name), has_null)
    kind, _, form = word.partition(":")
    plain = form.removesuffix(UTC_IS_MEANT)
    is_known = OWN.get(plain, plain) in (stored.forms or ())
    if kind == "moment" and is_known and classes == {"text"}:
        return "%s", _unless_null(name, _moment(form, name), has_null)
    if kind in _BY_FUNCTION:
        function = f"lockstep_{word}"
        functions[function] = _exact(codec_of(word))
        return "%s", _unless_null(name, f"{quote(function)}({name})", has_null)
    return None


def _moment(form: str, name: str) -> str:
    """Return what writes a text of a form as PostgreSQL does."""
    codec = Written(form)
    text = name
    if codec.zone:
        text = f"substr({text}, 1, length({text}) - {len(codec.zone)})"
    if codec.between == "T":
        text = f"replace({text}, 'T', ' ')"
    if codec.is_fixed:
        text = f"rtrim(rtrim({text}, '0'), '.')"
    elif codec.digits:
        text = f"iif(instr({text}, '.'), rtrim({text}, '0'), {text})"
    return f"{text} || '{codec.own_zone}'" if codec.own_zone else text


def _or_null(name: str, has_null: bool) -> str:
    return f"ifnull({name}, {_NULL})" if has_null else name


def _unless_null(name: str, expression: str, has_null: bool) -> str:
    return f"iif({name} IS NULL, {_NULL}, {expression})" if has_null else expression


def _exact(codec: Codec) -> Callable[[Any], str]:
    """Return a conversion that fails where the cell alone would not come back."""

    def encode(value: Any) -> str:
        text = codec.encode(value)
        if codec.may_be_odd and not is_same(codec.decode(text), value):
            raise ValueError("the storage class would have to be noted")
        return text

    return encode
