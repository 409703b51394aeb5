"""What a name gives away: money, time, uniqueness, a quantity.

Owns the words by which columns and indexes are recognised. A name alone never
decides where the values can be asked: these are the hints that keep a check from
taking every integer for a date.

Invariant: a name is read word by word (``createdAt``, ``created_at`` and
``CREATED-AT`` are the same), so ``update`` is not found in ``last_updated_by`` as
``date``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-zà-ÿ]+|\d+")

_MONEY = frozenset(
    {
        *("price", "prices", "cost", "costs", "salary", "wage", "revenue", "fee"),
        *("fees", "money", "subtotal", "refund", "expense", "earnings", "fare"),
        *("payout", "preis", "kosten", "gehalt", "prix", "precio", "importe"),
        *("prezzo", "usd", "eur", "gbp", "chf", "freight"),
    }
)
_MAYBE_MONEY = frozenset(
    {
        *("amount", "total", "tax", "vat", "due", "paid", "sum", "net", "gross"),
        *("balance", "payment", "payments", "budget", "deposit", "charge", "profit"),
        *("rent", "betrag", "montant", "spent"),
    }
)
_ABOUT_MONEY = frozenset(
    {
        *("order", "orders", "invoice", "invoices", "payment", "payments", "account"),
        *("accounts", "transaction", "transactions", "expense", "expenses", "bill"),
        *("bills", "sale", "sales", "purchase", "purchases", "cart", "subscription"),
        *("subscriptions", "ledger", "wallet", "wallets", "loan", "loans", "payroll"),
        *("booking", "bookings", "donation", "donations", "refunds", "currency"),
        *("iban", "budget", "budgets", "checkout", "salaries", "rechnung", "konto"),
    }
)
"""In a table's or another column's name: there a total is one of money."""
_MONEY_ENDINGS = ("preis", "kosten", "betrag", "gehalt", "price", "cost", "gebuehr")
_NOT_MONEY = frozenset(
    {
        *("rate", "ratio", "percent", "percentage", "pct", "factor", "count", "number"),
        *("id", "date", "at", "time", "type", "status", "name", "code", "currency"),
        *("index", "weight", "hours", "minutes", "seconds", "quantity", "qty", "kg"),
        *("method", "level", "note", "notes", "text", "url", "by", "score", "km"),
        *("margin", "mode", "kind", "category", "state", "cents", "precision"),
        *("complexity", "estimate", "function", "matrix", "distance", "energy"),
    }
)
_TIME = frozenset(
    {
        *("at", "date", "datetime", "time", "timestamp", "ts", "created", "updated"),
        *("modified", "deleted", "expires", "expiry", "expiration", "since", "until"),
        *("deadline", "due", "started", "finished", "ended", "born", "birthday"),
        *("birthdate", "dob", "login", "seen", "visited", "added", "changed", "logged"),
        *("published", "closed", "opened", "synced", "received", "sent", "epoch"),
        *("mtime", "ctime", "atime", "datum", "zeit", "when", "completed", "resolved"),
    }
)
_NOT_TIME = frozenset(
    {
        *("zone", "timezone", "tz", "by", "id", "count", "type", "format", "spent"),
        *("duration", "elapsed", "total", "run", "delta", "offset", "interval"),
        *("amount", "number", "name", "flag", "status", "policy", "is", "has", "days"),
        *("hours", "minutes", "seconds", "ms", "timeout", "limit", "unit", "precision"),
    }
)
_QUANTITY = frozenset(
    {
        *("quantity", "qty", "count", "total", "amount", "stock", "percent", "units"),
        *("height", "width", "weight", "duration", "balance"),
    }
)
_UNIQUE = re.compile(r"(unique|uniq)(idx|index|key|constraint)?|unq|uq|ux")


def words(name: str) -> list[str]:
    """Return the words of a name, in lower case.

    Example:
        >>> words("lastUpdated_AT2")
        ['last', 'updated', 'at', '2']
    """
    return [word.lower() for word in _WORD.findall(name)]


def says_money(name: str) -> bool:
    """Return whether a column's name says that it holds money."""
    found = words(name)
    if not found or _NOT_MONEY & set(found):
        return False
    return bool(_MONEY & set(found)) or found[-1].endswith(_MONEY_ENDINGS)


def may_say_money(name: str, around: Iterable[str]) -> bool:
    """Return whether a column's name means money in the company it is in.

    Args:
        name: The column's.
        around: The names of its table and of the table's other columns.
    """
    found = set(words(name))
    if not _MAYBE_MONEY & found or _NOT_MONEY & found:
        return False
    company = {word for other in around for word in words(other)}
    return bool(company & (_ABOUT_MONEY | _MONEY))


def says_time(name: str) -> bool:
    """Return whether a column's name says that it holds a moment or a date."""
    found = words(name)
    return bool(_TIME & set(found)) and not _NOT_TIME & set(found)


def says_quantity(name: str) -> bool:
    """Return whether a column's name says that it is counted or measured."""
    found = words(name)
    return bool(found) and (found[-1] in _QUANTITY or says_money(name))


def says_unique(name: str, columns: tuple[str | None, ...] = ()) -> bool:
    """Return whether an index's name says that it is unique.

    A word that comes from one of its columns (``unique_visitors``) says nothing,
    and neither does ``not_unique``.
    """
    found = words(name)
    own = {word for column in columns if column for word in words(column)}
    for position, word in enumerate(found):
        if not _UNIQUE.fullmatch(word) or word in own:
            continue
        if position and found[position - 1] in ("not", "non", "no"):
            continue
        return True
    return False
