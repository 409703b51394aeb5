"""Keep secrets out of everything that is shown.

Owns what counts as a secret in a database URL and how it is masked. Settings,
errors, logs and ``repr`` all come here, so there is one place to get it right.
It knows no driver and no engine.

Invariant: a masked text is never longer-lived than its secret; masking is total
(it accepts any text, also a URL that nothing can parse) and never raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

MASK = "***"

SECRET_PARAMETERS = frozenset(
    {
        *("password", "pass", "passwd", "pwd", "pgpassword", "passfile"),
        *("sslpassword", "sslkey", "oauth_client_secret", "scram_client_key"),
        *("scram_server_key", "token", "authtoken", "auth_token", "access_token"),
        *("apikey", "api_key", "key", "secret", "jwt", "encryption_key"),
    }
)

# ``scheme://user:secret@`` up to the last @ before the path, so that a password
# with an unescaped @ in it does not show its tail.
_CREDENTIALS = re.compile(
    r"(?P<scheme>[A-Za-z][\w+.-]*://)(?P<user>[^\s:/@'\"]*):(?P<secret>[^\s'\"]*)@"
)
_PARAMETER = re.compile(
    r"(?P<name>\b[\w.-]*(?:"
    + "|".join(sorted(SECRET_PARAMETERS, key=len, reverse=True))
    + r"))(?P<equals>\s*=\s*)(?P<value>'[^']*'|\"[^\"]*\"|[^\s&;,'\"]+)",
    re.IGNORECASE,
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return ``text`` with every secret in it replaced by ``***``.

    Masks passwords in URLs, secret query parameters and secret words of a
    libpq connection string, and each of ``secrets`` wherever it stands, as it
    is or percent-encoded.
    """
    longest_first = sorted({s for s in secrets if s}, key=len, reverse=True)
    for secret in longest_first:
        for form in {secret, quote(secret, safe=""), quote_plus(secret)}:
            text = text.replace(form, MASK)
    text = _CREDENTIALS.sub(rf"\g<scheme>\g<user>:{MASK}@", text)
    return _PARAMETER.sub(rf"\g<name>\g<equals>{MASK}", text)
