"""Ed25519 signatures (RFC 8032) and the tokens made with them, for tests only.

Slow and not constant in time: what is signed here is no secret.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from typing import Any

PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, PRIME) % PRIME
_ROOT = pow(2, (PRIME - 1) // 4, PRIME)

Point = tuple[int, int]


def _recover_x(y: int) -> int:
    square = (y * y - 1) * pow(_D * y * y + 1, -1, PRIME) % PRIME
    x = pow(square, (PRIME + 3) // 8, PRIME)
    if (x * x - square) % PRIME:
        x = x * _ROOT % PRIME
    return PRIME - x if x % 2 else x


_BASE_Y = 4 * pow(5, -1, PRIME) % PRIME
BASE: Point = (_recover_x(_BASE_Y), _BASE_Y)


def _add(p: Point, q: Point) -> Point:
    (x1, y1), (x2, y2) = p, q
    product = _D * x1 * x2 * y1 * y2
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, PRIME)
    y = (y1 * y2 + x1 * x2) * pow(1 - product, -1, PRIME)
    return x % PRIME, y % PRIME


def _times(point: Point, number: int) -> Point:
    found: Point = (0, 1)
    while number:
        if number & 1:
            found = _add(found, point)
        point = _add(point, point)
        number >>= 1
    return found


def _spelled(point: Point) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


class Key:
    """A pair of keys."""

    def __init__(self) -> None:
        digest = hashlib.sha512(os.urandom(32)).digest()
        self._scalar = int.from_bytes(digest[:32], "little") & ~7 & (1 << 254) - 1
        self._scalar |= 1 << 254
        self._prefix = digest[32:]
        self.public = _spelled(_times(BASE, self._scalar))

    def sign(self, message: bytes) -> bytes:
        """Return the signature of ``message``."""
        r = _hash(self._prefix, message)
        point = _spelled(_times(BASE, r))
        s = (r + _hash(point, self.public, message) * self._scalar) % ORDER
        return point + s.to_bytes(32, "little")

    def token(self, **claims: Any) -> str:
        """Return a JSON Web Token with ``claims``."""
        head = _encoded(json.dumps({"alg": "EdDSA", "typ": "JWT"}).encode())
        text = f"{head}.{_encoded(json.dumps(claims).encode())}"
        return f"{text}.{_encoded(self.sign(text.encode()))}"

    @property
    def public_text(self) -> str:
        """The public key as libsql-server reads it from a file."""
        return _encoded(self.public)


def _hash(*parts: bytes) -> int:
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % ORDER


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
