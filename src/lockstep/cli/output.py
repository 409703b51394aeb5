"""What the command prints: results on stdout, progress on stderr, JSON on request.

Owns the two streams, the colours, the tables and the JSON form. It knows no verb and
no database. Text that comes from a database, a file or a server passes ``printable``
before it reaches a terminal, so no stored value can move the cursor or hide a line.

Invariants: with ``--json`` stdout carries exactly one JSON document; a table that goes
to a pipe is never cut; colours appear only on a terminal and never under NO_COLOR.
"""

from __future__ import annotations

import codecs
import json
import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 100_000
"""Columns assumed for a pipe, where cutting a value would lose it."""

COLUMN_GAP = 2
"""Spaces between two columns of a table."""

TABLE_ROWS_MAX = 100_000
"""Rows a human table may have; more is a mistake, and ``--json`` carries them all."""

WORD_COLUMNS_MAX = 12
"""Columns that a long word must get in a table; what is narrower nobody reads."""

PLAIN_FORMS = {"…": "...", "→": "->", "✓": "ok", "·": "-", "–": "-", "×": "x"}
"""What stands for our own signs where the stream's encoding lacks them."""

_KEPT_WHITESPACE = "\n\t"
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS = "\u200c\u200d"


def printable(text: str) -> str:
    r"""Return ``text`` with everything a terminal would obey written as an escape.

    Control characters, escape sequences, bidirectional overrides and lone surrogates
    become ``\x1b``-like text. Letters of every script, and the joiners that some need,
    stay as they are.

    Example:
        >>> printable("red \x1b[31mtext")
        'red \\x1b[31mtext'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_printable_character, text))


def _printable_character(character: str) -> str:
    if character in _KEPT_WHITESPACE or character in _JOINERS:
        return character
    if unicodedata.category(character) in _HIDDEN_CATEGORIES:
        return character.encode("unicode_escape", "surrogatepass").decode("ascii")
    return character


class Output:
    """The two streams of one run of the command.

    Args:
        as_json: Print results, and errors, as one JSON document on stdout.
        debug: Show the traceback of an error.

    Attributes:
        stdout: Where results go. ``sys.stdout`` itself points to stderr while a verb
            runs, so that a ``print`` in the user's models cannot spoil a result.
    """

    def __init__(self, *, as_json: bool = False, debug: bool = False) -> None:
        self.as_json = as_json
        self.debug = debug
        self.stdout: TextIO = sys.stdout

    def result(self, document: Mapping[str, Any], show: Callable[[Page], None]) -> None:
        """Print the verb's result: ``document`` as JSON, or what ``show`` draws."""
        if self.as_json:
            self.document(document)
        else:
            show(Page(console(self.stdout)))
            self.stdout.flush()

    def document(self, document: Mapping[str, Any]) -> None:
        """Print one JSON document on stdout."""
        encoding = (getattr(self.stdout, "encoding", None) or "utf-8").lower()
        text = json.dumps(
            document,
            indent=2,
            allow_nan=False,
            ensure_ascii=encoding.replace("-", "") != "utf8",
        )
        self.stdout.write(text + "\n")
        self.stdout.flush()

    def progress(self, text: str, *, mark: str = "·", style: str = "dim") -> None:
        """Print one line of progress on stderr."""
        page = Page(console(sys.stderr))
        page.line(f"{mark} {text}", style=style)
        sys.stderr.flush()

    def warning(self, text: str) -> None:
        """Print one warning on stderr."""
        self.progress(text, mark="warning:", style="yellow")


class Page:
    """What a human reads: lines, aligned facts and tables on one console."""

    def __init__(self, target: Console) -> None:
        self._console = target

    @property
    def is_terminal(self) -> bool:
        """Whether somebody looks at it now, rather than a pipe or a file."""
        return self._console.is_terminal

    def line(self, text: str = "", *, style: str = "") -> None:
        """Print ``text`` as it is; a terminal wraps it, a pipe gets one line."""
        from rich.text import Text

        self._console.print(Text(printable(text), style=style), soft_wrap=True)

    def facts(self, facts: Sequence[tuple[str, str]]) -> None:
        """Print ``(name, value)`` pairs, the values under each other."""
        from rich.text import Text

        width = max((len(name) for name, _ in facts), default=0)
        for name, value in facts:
            text = Text(f"{name:<{width}}  ", style="bold")
            text.append(Text(printable(value), style="not bold"))
            self._console.print(text, soft_wrap=True)

    def table(self, headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a table; on a terminal long values fold, in a pipe nothing is cut.

        On a terminal too narrow for its words each row becomes a block of lines.
        """
        shown = list(islice(rows, TABLE_ROWS_MAX + 1))
        is_cut = len(shown) > TABLE_ROWS_MAX
        del shown[TABLE_ROWS_MAX:]
        widths = _widths(headers, shown, self._console.width)
        if widths is None:
            self._blocks(headers, shown)
        else:
            self._grid(headers, shown, widths)
        if is_cut:
            self.line(f"(the first {TABLE_ROWS_MAX} rows)", style="dim")

    def _blocks(self, headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        for number, row in enumerate(rows):
            if number:
                self.line()
            self.facts([pair for pair in zip(headers, row, strict=True) if pair[1]])

    def _grid(
        self,
        headers: Sequence[str],
        rows: Iterable[Sequence[str]],
        widths: Sequence[int],
    ) -> None:
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        table = Table(
            box=SIMPLE_HEAD,
            padding=(0, COLUMN_GAP - 1, 0, 0),
            pad_edge=False,
            show_edge=False,
            header_style="bold",
        )
        for header, width in zip(headers, widths, strict=True):
            table.add_column(Text(printable(header)), overflow="fold", width=width)
        for row in rows:
            table.add_row(*(Text(printable(cell)) for cell in row))
        with self._console.capture() as drawn:
            self._console.print(table)
        # The last column would end in spaces, which a diff or an editor shows.
        for line in drawn.get().splitlines():
            self._console.file.write(line.rstrip() + "\n")


def _widths(
    headers: Sequence[str], rows: Sequence[Sequence[str]], room: int
) -> list[int] | None:
    """Return the columns' widths; None where ``room`` would cut words to pieces.

    What is left of the room goes to the columns that need least to be whole.
    """
    columns = list(zip(headers, *rows, strict=True))
    whole = [max(_longest(cell.split("\n")) for cell in cells) for cells in columns]
    widths = [
        min(max(_longest(cell.split()) for cell in cells), WORD_COLUMNS_MAX)
        for cells in columns
    ]
    spare = room - COLUMN_GAP * (len(columns) - 1) - sum(widths)
    if spare < 0:
        return None
    needs = [most - least for most, least in zip(whole, widths, strict=True)]
    order = sorted(range(len(columns)), key=needs.__getitem__)
    for served, column in enumerate(order):
        given = min(needs[column], spare // (len(columns) - served))
        widths[column] += given
        spare -= given
    return widths


def _longest(texts: Iterable[str]) -> int:
    from rich.cells import cell_len

    return max((cell_len(printable(text)) for text in texts), default=0)


def console(stream: TextIO) -> Console:
    """Return a console that writes to ``stream`` and never interprets markup."""
    from rich.console import Console

    class QuietConsole(Console):
        def on_broken_pipe(self) -> None:
            # rich calls this while it handles the error, and would end the process.
            raise

    is_terminal = stream.isatty()
    return QuietConsole(
        file=stream,
        markup=False,
        highlight=False,
        emoji=False,
        width=None if is_terminal else PIPE_WIDTH,
        # FORCE_COLOR would make rich colour a pipe; a pipe is read by programs.
        force_terminal=is_terminal,
        # rich keeps bold under NO_COLOR; a reader who wants none wants none at all.
        color_system=None if os.environ.get("NO_COLOR") else "auto",
        legacy_windows=False,
    )


def prepare_streams() -> None:
    """Make both streams survive what their encoding lacks, and being closed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # the caller closed it: `lockstep … >&-`
            stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, stream)
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=_PLAINLY)


_PLAINLY = "lockstep.plainly"


def _plainly(error: UnicodeError) -> tuple[str, int]:
    """Write what an encoding lacks as a plain form of it, or as an escape."""
    assert isinstance(error, UnicodeEncodeError), "only registered for writing"
    lacking = error.object[error.start : error.end]
    written = "".join(PLAIN_FORMS.get(sign, sign) for sign in lacking)
    return written.encode("ascii", "backslashreplace").decode("ascii"), error.end


codecs.register_error(_PLAINLY, _plainly)
