"""What a form may contain: text, given once, of a bounded length.

A field that is missing is empty; a number that is none is an ``Invalid`` with the
field's name, so the page can say it beside the field.
"""

from __future__ import annotations

import uuid
from urllib.parse import parse_qsl

from starlette.requests import Request

from fixit.errors import Invalid, NotThere

FIELDS_MAX = 60
_DIGITS_MAX = 12


class BadForm(Exception):
    """The body is not a form that one of our pages sends."""


class Form:
    """The fields of one form."""

    def __init__(self, fields: dict[str, str]) -> None:
        self._fields = fields

    def text(self, name: str) -> str:
        """Return the field; empty when it was not sent."""
        return self._fields.get(name, "")

    def number(self, name: str) -> int:
        """Return a whole number.

        Raises:
            Invalid: It is none, or has more than twelve digits.
        """
        found = self.optional_number(name)
        if found is None:
            raise Invalid({name: "A whole number, please."})
        return found

    def optional_number(self, name: str) -> int | None:
        """Return a whole number, or None when the field is empty."""
        typed = self.text(name).strip()
        if not typed:
            return None
        digits = typed.removeprefix("-")
        if not (digits.isascii() and digits.isdigit()) or len(digits) > _DIGITS_MAX:
            raise Invalid({name: "A whole number, please."})
        return int(typed)

    def key(self, name: str) -> uuid.UUID:
        """Return the key of a row that was chosen.

        Raises:
            Invalid: Nothing was chosen, or it is no key.
        """
        try:
            return uuid.UUID(self.text(name))
        except ValueError:
            raise Invalid({name: "Please choose one."}) from None

    def flag(self, name: str) -> bool:
        """Return whether a box is ticked."""
        return self.text(name) in ("1", "on", "true")


async def read_form(request: Request) -> Form:
    """Return the form in the request's body.

    Raises:
        BadForm: Another content type, invalid UTF-8, a field twice, too many fields.
    """
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    if not body:
        return Form({})
    if media != "application/x-www-form-urlencoded":
        raise BadForm("Send the form as application/x-www-form-urlencoded.")
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=FIELDS_MAX,
        )
    except ValueError as error:
        raise BadForm("The form cannot be read.") from error
    if len({name for name, _ in pairs}) != len(pairs):
        raise BadForm("A field was sent twice.")
    return Form(dict(pairs))


def row_key(request: Request, name: str = "id") -> uuid.UUID:
    """Return the key in the path.

    Raises:
        NotThere: It is no key.
    """
    try:
        return uuid.UUID(str(request.path_params[name]))
    except ValueError:
        raise NotThere("There is nothing at this address.") from None


def query(request: Request, name: str, *, most: int = 2000) -> str:
    """Return a parameter of the address; empty when missing or too long."""
    value = request.query_params.get(name, "")
    return value if len(value) <= most and value.isprintable() else ""
