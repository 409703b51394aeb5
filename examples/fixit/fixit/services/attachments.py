"""Files that belong to rows: bytes on disk under their hash, facts in a table.

A file is written whole under another name, flushed, renamed, and only then does its
row exist; so a row never points at half a file. The name on disk is the content's
hash, never what a browser sent, and the type is read from the first bytes.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sqlalchemy.orm import Session

from fixit.clock import now
from fixit.errors import Invalid, NotThere
from fixit.models import Attachment, WorkOrder
from fixit.permissions import Identity
from fixit.services.events import publish
from fixit.services.orders import may_see
from fixit.services.transitions import Action, check
from fixit.services.work import lock_order, write_log
from fixit.validation import text
from lockstep import Repository

SIZE_MAX_BYTES = 10 * 2**20
_SIGNATURES = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"%PDF-": "application/pdf",
}


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that lies on disk and has no row yet."""

    sha256: str
    size_bytes: int
    content_type: str


def store_file(folder: Path, chunks: Iterable[bytes]) -> StoredFile:
    """Write a file under its hash; needs no session, so no transaction waits.

    Raises:
        Invalid: Empty, larger than 10 MiB, or not a JPEG, PNG, WebP or PDF.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            stored = _copy(chunks, file)
            file.flush()
            os.fsync(file.fileno())
        target = file_path(folder, stored.sha256)
        target.parent.mkdir(exist_ok=True)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return stored


def attach(
    session: Session,
    who: Identity,
    order_id: uuid.UUID,
    file_name: str,
    stored: StoredFile,
) -> Attachment:
    """Make a stored file part of a work order."""
    order = lock_order(session, who, order_id)
    check(who, Action.NOTE, order)
    name = text(file_name.replace("\\", "/").rsplit("/", 1)[-1], "file", most=200)
    attachment = Repository(Attachment, session).add(
        Attachment(
            entity_type=WorkOrder.__tablename__,
            entity_id=order.id,
            file_name=name,
            content_type=stored.content_type,
            size_bytes=stored.size_bytes,
            sha256=stored.sha256,
            created_at=now(session),
        )
    )
    write_log(session, order.id, who.user_id, "attached", name)
    publish(session, "work_order", "attached", order.id)
    return attachment


def get_attachment(
    session: Session, who: Identity, attachment_id: uuid.UUID
) -> Attachment:
    """Return the row of a file that this user may see.

    Raises:
        NotThere: No such file, or it belongs to an order the user may not see.
    """
    found = session.get(Attachment, attachment_id)
    order = session.get(WorkOrder, found.entity_id) if found else None
    if found is None or order is None or not may_see(who, order):
        raise NotThere("There is no such file.")
    return found


def file_path(folder: Path, sha256: str) -> Path:
    """Return where a file with this hash lies."""
    return folder / sha256[:2] / sha256


def _copy(chunks: Iterable[bytes], file: BinaryIO) -> StoredFile:
    """Write the chunks, counting and hashing; refuse what is too large."""
    digest, size, start = hashlib.sha256(), 0, b""
    for chunk in chunks:
        size += len(chunk)
        if size > SIZE_MAX_BYTES:
            raise Invalid({"file": "At most 10 MiB, please."})
        start = (start + chunk)[:16] if len(start) < 16 else start
        digest.update(chunk)
        file.write(chunk)
    return StoredFile(digest.hexdigest(), size, _content_type(start))


def _content_type(start: bytes) -> str:
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "image/webp"
    for signature, content_type in _SIGNATURES.items():
        if start.startswith(signature):
            return content_type
    raise Invalid({"file": "A JPEG, PNG, WebP or PDF, please."})
