"""PINs and tokens: how they are made, kept and compared.

Owns argon2 and the random numbers. Knows no table. A PIN is kept as an argon2
hash, a token as a plain hash: it has 256 random bits and needs no stretching.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import itertools
import secrets
import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from fixit.errors import WeakPin

PIN_LENGTH_MIN = 6
PIN_LENGTH_MAX = 12
PIN_TYPED_LENGTH_MAX = 64
HASHES_AT_ONCE_MAX = 2

_hasher = PasswordHasher()
# One hash takes 64 MiB; a flood of logins waits instead of filling the memory.
_hashing = threading.BoundedSemaphore(HASHES_AT_ONCE_MAX)
_COMMON = {"112233", "121314", "147258", "159357", "159753", "246810", "258456"}


def hash_pin(pin: str) -> str:
    """Return the argon2 hash of a PIN, with its own salt."""
    with _hashing:
        return _hasher.hash(pin)


@functools.cache
def nobodys_hash() -> str:
    """Return a hash that no PIN matches, to compare with when nobody is found."""
    return hash_pin(secrets.token_hex(16))


def pin_matches(pin_hash: str, pin: str) -> bool:
    """Return whether ``pin`` is the one that ``pin_hash`` was made from."""
    with _hashing:
        try:
            return _hasher.verify(pin_hash, pin[:PIN_TYPED_LENGTH_MAX])
        except (VerificationError, InvalidHashError, UnicodeEncodeError):
            return False


def check_new_pin(pin: str, *, employee_id: str) -> None:
    """Raise ``WeakPin`` unless somebody may choose ``pin``.

    Six to twelve digits; no run (123456), no repetition (111111, 121212, 123123),
    none of the well-known ones, not the digits of the employee id.
    """
    if not (pin.isascii() and pin.isdigit()):
        raise WeakPin("Digits only, please.")
    if not PIN_LENGTH_MIN <= len(pin) <= PIN_LENGTH_MAX:
        raise WeakPin(f"{PIN_LENGTH_MIN} to {PIN_LENGTH_MAX} digits, please.")
    steps = {(int(b) - int(a)) % 10 for a, b in itertools.pairwise(pin)}
    repeats = pin in (pin + pin)[1:-1]
    if len(steps) == 1 or repeats or len(set(pin)) < 3 or pin in _COMMON:
        raise WeakPin("Too easy to guess.")
    own_digits = "".join(char for char in employee_id if char.isdigit())
    if own_digits and pin.strip("0") == own_digits.strip("0"):
        raise WeakPin("Not your employee id, please.")


def new_pin() -> str:
    """Return a random PIN of eight digits that ``check_new_pin`` accepts."""
    while True:
        pin = f"{secrets.randbelow(10**8):08d}"
        try:
            check_new_pin(pin, employee_id="")
        except WeakPin:
            continue
        return pin


def new_token() -> str:
    """Return 256 random bits as text for a cookie."""
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """Return what the database keeps of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def csrf_token(token: str) -> str:
    """Return the token that forms of this session carry; it reveals no other."""
    return hash_token("csrf:" + token)


def is_same(left: str, right: str) -> bool:
    """Compare two secrets in a time that does not depend on where they differ."""
    return hmac.compare_digest(
        left.encode("utf-8", "surrogatepass"), right.encode("utf-8", "surrogatepass")
    )
