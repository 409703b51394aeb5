"""The root of the command: which nouns there are, and the boundary for errors.

Owns the list of verbs (loaded when used), the context every verb runs in, and the one
place where an exception becomes an exit code.

    argv → Root.main → make_context → verb → floors below
                └── every exception ends here: failures.tell + exit code

Invariant: ``lockstep`` never ends with a traceback unless ``--debug`` asked for one.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

import rich_click as click
from click.exceptions import (
    Abort,
    ClickException,
    Exit,
    NoArgsIsHelpError,
    NoSuchOption,
    UsageError,
)

from lockstep.cli import failures
from lockstep.cli.failures import Failure
from lockstep.cli.options import LazyGroup, group, option
from lockstep.cli.output import prepare_streams
from lockstep.cli.run import Run
from lockstep.errors import LockstepError
from lockstep.version import __version__

CONTEXT_SETTINGS: dict[str, Any] = {
    "auto_envvar_prefix": "LOCKSTEP",
    "help_option_names": ["-h", "--help"],
    "max_content_width": 100,
    # Square brackets in a help text, as in [tool.lockstep], are no markup.
    "rich_help_config": {"text_markup": "ansi"},
}


UNWIND_MAX_S = 10.0
"""A connection that is asked to cancel is waited for half as long."""


class Root(LazyGroup):
    """The whole command; calling it runs it and ends the process."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Run the command line ``args`` and exit with its code."""
        arguments = list(sys.argv[1:] if args is None else args)
        name = prog_name or "lockstep"
        prepare_streams()
        self._main_shell_completion(extra, name, complete_var)
        run = Run.for_arguments(arguments)
        with _termination_unwinds(run):
            code = self._run(run, name, arguments)
        _let_go_of_stdout()
        sys.exit(code)

    def _run(self, run: Run, name: str, arguments: list[str]) -> int:
        try:
            with self.make_context(name, arguments, obj=run) as context:
                self.invoke(context)
            sys.stdout.flush()
        except Exit as exit_:
            return exit_.exit_code
        except failures.Finished as finished:
            return finished.exit_code
        except BrokenPipeError:
            return failures.EXIT_BROKEN_PIPE
        except (KeyboardInterrupt, Abort, EOFError) as interrupt:
            return _tell_interrupt(run, interrupt)
        except ClickException as error:
            return _tell_usage(run, error)
        except Exception as error:
            return _tell_error(run, error)
        return failures.EXIT_OK


def _tell_error(run: Run, error: Exception) -> int:
    known = _classified(error)
    _tell(run, Failure.of(known), error)
    if isinstance(known, LockstepError):
        return failures.exit_code_of(known)
    return failures.EXIT_FAILED


def _classified(error: Exception) -> Exception:
    """Return a driver's error as one of ours; any other one as it is."""
    # Without the engine no driver was loaded either, so none can have failed.
    if isinstance(error, LockstepError) or "lockstep.engine" not in sys.modules:
        return error
    from lockstep.engine import classify

    return classify(error) or error


def _tell_usage(run: Run, error: ClickException) -> int:
    if isinstance(error, NoArgsIsHelpError):
        click.echo(error.message, err=True)
        return failures.EXIT_USAGE
    path = "lockstep"
    if isinstance(error, UsageError) and error.ctx is not None:
        path = error.ctx.command_path
    hint = f"{path} --help shows what there is"
    if isinstance(error, NoSuchOption):
        hint += "; a file whose name begins with a dash is ./-name"
    _tell(run, Failure("usage", "UsageError", error.format_message(), hint))
    return failures.EXIT_USAGE


def _tell_interrupt(run: Run, interrupt: BaseException) -> int:
    terminated = isinstance(interrupt, failures.Terminated)
    word = "terminated" if terminated else "interrupted"
    message = f"{word}; {run.kept()}"
    failure = Failure("interrupted", "Interrupted", message, retryable=True)
    _tell(run, failure, interrupt)
    return failures.EXIT_TERMINATED if terminated else failures.EXIT_INTERRUPTED


def _tell(run: Run, failure: Failure, error: BaseException | None = None) -> None:
    failures.tell(run.output, failure, error=error, secrets=run.secrets())


def _let_go_of_stdout() -> None:
    """Give up what stdout holds and cannot write: no reader, or a full disk.

    Python would complain about it once more while it shuts down.
    """
    try:
        sys.stdout.flush()
    except OSError:
        with open(os.devnull, "w", encoding="utf-8") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())


@contextmanager
def _termination_unwinds(run: Run) -> Generator[None]:
    """Let SIGTERM and SIGHUP unwind like Ctrl-C, so that nothing stays half done.

    Unwinding waits for threads and servers. Where one does not answer any more, a
    verb that may be killed at any instant ends all the same.
    """
    has_unwound = threading.Event()

    def unwind(number: int, frame: FrameType | None) -> None:
        # Once is enough: a second signal must not interrupt the cleaning up.
        for other in chosen:
            if other != signal.SIGINT:
                signal.signal(other, signal.SIG_IGN)
        is_interrupt = number == signal.SIGINT
        interrupt = KeyboardInterrupt() if is_interrupt else failures.Terminated(number)
        if run.may_be_killed:
            waiting = (run, interrupt, has_unwound)
            threading.Thread(target=_end_anyway, args=waiting, daemon=True).start()
        raise interrupt

    # A signal that the parent ignores (nohup) stays ignored.
    chosen = {
        number: before
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
        if (before := signal.getsignal(number))
        in (signal.SIG_DFL, signal.default_int_handler)
    }
    try:
        for number in chosen:
            signal.signal(number, unwind)
    except ValueError:  # not the main thread: the embedding program owns its signals
        chosen = {}
    try:
        yield
    finally:
        has_unwound.set()
        for number, before in chosen.items():
            signal.signal(number, before)


def _end_anyway(
    run: Run, interrupt: BaseException, has_unwound: threading.Event
) -> None:
    if not has_unwound.wait(UNWIND_MAX_S):
        os._exit(_tell_interrupt(run, interrupt))


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"lockstep {__version__}")
        ctx.exit()


@group(
    cls=Root,
    verbs={
        "init": "lockstep.cli.init:init",
        "db": "lockstep.cli.db:db",
        "migrate": "lockstep.cli.migrate:migrate",
        "seed": "lockstep.cli.seed:seed",
        "inspect": "lockstep.cli.inspect:inspect",
        "move": "lockstep.cli.move:move",
        "verify": "lockstep.cli.verify:verify",
        "bench": "lockstep.cli.bench:bench",
        "config": "lockstep.cli.config:config",
    },
    context_settings=CONTEXT_SETTINGS,
    epilog="Start here:  lockstep init demo",
)
@option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    allow_from_autoenv=False,
    help="Print the version and exit.",
)
def main() -> None:
    """One schema, kept in lockstep: SQLite, PostgreSQL and offline copies.

    Works from any folder of a project; the settings come from LOCKSTEP_… variables,
    DATABASE_URL and [tool.lockstep] in pyproject.toml. `lockstep config show` tells
    which value came from where.
    """
