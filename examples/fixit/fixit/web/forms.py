"""What a form or an address may contain: text, given once, of a bounded length.

A field that is missing is empty; a number that is none is an ``Invalid`` with the
field's name, so the page can say it beside the field. What no page of ours sends is
a ``BadForm``.
"""

from __future__ import annotations

import unicodedata
import uuid
from collections.abc import AsyncGenerator, Collection, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from typing import BinaryIO
from urllib.parse import parse_qsl

from starlette.datastructures import UploadFile
from starlette.requests import Request

from fixit.errors import Invalid, NotThere

FIELDS_MAX = 60
PART_BYTES_MAX = 64 * 1024
CHUNK_BYTES = 64 * 1024
YEARS = (1970, 2999)
_DIGITS_MAX = 12
_FORM = "application/x-www-form-urlencoded"
_PARTS = "multipart/form-data"


class BadForm(Exception):
    """The address or the body is not one that our pages make."""


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


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that came with a form; it lasts as long as the request."""

    name: str
    file: BinaryIO

    def chunks(self) -> Iterator[bytes]:
        """Yield the content in pieces; reads from disk, so call it in a thread."""
        while chunk := self.file.read(CHUNK_BYTES):
            yield chunk


async def read_form(request: Request) -> Form:
    """Return the form in the request's body.

    Raises:
        BadForm: Another content type, invalid UTF-8, a field twice, too many fields.
    """
    body = await request.body()
    if not body:
        return Form({})
    if _media_type(request) != _FORM:
        raise BadForm(f"Send the form as {_FORM}.")
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
    return _form(pairs)


@asynccontextmanager
async def read_upload(request: Request) -> AsyncGenerator[tuple[Form, Upload | None]]:
    """Open a form that may bring one file, in the field ``file``.

    Text stays in memory; a file larger than a megabyte lies in a temporary one.

    Raises:
        BadForm: Not a form, a field twice, more than one file.
    """
    if _media_type(request) != _PARTS:
        yield await read_form(request), None
        return
    async with request.form(
        max_files=1, max_fields=FIELDS_MAX, max_part_size=PART_BYTES_MAX
    ) as sent:
        pairs: list[tuple[str, str]] = []
        upload: Upload | None = None
        for name, value in sent.multi_items():
            if isinstance(value, UploadFile):
                # A browser sends an empty file without a name when none was chosen.
                if name == "file" and value.filename:
                    upload = Upload(value.filename, value.file)
            else:
                pairs.append((name, value))
        yield _form(pairs), upload


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
    """Return a parameter of the address; empty when it is missing.

    Raises:
        BadForm: Too long, given twice, or not text.
    """
    values = request.query_params.getlist(name)
    if not values:
        return ""
    if len(values) > 1:
        raise BadForm(f"The address has {name} twice.")
    value = " ".join(values[0].split())
    # Cc: control characters; Cs: half of a character.
    if any(unicodedata.category(char) in {"Cc", "Cs"} for char in value):
        raise BadForm(f"The address has a {name} that is no text.")
    if len(value) > most:
        raise BadForm(f"The address has a {name} of more than {most} characters.")
    return value


def query_choice(request: Request, name: str, choices: Collection[str]) -> str:
    """Return a parameter that is one of ``choices``; empty when it is missing.

    Raises:
        BadForm: It is something else.
    """
    value = query(request, name)
    if value and value not in choices:
        raise BadForm(f"The address has a {name} that is not known.")
    return value


def query_date(request: Request, name: str) -> date | None:
    """Return a parameter that is a date (YYYY-MM-DD); None when it is missing.

    Raises:
        BadForm: It is no date.
    """
    value = query(request, name)
    try:
        day = date.fromisoformat(value) if value else None
    except ValueError:
        raise BadForm(f"The address has a {name} that is no date.") from None
    if day is not None and not YEARS[0] <= day.year <= YEARS[1]:
        raise BadForm(f"The address has a {name} outside of {YEARS[0]} to {YEARS[1]}.")
    return day


def _media_type(request: Request) -> str:
    sent = request.headers.get("content-type", "")
    return sent.partition(";")[0].strip().lower()


def _form(pairs: list[tuple[str, str]]) -> Form:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise BadForm("A field was sent twice.")
    return Form(fields)
