"""How a run ends: exit codes, blocks, hidden secrets."""

import contextlib
import json

import pytest

from lockstep import errors
from lockstep.cli import failures
from lockstep.cli.failures import Failure, secrets_of, tell
from lockstep.cli.output import Output


@pytest.mark.parametrize("kind", errors.all_errors())
def test_every_error_has_an_exit_code(kind: type[errors.LockstepError]) -> None:
    error = kind.__new__(kind)
    code = failures.exit_code_of(error)
    if issubclass(
        kind, errors.ConnectionLost | errors.AccessDenied | errors.Unexaminable
    ):
        assert code == 3
    elif issubclass(kind, errors.ConfigError):
        assert code == 2
    else:
        assert code == 1


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("postgresql://ann:s3cret@db/shop", {"s3cret"}),
        ("postgresql://ann:a%40b@db/shop", {"a%40b", "a@b"}),
        ("postgresql://db/shop?user=ann&password=geheim", {"geheim"}),
        ("postgresql://postgres:postgres@db/postgres", set()),
        ("sqlite:///local.db", set()),
        ("http://[broken", set()),
    ],
)
def test_the_secrets_of_a_url(url: str, secrets: set[str]) -> None:
    assert secrets_of([url]) == secrets


def test_an_error_is_one_block(capsys: pytest.CaptureFixture[str]) -> None:
    error = errors.ConfigError("no models are named", hint="name them")
    tell(Output(), Failure.of(error))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "error LS-1100: no models are named\n  hint: name them\n"


def test_with_json_the_error_is_the_document(
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = errors.StaleVersion("somebody was faster", expected=1, actual=2)
    tell(Output(as_json=True), Failure.of(error))
    captured = capsys.readouterr()
    assert captured.err == ""
    assert json.loads(captured.out) == {"error": error.to_json()}


def test_an_unexpected_error_says_how_to_see_more(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tell(Output(), Failure.of(ZeroDivisionError("division by zero")))
    err = capsys.readouterr().err
    assert "error unexpected: ZeroDivisionError: division by zero" in err
    assert "--debug" in err
    assert "Traceback" not in err


def test_debug_shows_the_traceback_without_the_secret(
    capsys: pytest.CaptureFixture[str],
) -> None:
    try:
        raise RuntimeError("cannot open postgresql://ann:s3cret@db/shop as s3cret")
    except RuntimeError as error:
        tell(Output(debug=True), Failure.of(error), error=error, secrets={"s3cret"})
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "s3cret" not in err
    assert "***" in err


def test_secrets_in_the_detail_are_hidden_in_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = errors.EngineError("no", detail={"urls": ["x://a:s3cret@h"], "n": 1})
    tell(Output(as_json=True), Failure.of(error), secrets={"s3cret"})
    document = json.loads(capsys.readouterr().out)
    assert document["error"]["detail"] == {"urls": ["x://a:***@h"], "n": 1}


def test_escapes_in_a_message_do_not_reach_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tell(Output(), Failure.of(errors.DataError("bad \x1b[2J value")))
    assert "\x1b" not in capsys.readouterr().err


def test_where_stdout_takes_nothing_the_error_goes_to_stderr(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with open("/dev/full", "w", encoding="utf-8", buffering=1) as full:
        output = Output(as_json=True)
        output.stdout = full
        tell(output, Failure.of(errors.ConfigError("no models are named")))
        with contextlib.suppress(OSError):
            full.close()
    assert capsys.readouterr().err == "error LS-1100: no models are named\n"
