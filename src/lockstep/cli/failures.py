"""How a run of the command ends: exit codes, error blocks and hidden secrets.

Owns the exit codes and the one form in which every failure is told, to a person on
stderr or, with ``--json``, to a program on stdout. It knows error classes and no verb.

    0 ok · 1 findings, or it failed · 2 usage or configuration · 3 cannot reach
    130 Ctrl-C · 143 SIGTERM · 141 nobody reads the output any more

Invariants: no traceback without ``--debug``; a password that the command knows of is
never in what it prints, tracebacks included.
"""

from __future__ import annotations

import errno
import signal
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from lockstep.cli.output import Output, Page, console
from lockstep.errors import (
    AccessDenied,
    ConfigError,
    ConnectionLost,
    LockstepError,
    Unexaminable,
)
from lockstep.redaction import SECRET_PARAMETERS, redact

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_UNREACHABLE = 3
EXIT_INTERRUPTED = 128 + signal.SIGINT
EXIT_TERMINATED = 128 + signal.SIGTERM
EXIT_BROKEN_PIPE = 128 + 13

EXIT_CODES: Mapping[int, str] = {
    EXIT_OK: "Done; nothing to complain about.",
    EXIT_FAILED: "The verb found something, failed, or wanted `--yes`.",
    EXIT_USAGE: "The command line or the configuration is wrong.",
    EXIT_UNREACHABLE: "The database cannot be reached or refuses the user, or there is "
    "nothing to examine.",
    EXIT_INTERRUPTED: "Ctrl-C; stderr says what was kept.",
    EXIT_BROKEN_PIPE: "The reader of the output went away.",
    EXIT_TERMINATED: "SIGTERM or SIGHUP; stderr says what was kept.",
}


_SYSTEM_HINTS = {
    errno.ENOSPC: "make room where the output goes, or where temporary files lie "
    "(TMPDIR)",
    errno.EACCES: "check the permissions, or run it as the owner",
    errno.EROFS: "it lies on a file system that is mounted read-only",
}


class Terminated(KeyboardInterrupt):
    """The process was asked to end by SIGTERM or SIGHUP; unwind as for Ctrl-C."""


class Finished(Exception):
    """The verb has told its result and ends with ``exit_code``."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


def exit_code_of(error: LockstepError) -> int:
    """Return the exit code that ``error`` stands for."""
    if isinstance(error, ConnectionLost | AccessDenied | Unexaminable):
        return EXIT_UNREACHABLE
    return EXIT_USAGE if isinstance(error, ConfigError) else EXIT_FAILED


def secrets_of(urls: Iterable[str]) -> set[str]:
    """Return the passwords in ``urls``, as written and as decoded.

    A password that also is part of the address (user ``postgres``, password
    ``postgres``) is left out: hiding the word would hide the address and no secret.
    """
    found: set[str] = set()
    for url in urls:
        try:
            parts = urlsplit(url)
            written = {parts.password or ""}
            query = dict(parse_qsl(parts.query))
        except ValueError:
            continue
        written |= {text for name, text in query.items() if name in SECRET_PARAMETERS}
        visible = f"{parts.scheme} {parts.username} {parts.hostname} {parts.path}"
        found |= {
            secret
            for raw in written
            for secret in (raw, unquote(raw))
            if secret and secret.lower() not in visible.lower()
        }
    return found


def redact_document(value: Any, secrets: Iterable[str]) -> Any:
    """Return a JSON value with ``redact`` applied to every text in it."""
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, Mapping):
        mapping = cast("Mapping[str, Any]", value)
        return {key: redact_document(item, secrets) for key, item in mapping.items()}
    if isinstance(value, list | tuple):
        items = cast("Sequence[Any]", value)
        return [redact_document(item, secrets) for item in items]
    return value


@dataclass(frozen=True)
class Failure:
    """What a failed run says; its fields are the keys of the JSON ``error``."""

    code: str
    error: str
    message: str
    hint: str = ""
    retryable: bool = False
    detail: Mapping[str, Any] = field(default_factory=lambda: dict[str, Any]())

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Return what to say about any exception."""
        if isinstance(error, LockstepError):
            facts = error.to_json()
            return cls(**{item.name: facts[item.name] for item in fields(cls)})
        if isinstance(error, OSError) and error.strerror:
            where = f"{error.filename}: " if error.filename else ""
            return cls(
                "system",
                type(error).__name__,
                where + error.strerror,
                hint=_SYSTEM_HINTS.get(error.errno or 0, ""),
            )
        return cls(
            code="unexpected",
            error=type(error).__name__,
            message=f"{type(error).__name__}: {error}".rstrip(": "),
            hint="this should not happen; repeat the command with --debug "
            "(or LOCKSTEP_DEBUG=1) and report the traceback",
        )


def tell(
    output: Output,
    failure: Failure,
    *,
    error: BaseException | None = None,
    secrets: Iterable[str] = (),
) -> None:
    """Print a failure: a block on stderr, or one JSON document on stdout.

    Args:
        output: The streams; ``debug`` adds the traceback of ``error`` on stderr.
        failure: What to say.
        error: What was raised, for the traceback; None when there is none to show.
        secrets: What must not be printed.
    """
    if output.debug and error is not None:
        lines = traceback.format_exception(error)
        sys.stderr.write(redact("".join(lines), secrets))
        sys.stderr.flush()
    facts = redact_document(asdict(failure), secrets)
    if output.as_json:
        try:
            output.document({"error": facts})
        except OSError:
            pass  # stdout is full or closed, which stderr says below
        else:
            return
    page = Page(console(sys.stderr))
    # Who pressed Ctrl-C knows that it is no error.
    label = "" if facts["code"] == "interrupted" else f"error {facts['code']}: "
    page.line(f"{label}{facts['message']}", style="bold red")
    if facts["hint"]:
        page.line(f"  hint: {facts['hint']}")
    sys.stderr.flush()
