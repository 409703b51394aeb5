"""The boundary: every way a verb can end becomes an exit code and one message."""

import json
import os
import signal
import subprocess
import sys
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from lockstep.cli import main
from lockstep.cli.failures import Finished
from lockstep.cli.options import argument, command, option
from lockstep.cli.root import CONTEXT_SETTINGS, Root
from lockstep.cli.run import Run
from lockstep.errors import ConfigError, ConnectionLost, NotFound

ENDINGS: dict[str, Any] = {
    "config": lambda: ConfigError("wrong setting"),
    "lost": lambda: ConnectionLost("no server"),
    "data": lambda: NotFound("no row"),
    "finding": lambda: Finished(1),
    "unexpected": lambda: ZeroDivisionError("division by zero"),
    "interrupt": lambda: KeyboardInterrupt(),
    "usage": lambda: click.UsageError("no such thing"),
}


@command("end", document={}, examples={"lockstep end [x]": "[red]y"}, yes=True)
@argument("target")
@option("--loud", is_flag=True, help="Say more.")
def end(run: Run, *, target: str, loud: bool) -> None:
    """End in some way."""
    if loud:
        run.output.progress("working")
    how = target
    if how == "signal":
        run.keeps("the first half was kept")
        os.kill(os.getpid(), signal.SIGTERM)
    if how == "plan":
        plan = {"drop": "tool"}
        run.require_yes(plan, lambda page: page.line("drop tool"), why="rows go")
    if how in ENDINGS:
        raise ENDINGS[how]()
    run.output.result({"target": how}, lambda page: page.line(how))


def invoke(*words: str, env: dict[str, str] | None = None) -> Result:
    place = f"{__name__}:end"
    root = Root("lockstep", verbs={"end": place}, context_settings=CONTEXT_SETTINGS)
    sys.modules[__name__].__dict__["end"] = end
    return CliRunner(env=env).invoke(root, list(words))


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("well", 0),
        ("config", 2),
        ("lost", 3),
        ("data", 1),
        ("finding", 1),
        ("unexpected", 1),
        ("interrupt", 130),
        ("signal", 143),
        ("usage", 2),
        ("plan", 1),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_every_ending_has_its_code_and_its_form(
    how: str, code: int, as_json: bool
) -> None:
    result = invoke("end", how, *(["--json"] if as_json else []))
    assert result.exit_code == code
    assert "Traceback" not in result.output
    if not as_json:
        return
    if how == "finding":
        assert result.stdout == ""
        return
    document = json.loads(result.stdout)
    if how in {"well", "plan"}:
        assert "error" not in document
    else:
        assert set(document) == {"error"}
        assert document["error"]["message"]


def test_an_interrupt_says_what_was_kept() -> None:
    assert "nothing was changed" in invoke("end", "interrupt").stderr
    assert "terminated; the first half was kept" in invoke("end", "signal").stderr


def test_the_handlers_of_the_process_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    invoke("end", "signal")
    assert signal.getsignal(signal.SIGTERM) is before


def test_debug_shows_the_traceback_and_keeps_the_code() -> None:
    result = invoke("end", "unexpected", "--debug")
    assert result.exit_code == 1
    assert "ZeroDivisionError" in result.stderr
    assert "Traceback" in result.stderr
    result = invoke("end", "data", env={"LOCKSTEP_DEBUG": "1"})
    assert "Traceback" in result.stderr
    result = invoke("end", "data", env={"LOCKSTEP_DEBUG": "0"})
    assert "Traceback" not in result.stderr


def test_a_usage_error_is_json_when_json_was_asked_for() -> None:
    for result in (
        invoke("end", "--json", "--nonsense"),
        invoke("end", env={"LOCKSTEP_JSON": "true"}),
    ):
        assert result.exit_code == 2
        assert json.loads(result.stdout)["error"]["code"] == "usage"


def test_a_plan_is_shown_and_done_only_with_yes() -> None:
    result = invoke("end", "plan")
    assert result.exit_code == 1
    assert result.stdout == "drop tool\n"
    assert "nothing was done" in result.stderr
    assert invoke("end", "plan", "--yes").exit_code == 0
    assert invoke("end", "plan", env={"LOCKSTEP_YES": "1"}).exit_code == 0
    document = json.loads(invoke("end", "plan", "--json").stdout)
    assert document == {"applied": False, "plan": {"drop": "tool"}}


def test_an_option_has_a_variable() -> None:
    result = invoke("end", "well", env={"LOCKSTEP_END_LOUD": "1"})
    assert result.stderr == "· working\n"


def test_a_password_in_url_is_warned_about_and_not_repeated() -> None:
    result = invoke("end", "well", "--url", "postgresql://ann:s3cret@db/shop")
    assert "LOCKSTEP_URL" in result.stderr
    assert "s3cret" not in result.output
    same = invoke("end", "well", "--url", "postgresql://postgres:postgres@db/x")
    assert "LOCKSTEP_URL" in same.stderr
    assert invoke("end", "well", "--url", "sqlite:///x.db").stderr == ""


@pytest.mark.parametrize("words", [["-1", "--json"], ["--json", "--", "-1"]])
def test_minus_one_is_a_step_back_and_no_option(words: list[str]) -> None:
    result = invoke("end", *words)
    assert json.loads(result.stdout)["target"] == "-1"


def test_examples_are_text_and_no_markup() -> None:
    shown = invoke("end", "--help").stdout
    assert "lockstep end [x]   [red]y" in shown


def test_help_fits_80_columns_and_has_no_escapes() -> None:
    result = CliRunner(env={"COLUMNS": "80"}).invoke(main, ["migrate", "--help"])
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize(
    ("words", "right"), [(["migrat"], "migrate"), (["migrate", "upgrad"], "upgrade")]
)
def test_a_near_miss_is_told_the_right_name(words: list[str], right: str) -> None:
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert f"Did you mean '{right}'?" in result.stderr
    assert CliRunner().invoke(main, ["xyzzy"]).exit_code == 2


def test_without_a_verb_the_help_is_a_usage_error() -> None:
    result = CliRunner().invoke(main, [])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "init" in result.stderr


def test_version_and_help_import_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from lockstep.cli import main\n"
        "try: main(['--version'])\n"
        "except SystemExit: pass\n"
        "heavy = {'sqlalchemy', 'alembic', 'pydantic', 'psycopg', 'lockstep.engine'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[1] == "[]"
