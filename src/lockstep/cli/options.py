"""How a verb is declared: its options, the shared ones, its JSON document.

Owns the options that every verb has (``--json``, ``--debug``, ``--url``, …), their
environment variables, and the typed form of rich-click's decorators. A verb declares
the keys of its JSON document here, and the reference page is generated from that.

Invariant: every verb that prints a result has ``--json`` with a declared document.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, cast

import click as plain_click
import rich_click

from lockstep.cli.run import Run

_STEPS_BACK = re.compile(r"-\d+")
_MARGINS = 7
"""Blanks before, between and behind a command and what it does."""

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
Needs = Literal["nothing", "project", "database"]

OWN_PANEL = "Options"
SHARED_PANEL = "Options of every verb"

# rich-click's signatures mention types that a strict checker cannot resolve; here the
# four decorators get the types that the verbs need.
_untyped = cast(Any, rich_click)


class _HelpText:
    """Writes the help text as paragraphs; rich-click would join them to one."""

    help: str | None

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        from rich.padding import Padding
        from rich.text import Text

        for paragraph in inspect.cleandoc(self.help or "").split("\n\n"):
            text = Text(" ".join(paragraph.split()))
            formatter.write(Padding(text, (0, 1, 1, 1)))


class LazyGroup(_HelpText, rich_click.RichGroup):
    """A group whose verbs are imported when they are used.

    Args:
        verbs: ``{name: "module:attribute"}``, in the order ``--help`` lists them.
    """

    def __init__(self, *args: Any, verbs: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._verbs = verbs

    def list_commands(self, ctx: plain_click.Context) -> list[str]:
        """Return the verbs' names in their own order, not the alphabet's."""
        return list(self._verbs)

    def get_command(
        self, ctx: plain_click.Context, cmd_name: str
    ) -> plain_click.Command | None:
        """Import and return one verb; None when there is none of this name."""
        place = self._verbs.get(cmd_name)
        if place is None:
            return None
        module, _, attribute = place.partition(":")
        return cast(plain_click.Command, getattr(import_module(module), attribute))

    def resolve_command(
        self, ctx: plain_click.Context, args: list[str]
    ) -> tuple[str | None, plain_click.Command | None, list[str]]:
        """Find the verb of the command line; a near miss is told the right name."""
        near = difflib.get_close_matches(args[0], self._verbs, n=1)
        if args[0] not in self._verbs and near:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)


class Verb(_HelpText, rich_click.RichCommand):
    """A verb, with what its reference page says beyond its options.

    Attributes:
        json_document: The keys of its ``--json`` document and what each one says.
        examples: ``{command line: what it does}``, shown below ``--help``.
    """

    json_document: Mapping[str, str]
    examples: Mapping[str, str]

    def parse_args(self, ctx: plain_click.Context, args: list[str]) -> list[str]:
        """Parse the line; a target of ``-1`` is one step back, and no option."""
        takes_target = any(parameter.name == "target" for parameter in self.params)
        steps = [word for word in args if _STEPS_BACK.fullmatch(word)]
        if takes_target and steps and "--" not in args:
            args = [word for word in args if word not in steps] + ["--", *steps]
        return super().parse_args(ctx, args)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples line by line; a paragraph would run them together.

        Where one is too long for the terminal beside what it does, that stands above
        it: a command broken into two cannot be copied.
        """
        from rich.padding import Padding
        from rich.table import Table
        from rich.text import Text

        widest = max(map(len, self.examples), default=0)
        widest += max(map(len, self.examples.values()), default=0)
        is_beside = widest + _MARGINS <= formatter.console.width
        grid = Table.grid(padding=(0, 3))
        for line, what in self.examples.items():
            command = Text(f"  {line}")
            if is_beside:
                grid.add_row(command, Text(what, style="dim"))
            else:
                grid.add_row(Text(f"  # {what}", style="dim"))
                grid.add_row(command)
        formatter.write(Padding("Examples", (0, 1), style="bold"))
        formatter.write(Padding(grid, (0, 1)))


def option(*names: str, **attributes: Any) -> Decorator:
    """Return the decorator that gives a verb one option."""
    return cast(Decorator, _untyped.option(*names, **attributes))


def argument(*names: str, **attributes: Any) -> Decorator:
    """Return the decorator that gives a verb one argument."""
    return cast(Decorator, _untyped.argument(*names, **attributes))


def group(name: str | None = None, **attributes: Any) -> Callable[..., Any]:
    """Return the decorator that makes a function a group of verbs."""
    return cast("Callable[..., Any]", _untyped.group(name, **attributes))


def command(
    name: str,
    *,
    document: Mapping[str, str] | None,
    examples: Mapping[str, str],
    needs: Needs = "database",
    yes: bool = False,
    **attributes: Any,
) -> Callable[[Callable[..., None]], Verb]:
    """Make a function a verb: shared options added, ``Run`` as first argument.

    Args:
        name: The verb.
        document: The keys of its ``--json`` document and what each one says; the
            reference page is made of them, and a test compares them with the output.
            None when the verb prints no result, and so has no ``--json``.
        examples: ``{command line: what it does}``, shown below ``--help``.
        needs: What it works on; decides between ``--project`` and ``--url``.
        yes: Whether it destroys something and so wants ``--yes``.
        attributes: Anything else the command class takes.
    """

    def decorate(function: Callable[..., None]) -> Verb:
        @functools.wraps(function)
        def call(**values: Any) -> None:
            run = plain_click.get_current_context().find_object(Run)
            assert run is not None, "the root command puts a Run into the context"
            shared = {name: values.pop(name, None) for name in ("url", "project")}
            run.choose(
                as_json=values.pop("json", False),
                debug=values.pop("debug"),
                yes=values.pop("yes", False),
                **shared,
            )
            # What the user's own modules print is no result of the verb.
            with contextlib.redirect_stdout(sys.stderr):
                function(run, **values)

        declared: Callable[..., Any] = call
        for shared_option in _shared_options(
            needs, as_json=document is not None, yes=yes
        ):
            declared = shared_option(declared)
        panels = [
            rich_click.RichOptionPanel(title) for title in (OWN_PANEL, SHARED_PANEL)
        ]
        made = cast(
            Verb,
            _untyped.command(name, cls=Verb, panels=panels, **attributes)(declared),
        )
        made.json_document = document or {}
        made.examples = examples
        return made

    return decorate


def _shared_options(needs: Needs, *, as_json: bool, yes: bool) -> list[Decorator]:
    """Return the shared options' decorators, the last one of ``--help`` first."""

    def shared(*names: str, **attributes: Any) -> Decorator:
        return option(*names, panel=SHARED_PANEL, **attributes)

    debug = shared(
        "--debug",
        is_flag=True,
        envvar="LOCKSTEP_DEBUG",
        help="Show the traceback of an error.",
    )
    json = shared(
        "--json",
        is_flag=True,
        envvar="LOCKSTEP_JSON",
        help="Print one JSON document on stdout, errors too.",
    )
    project = shared(
        "--project",
        type=plain_click.Path(path_type=Path, exists=True, file_okay=False),
        metavar="DIR",
        envvar="LOCKSTEP_PROJECT",
        help="Folder of the project, if you are not in it.",
    )
    address = shared(
        "--url",
        metavar="URL",
        allow_from_autoenv=False,
        help="Database to use, before LOCKSTEP_URL, DATABASE_URL and pyproject.toml. "
        "Everybody on this machine can read a password written here.",
    )
    confirm = shared(
        "--yes",
        is_flag=True,
        envvar="LOCKSTEP_YES",
        help="Do it; without --yes a destructive plan is only shown.",
    )
    chosen = [debug]
    if needs != "nothing":
        chosen.append(project)
    if needs == "database":
        chosen.append(address)
    if as_json:
        chosen.append(json)
    if yes:
        chosen.append(confirm)
    return chosen
