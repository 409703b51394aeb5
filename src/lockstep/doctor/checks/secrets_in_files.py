"""Passwords where they are read by more people than they should be."""

from __future__ import annotations

import re

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import Severity
from lockstep.doctor.project.context import ProjectContext
from lockstep.doctor.project.files import TextFile

_NAMES = re.compile(
    r"(\.(toml|ini|cfg|conf|ya?ml|json|py|js|ts|tsx|mjs|sh|bash|env|properties|log|out)"
    r"|\.(service|timer|tf|tfvars|sql|ipynb|md|rst|txt|xml|php|rb|go|log\.\d+)"
    r"|(^|/)(Dockerfile[^/]*|Makefile|Procfile|Caddyfile|crontab[^/]*|\.env[^/]*"
    r"|\.pgpass|\.my\.cnf))$"
)
_TEMPLATE = re.compile(r"\.(example|sample|template|dist|tmpl)$|example|sample", re.I)
_LOG = re.compile(r"\.(log|out|log\.\d+)$|(^|/)logs?/", re.IGNORECASE)
_URL = re.compile(
    r"\b(?P<scheme>postgres(?:ql)?(?:\+\w+)?|mysql(?:\+\w+)?|mariadb|mongodb(?:\+srv)?|"
    r"rediss?|amqps?|libsql|https?)://(?P<user>[^\s:/@'\"`]*):"
    r"(?P<secret>[^\s@'\"`/]+)@(?P<host>[^\s/:'\"`?,)]+)",
    re.IGNORECASE,
)
_TOKEN = re.compile(
    r"(?:authToken|auth_token|access_token|sslpassword)=(?P<secret>[A-Za-z0-9._\-]{16,})"
)
_VALUE = r"(?P<secret>[^\s'\"`;,&)}]{4,})"
_DSN = re.compile(
    rf"[\"'][^\"']*\bhost=(?P<host>[^\s\"']+)[^\"']*\bpassword={_VALUE}"
    rf"|[\"'][^\"']*\bpassword={_VALUE.replace('secret', 'secret2')}[^\"']*\bhost="
)
"""A connection string of words, as libpq takes it."""
_ARGUMENT = re.compile(
    r"\bconnect\(.*\bpassword\s*=\s*[\"'](?P<secret>[^\"'{}$]{4,})[\"']", re.IGNORECASE
)
_SETTING = re.compile(
    r"[\"']PASSWORD[\"']\s*:\s*[\"'](?P<secret>[^\"'{}$]{4,})[\"']"
    r"|\b(?:CREATE|ALTER)\s+(?:ROLE|USER)\b.*\bPASSWORD\s+'(?P<secret2>[^']{4,})'"
)
"""Django's settings, and roles that a script makes."""
_THROWAWAY = re.compile(
    r"\b(?:POSTGRES|MYSQL|MYSQL_ROOT|MARIADB|MARIADB_ROOT)_PASSWORD[\"']?\s*[:=]\s*"
    + r"[\"']?"
    + _VALUE
)
"""What an official image makes its first user with."""
_PGPASS = re.compile(r"^(?P<host>[^:#\s]+):[^:]*:[^:]*:[^:]*:(?P<secret>.+)$")
_TO_BROWSERS = re.compile(
    r"\b(?:NEXT_PUBLIC|VITE|REACT_APP|PUBLIC|NUXT_PUBLIC|EXPO_PUBLIC)_\w*"
    r"(?:SECRET|PASSWORD|PRIVATE|SERVICE_ROLE)\w*\b"
)
_PLACEHOLDER = re.compile(
    r"^(\$.*|\{.*|<.*|%.*|\[.*|\*+|x{3,}|\.{3}|…|your.*|my_?pass.*|user|pass|passwd|pwd|"
    r"password|secret|geheim|change_?me.*|example|test|postgres|root|admin|dummy|foo|"
    r"token|:?pw)$",
    re.IGNORECASE,
)
_NEAR = re.compile(
    r"^(localhost|127\.\d+\.\d+\.\d+|\[?::1\]?|0\.0\.0\.0|[\w-]+|.*\.(local"
    r"|localhost|test|example|example\.(com|org|net)|invalid))$",
    re.I,
)


def examine(context: ProjectContext) -> Findings:
    """Look for URLs with a password, and secrets that a bundler ships to browsers."""
    for file in context.files:
        if not _NAMES.search(file.name) or _TEMPLATE.search(file.path.name):
            continue
        yield from _urls(context, file)
        for number, found in file.matches(_TO_BROWSERS):
            if not file.is_for_tests:
                yield CHECK.finding(
                    "problem",
                    f"{file.name}:{number}",
                    f"{found[0]} is a variable that the bundler writes into the page",
                    why="Everything with this prefix is sent to every browser, secret "
                    "or not.",
                    mend="rename it without the prefix and use it on the server only; "
                    "change the secret, it is known",
                    evidence={"variable": found[0]},
                )


_PATTERNS = (_URL, _TOKEN, _DSN, _ARGUMENT, _SETTING, _THROWAWAY)


def _urls(context: ProjectContext, file: TextFile) -> Findings:
    patterns = (_PGPASS,) if file.path.name == ".pgpass" else _PATTERNS
    for pattern in patterns:
        for number, found in file.matches(pattern):
            groups = found.groupdict()
            secret = groups.get("secret") or groups.get("secret2") or ""
            if _PLACEHOLDER.match(secret):
                continue
            host = "localhost" if pattern is _THROWAWAY else groups.get("host") or ""
            severity = _severity(context, file, host)
            if severity is None:
                continue
            yield CHECK.finding(
                severity,
                f"{file.name}:{number}",
                _what(pattern, groups.get("scheme") or "", host),
                mend="put it into a variable or a file that is not tracked, and change "
                "the password: what was committed or logged stays readable"
                if severity == "problem"
                else "put it into a variable or a file that is not tracked",
                evidence={"host": host, "tracked": _is_tracked(context, file)},
            )


def _what(pattern: re.Pattern[str], scheme: str, host: str) -> str:
    if pattern is _URL:
        return f"a URL with a password in it ({scheme}, host {host})"
    if pattern is _TOKEN:
        return "a token in a URL"
    return "a database's password" + (f" (host {host})" if host else "")


def _severity(context: ProjectContext, file: TextFile, host: str) -> Severity | None:
    if _LOG.search(file.name):
        return "problem"
    is_environment = file.path.name.startswith(".env")
    if is_environment and not _is_tracked(context, file):
        return None  # that is the place for it
    if file.is_for_tests or (host and _NEAR.match(host)):
        # A throw-away server on this machine, or one of a compose file.
        return "notice"
    return "problem" if _is_tracked(context, file) else "warning"


def _is_tracked(context: ProjectContext, file: TextFile) -> bool:
    return context.tracked is not None and file.name in context.tracked


CHECK = Check(
    name="secrets-in-files",
    looks_for="Passwords in URLs, connection strings and settings, in tracked files, "
    "scripts and logs; secrets in variables that are shipped to browsers.",
    why="A repository and a log are copied, kept and read by people and tools that "
    "should not have the database.",
    project=examine,
)
