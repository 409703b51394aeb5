"""Values of every portable type, and what Python says about them.

Shared by the tests that compare both engines with Python itself.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

import lockstep as ls


class Colour(enum.Enum):
    RED = "red"
    LIGHT_BLUE = "light blue"
    GREEN = "Green"


@dataclass(frozen=True)
class Case:
    """A type, its values, and how Python orders them.

    Attributes:
        kind: The column's type.
        values: A strategy for values the column must keep.
        order: The sort key that both engines must agree with; None where the
            type has no order.
        expected: What comes back for a value; the value itself by default.
        has_extremes: Whether both engines know ``min`` and ``max``.
    """

    kind: Any
    values: st.SearchStrategy[Any]
    order: Callable[[Any], Any] | None = lambda value: value
    expected: Callable[[Any], Any] = lambda value: value
    has_extremes: bool = True


def _in_utc(moment: dt.datetime) -> bool:
    try:
        moment.astimezone(dt.UTC)
    except OverflowError:
        return False
    return True


characters = st.characters(exclude_categories=("Cs",), exclude_characters="\x00")
text = st.text(characters, max_size=20)
integers = st.integers(-(2**63), 2**63 - 1)
floats = st.floats(allow_nan=False)
zones = st.sampled_from(
    [
        dt.UTC,
        ZoneInfo("Europe/Berlin"),
        ZoneInfo("America/New_York"),
        ZoneInfo("Asia/Kathmandu"),
        dt.timezone(dt.timedelta(hours=-12, minutes=-34)),
        dt.timezone(dt.timedelta(hours=14, seconds=7)),
    ]
)
moments = st.datetimes(timezones=zones, allow_imaginary=True).filter(_in_utc)
json_documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**200), 2**200)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4)
    ),
    max_leaves=12,
)


def decimals(precision: int, scale: int) -> st.SearchStrategy[decimal.Decimal]:
    """Return decimals that a ``Decimal(precision, scale)`` holds."""
    units = st.integers(-(10**precision) + 1, 10**precision - 1)
    context = decimal.Context(prec=precision + 1)
    return units.map(lambda n: decimal.Decimal(n).scaleb(-scale, context=context))


CASES: dict[str, Case] = {
    "Uuid": Case(ls.Uuid(), st.uuids(), has_extremes=False),
    "UtcDateTime": Case(
        ls.UtcDateTime(),
        moments,
        order=lambda value: value.astimezone(dt.UTC),
        expected=lambda value: value.astimezone(dt.UTC).replace(fold=0),
    ),
    "Date": Case(ls.Date(), st.dates()),
    "Json": Case(
        ls.Json(),
        json_documents.filter(lambda value: value is not None),
        order=None,
        has_extremes=False,
    ),
    "Decimal(1, 0)": Case(ls.Decimal(1, 0), decimals(1, 0)),
    "Decimal(12, 4)": Case(ls.Decimal(12, 4), decimals(12, 4)),
    "Decimal(18, 18)": Case(ls.Decimal(18, 18), decimals(18, 18)),
    "Decimal(19, 0)": Case(ls.Decimal(19, 0), decimals(19, 0)),
    "Decimal(60, 25)": Case(ls.Decimal(60, 25), decimals(60, 25)),
    "Money": Case(ls.Money(), decimals(18, 2)),
    "BigInteger": Case(ls.BigInteger(), integers),
    "Float": Case(ls.Float(), floats),
    "Boolean": Case(ls.Boolean(), st.booleans(), has_extremes=False),
    # Code point order is UTF-8 byte order.
    "Text": Case(ls.Text(), text, order=lambda value: value.encode()),
    "Text(20)": Case(ls.Text(20), text, order=lambda value: value.encode()),
    "Enum": Case(
        ls.Enum(Colour), st.sampled_from(Colour), order=lambda value: value.value
    ),
    "Enum of strings": Case(ls.Enum("b", "a", "ä"), st.sampled_from("abä")),
    "Blob": Case(ls.Blob(), st.binary(max_size=20), has_extremes=False),
    "Array(Uuid)": Case(
        ls.Array(ls.Uuid()),
        st.lists(st.uuids(), max_size=3),
        order=None,
        has_extremes=False,
    ),
    "Array(Text)": Case(
        ls.Array(ls.Text()), st.lists(text, max_size=3), None, has_extremes=False
    ),
    "Array(BigInteger)": Case(
        ls.Array(ls.BigInteger()),
        st.lists(integers, max_size=3),
        None,
        has_extremes=False,
    ),
    "Array(Float)": Case(
        ls.Array(ls.Float()),
        st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=3),
        None,
        has_extremes=False,
    ),
    "Array(Boolean)": Case(
        ls.Array(ls.Boolean()),
        st.lists(st.booleans(), max_size=3),
        None,
        has_extremes=False,
    ),
    "Array(Date)": Case(
        ls.Array(ls.Date()),
        st.lists(st.dates(), max_size=3),
        None,
        has_extremes=False,
    ),
    "Array(Money)": Case(
        ls.Array(ls.Money()),
        st.lists(decimals(18, 2), max_size=3),
        None,
        has_extremes=False,
    ),
    "Array(UtcDateTime)": Case(
        ls.Array(ls.UtcDateTime()),
        st.lists(
            moments.map(lambda m: m.astimezone(dt.UTC).replace(fold=0)), max_size=3
        ),
        None,
        has_extremes=False,
    ),
}
"""One case per type and per way of storing it."""
