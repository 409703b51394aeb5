"""Templates, and what they can use.

Owns the Jinja environment: autoescape on, unknown names are errors, filters for
times and words. Every page gets who is signed in, the CSRF token, and, when an action
was refused, the refusal and what had been typed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import HTMLResponse

from fixit.clock import now
from fixit.errors import Invalid
from fixit.services import notifications
from fixit.web import errors
from fixit.web.forms import Form

_FOLDER = Path(__file__).parent / "templates"
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def _moment(time: datetime | None) -> Markup:
    """A time as a <time> that the browser shows in its own zone."""
    if time is None:
        return Markup("")
    utc = time.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        utc.isoformat(timespec="seconds"), utc.strftime("%d %b %Y, %H:%M UTC")
    )


def _distance(time: datetime, reference: datetime) -> str:
    """``in 3 h``, ``2 d ago``: how far a time is away."""
    seconds = (time - reference).total_seconds()
    size = abs(seconds)
    if size < _HOUR:
        words = f"{max(1, round(size / _MINUTE))} min"
    elif size < 2 * _DAY:
        words = f"{round(size / _HOUR)} h"
    else:
        words = f"{round(size / _DAY)} d"
    return f"in {words}" if seconds > 0 else f"{words} ago"


def _spoken(word: object) -> str:
    return str(word).replace("_", " ").replace(":", " ")


def _query_of(**parameters: str) -> str:
    return urlencode({name: value for name, value in parameters.items() if value})


_environment = Environment(
    loader=FileSystemLoader(_FOLDER),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_filters: dict[str, Any] = _environment.filters
_filters |= {"moment": _moment, "distance": _distance, "spoken": _spoken}
_globals: dict[str, Any] = _environment.globals
_globals["query_of"] = _query_of


def render(
    session: Session,
    request: Request,
    template: str,
    *,
    status: int = 200,
    **values: Any,
) -> HTMLResponse:
    """Return a page for the user who is signed in."""
    active = request.state.active
    refusal: Exception | None = getattr(request.state, "refusal", None)
    if refusal is not None:
        status = errors.status_of(refusal)
    text = _environment.get_template(template).render(
        request=request,
        who=active.who,
        csrf_token=active.csrf_token,
        unread=notifications.count_unread(session, active.who),
        time=now(session),
        problem="" if refusal is None else errors.words_of(refusal),
        wrong=refusal.fields if isinstance(refusal, Invalid) else {},
        typed=getattr(request.state, "typed", Form({})),
        **values,
    )
    return HTMLResponse(text, status_code=status, headers={"cache-control": "no-store"})


def render_public(
    request: Request, template: str, *, status: int = 200, **values: Any
) -> HTMLResponse:
    """Return a page for nobody in particular."""
    text = _environment.get_template(template).render(
        request=request, who=None, csrf_token="", unread=0, **values
    )
    return HTMLResponse(text, status_code=status, headers={"cache-control": "no-store"})


def render_error(
    request: Request, status: int, title: str, detail: str
) -> HTMLResponse:
    """Return the page of a refusal."""
    return render_public(
        request, "error.html", status=status, title=title, detail=detail, code=status
    )
