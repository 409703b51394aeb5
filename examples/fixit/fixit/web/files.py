"""Attachments in the browser: shown to whoever may see their work order."""

from __future__ import annotations

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from fixit.errors import NotThere
from fixit.permissions import Identity
from fixit.services import attachments
from fixit.web.forms import row_key
from fixit.web.session import page


def file(session: Session, who: Identity, request: Request) -> Response:
    """Send one file; the type is the one its bytes were recognised by."""
    found = attachments.get_attachment(session, who, row_key(request))
    where = attachments.file_path(request.app.state.files_directory(), found.sha256)
    if not where.is_file():
        raise NotThere("The file is not on this server's disk.")
    is_picture = found.content_type.startswith("image/")
    return FileResponse(
        where,
        media_type=found.content_type,
        filename=found.file_name,
        content_disposition_type="inline" if is_picture else "attachment",
        headers={
            "cache-control": "private, max-age=3600",
            "content-security-policy": "default-src 'none'; sandbox",
        },
    )


routes: list[BaseRoute] = [Route("/files/{id}", page(file), methods=["GET"])]
