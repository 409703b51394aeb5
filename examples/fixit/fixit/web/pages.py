"""Templates, and what they can use.

Owns the Jinja environment: autoescape on, unknown names are errors, filters for
times and words. Every page gets who is signed in, the CSRF token, the number of the
last event it has seen and, when an action was refused, the refusal and what had been
typed into the form that was sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
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
from fixit.services import events, notifications
from fixit.services.auth import ActiveSession
from fixit.web import assets, errors
from fixit.web.forms import Form

_FOLDER = Path(__file__).parent / "templates"
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400

# A refusal that shows the page again is put in place. Of every other error fixit.js
# says the words and leaves the page, with what was typed, as it is.
_HTMX = {
    "includeIndicatorStyles": False,
    "allowEval": False,
    "selfRequestsOnly": True,
    "historyCacheSize": 0,
    "refreshOnHistoryMiss": True,
    "responseHandling": [
        {"code": "[23]..", "swap": True},
        {"code": "409|422", "swap": True},
        {"code": "...", "swap": False, "error": True},
    ],
}


class SentForm:
    """One form of a page: empty, or as it came back with a refusal."""

    def __init__(self, is_sent: bool, typed: Form, wrong: dict[str, str]) -> None:
        self.is_sent = is_sent
        self._typed = typed
        self._wrong = wrong

    def text(self, name: str) -> str:
        """Return what had been typed into a field."""
        return self._typed.text(name)

    def wrong(self, name: str) -> str:
        """Return what is wrong with a field; empty when nothing is."""
        return self._wrong.get(name, "")


def render(
    session: Session,
    request: Request,
    template: str,
    *,
    status: int = 200,
    **values: Any,
) -> HTMLResponse:
    """Return a page for the user who is signed in."""
    active: ActiveSession = request.state.active
    refusal: Exception | None = getattr(request.state, "refusal", None)
    if refusal is not None:
        status = errors.status_of(refusal)
        values["problem"] = errors.words_of(refusal, now(session))
    return _html(
        request,
        template,
        status,
        who=active.who,
        csrf_token=active.csrf_token,
        unread=notifications.count_unread(session, active.who),
        seen=events.latest_event_marker(session),
        time=now(session),
        **values,
    )


def render_public(
    request: Request, template: str, *, status: int = 200, **values: Any
) -> HTMLResponse:
    """Return a page that needs no session; with one, the ways are shown."""
    active: ActiveSession | None = getattr(request.state, "active", None)
    return _html(
        request,
        template,
        status,
        who=active.who if active else None,
        csrf_token=active.csrf_token if active else "",
        unread=0,
        seen="",
        **values,
    )


def render_error(
    request: Request, status: int, title: str, detail: str
) -> HTMLResponse:
    """Return the page of a refusal."""
    return render_public(
        request, "error.html", status=status, title=title, detail=detail, code=status
    )


def _html(request: Request, template: str, status: int, **values: Any) -> HTMLResponse:
    path = request.scope["path"]
    typed: Form | None = getattr(request.state, "typed", None)
    refusal = getattr(request.state, "refusal", None)
    wrong = refusal.fields if isinstance(refusal, Invalid) else {}

    def sent(action: str) -> SentForm:
        """Return the form that posts to ``action``."""
        if typed is None or action != path:
            return SentForm(False, Form({}), {})
        return SentForm(True, typed, wrong)

    values = {"problem": "", "path": path, "sent": sent, **values}
    text = _environment.get_template(template).render(values)
    return HTMLResponse(text, status_code=status, headers={"cache-control": "no-store"})


def _moment(time: datetime | None) -> Markup:
    """A time as a <time> that the browser shows in its own zone."""
    if time is None:
        return Markup("")
    utc = time.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        utc.isoformat(timespec="seconds"), utc.strftime("%d %b %Y, %H:%M UTC")
    )


def _distance(time: datetime, reference: datetime) -> str:
    """``in 3 h``, ``2 d``: how far a time is away."""
    seconds = (time - reference).total_seconds()
    size = abs(seconds)
    if size < _HOUR_S:
        words = f"{max(1, round(size / _MINUTE_S))} min"
    elif size < 2 * _DAY_S:
        words = f"{round(size / _HOUR_S)} h"
    else:
        words = f"{round(size / _DAY_S)} d"
    return f"in {words}" if seconds > 0 else words


def _spoken(word: object) -> str:
    return str(word).replace("_", " ").replace(":", " ")


def _plainly(value: object) -> str:
    """A value of the audit trail as a person reads it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return str(value) if value != "" else "(empty)"


def _initials(name: str) -> str:
    words = [word for word in name.split() if word[0].isalnum()] or ["?"]
    ends = words if len(words) == 1 else (words[0], words[-1])
    return "".join(word[0] for word in ends).upper()


def _pairs(rows: Iterable[Any], key: str, text: str) -> list[tuple[Any, Any]]:
    return [(getattr(row, key), getattr(row, text)) for row in rows]


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
_filters |= {
    "moment": _moment,
    "distance": _distance,
    "spoken": _spoken,
    "plainly": _plainly,
    "initials": _initials,
    "pairs": _pairs,
}
_globals: dict[str, Any] = _environment.globals
_globals |= {
    "query_of": _query_of,
    "static": assets.address,
    "htmx_config": json.dumps(_HTMX),
}
