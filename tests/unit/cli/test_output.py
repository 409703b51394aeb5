"""What is printed: control characters, tables, JSON, colours."""

import io
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.cli.output import Output, Page, console, prepare_streams, printable


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[2J", r"\x1b[2J"),
        ("a\rb", r"a\rb"),
        ("\x9b31m", r"\x9b31m"),
        ("abc\u202edef", r"abc\u202edef"),
        ("\ud800", r"\ud800"),
        ("a\u2028b", r"a\u2028b"),
        ("\x00", r"\x00"),
        ("\ufeff", r"\ufeff"),
        ("\x08", r"\x08"),
    ],
)
def test_what_a_terminal_would_obey_is_written_as_an_escape(
    hostile: str, shown: str
) -> None:
    assert printable(hostile) == shown


@pytest.mark.parametrize(
    "text", ["Zoë", "日本語", "می\u200cخواهم", "👩\u200d🔧", "a\tb\nc"]
)
def test_letters_of_every_script_stay(text: str) -> None:
    assert printable(text) == text


@given(st.text(st.characters(exclude_categories=())))
def test_printable_text_never_holds_a_control_character(text: str) -> None:
    shown = printable(text)
    assert "\x1b" not in shown
    assert all(ord(sign) >= 32 or sign in "\n\t" for sign in shown)
    shown.encode("utf-8")


def test_a_table_in_a_pipe_is_never_cut_and_has_no_trailing_spaces() -> None:
    stream = io.StringIO()
    long = "x" * 500
    Page(console(stream)).table(("name", "value"), [("a", long), ("bb", "short")])
    lines = stream.getvalue().splitlines()
    assert f"a     {long}" in lines
    assert "bb    short" in lines
    assert all(line == line.rstrip() for line in lines)


def test_a_table_on_a_terminal_fits_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    Page(console(stream)).table(("name", "value"), [("a", "word " * 30)])
    assert max(map(len, stream.getvalue().splitlines())) <= 40
    assert stream.getvalue().count("word") == 30


def test_markup_in_a_value_is_only_text() -> None:
    stream = io.StringIO()
    page = Page(console(stream))
    page.line("[red]no markup[/red] :smile:")
    page.facts([("key", "[bold]x[/bold]")])
    page.table(("[i]h[/i]",), [("[link=x]y[/link]",)])
    text = stream.getvalue()
    assert "[red]no markup[/red] :smile:" in text
    assert "[bold]x[/bold]" in text
    assert "[i]h[/i]" in text
    assert "[link=x]y[/link]" in text


def test_facts_stand_under_each_other() -> None:
    stream = io.StringIO()
    Page(console(stream)).facts([("a", "1"), ("long", "2")])
    assert stream.getvalue() == "a     1\nlong  2\n"


def test_colours_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal, pipe = Terminal(), io.StringIO()
    Page(console(terminal)).line("x", style="red")
    monkeypatch.setenv("FORCE_COLOR", "1")
    Page(console(pipe)).line("x", style="red")
    assert "\x1b[" in terminal.getvalue()
    assert pipe.getvalue() == "x\n"


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    Page(console(terminal)).line("x", style="red")
    assert "\x1b" not in terminal.getvalue()


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=True).result({"a": "é"}, lambda page: page.line("human"))
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"a": "é"}
    assert captured.err == ""


def test_json_survives_an_ascii_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    Output(as_json=True).document({"a": "é"})
    assert json.loads(raw.getvalue()) == {"a": "é"}


def test_progress_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    Output().progress("working")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "· working\n"


def test_a_table_too_wide_for_its_terminal_becomes_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    headers = ("name", "declared", "stored")
    rows = [("quantity", "INTEGER", "7 integer"), ("", "TEXT", "")]
    Page(console(stream)).table(headers, rows)
    assert stream.getvalue() == (
        "name      quantity\ndeclared  INTEGER\nstored    7 integer\n\ndeclared  TEXT\n"
    )


def test_words_of_a_narrow_table_stay_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    rows = [("a2b24d090bb7", "e643645c8f0a", "create the first tables, 日本")]
    Page(console(stream)).table(("revision", "follows", "message"), rows)
    words = stream.getvalue().split()
    assert {"a2b24d090bb7", "e643645c8f0a", "create", "tables,"} <= set(words)


def test_what_an_encoding_lacks_is_written_plainly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    prepare_streams()
    stream.write("LOCKSTEP_… → ✓ ö")
    stream.flush()
    assert stream.buffer.getvalue() == rb"LOCKSTEP_... -> ok \xf6"
