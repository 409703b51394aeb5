"""What a name gives away: money, uniqueness, a quantity.

Owns how a name is read and what its words mean; the words themselves, of a dozen
languages, are in ``vocabulary``. A name alone never decides where the values can be
asked: these are the hints that keep a check from taking every integer for a date.

Invariant: a name is read word by word (``createdAt``, ``created_at`` and
``CREATED-AT`` are the same, and so are ``Stückpreis`` and ``stuckpreis``), so
``update`` is not found in ``last_updated_by`` as ``date``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from lockstep.doctor.vocabulary import (
    ABOUT_MONEY,
    FREE,
    MAYBE_MONEY,
    MONEY,
    MONEY_ENDINGS,
    NOT_MONEY,
    NUMBERED,
    PEOPLE,
    QUANTITY,
    TITLES,
)
from lockstep.wording import words

_UNIQUE = re.compile(
    r"(unique|uniq)(idx|index|key|constraint)?|unq|uq|ux|uk"
    r"|eindeutig|unic[oa]|unicite|unik|uniek|nodup|nodups"
)


def says_money(name: str) -> bool:
    """Return whether a column's name says that it holds money."""
    found = words(name)
    if not found or NOT_MONEY & set(found):
        return False
    return bool(MONEY & set(found)) or found[-1].endswith(MONEY_ENDINGS)


def may_say_money(name: str) -> bool:
    """Return whether a column's name may mean money, in the right company."""
    found = set(words(name))
    return bool(MAYBE_MONEY & found) and not NOT_MONEY & found


def are_about_money(names: Iterable[str]) -> bool:
    """Return whether one of the names of a table and its columns is about money."""
    company = {word for name in names for word in words(name)}
    return bool(company & (ABOUT_MONEY | MONEY))


def says_quantity(name: str) -> bool:
    """Return whether a column's name says that it is counted or measured."""
    found = words(name)
    return bool(found) and (found[-1] in QUANTITY or says_money(name))


def says_unique(
    name: str, columns: tuple[str | None, ...] = (), table: str = ""
) -> bool:
    """Return whether an index's name says that it is unique.

    A word that comes from its table or one of its columns (``unique_visitors``) says
    nothing, and neither does ``not_unique``.
    """
    found = words(name)
    named = [table, *(column for column in columns if column)]
    own = {word for other in named for word in words(other)}
    for position, word in enumerate(found):
        if not _UNIQUE.fullmatch(word) or word in own:
            continue
        if position and found[position - 1] in ("not", "non", "no"):
            continue
        return True
    return False


def says_anything(name: str) -> bool:
    """Return whether a column's name says that any kind of value may stand there."""
    return bool(FREE & set(words(name)))


def says_number(name: str) -> bool:
    """Return whether a name says that its large numbers are no moments."""
    return bool(NUMBERED & set(words(name)))


def is_typed_by_people(name: str) -> bool:
    """Return whether a name is of something people type: an address, a login."""
    return bool(PEOPLE & set(words(name)))


def is_title(name: str) -> bool:
    """Return whether a name is of what people call things by."""
    return bool(TITLES & set(words(name)))
