"""Write docs/reference/errors.md from the error classes themselves.

Run it after changing ``lockstep.errors``; a test compares the page with the code.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

from lockstep.errors import LockstepError, all_errors

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "errors.md"

HEAD = """\
# Errors

Every error Lockstep raises is a `LockstepError`: a code, one sentence, a hint, and
`retryable`, which says whether the same call may succeed if it is made again.
`str(error)` is `[code] message (hint)`; `error.detail` holds facts for a program.
A driver's own exception is always the `__cause__`.

| code | class | below | retryable | meaning |
|---|---|---|---|---|
"""


def row(kind: type[LockstepError]) -> str:
    """Return the table row of one class."""
    parent = kind.__mro__[1].__name__
    meaning = (inspect.getdoc(kind) or "").splitlines()[0]
    retry = "yes" if kind.retryable else ""
    return f"| `{kind.code}` | `{kind.__name__}` | `{parent}` | {retry} | {meaning} |"


def page() -> str:
    """Return the whole page."""
    return HEAD + "\n".join(row(kind) for kind in all_errors()) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stderr.write(f"wrote {PAGE.name}\n")
