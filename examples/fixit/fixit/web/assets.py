"""Style sheet, script and icons: served from the package, no build step, no CDN.

Owns their addresses. An address carries a digest of the content, so a browser keeps
a file for ever and still sees the next version at once.
"""

from __future__ import annotations

import functools
import hashlib
import os
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).parent / "static"
PREFIX = "/static"


@functools.cache
def address(name: str) -> str:
    """Return where a browser finds the file ``name`` as it is now."""
    digest = hashlib.sha256((FOLDER / name).read_bytes()).hexdigest()[:12]
    return f"{PREFIX}/{name}?v={digest}"


class Assets(StaticFiles):
    """Serves the folder; a file asked for with its digest is kept for a year."""

    def __init__(self) -> None:
        super().__init__(directory=FOLDER)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the file, or 404; also for names that no file can have."""
        if "\0" in path:
            raise HTTPException(404)
        return await super().get_response(path, scope)

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """Return the file with the time a browser may keep it."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        keep = scope["query_string"].startswith(b"v=")
        response.headers["cache-control"] = (
            "public, max-age=31536000, immutable" if keep else "no-cache"
        )
        return response
