"""Write docs/reference/cli.md from the command itself.

    python -m lockstep.cli.reference > docs/reference/cli.md

Owns the page's form. Every name, option, variable, JSON key and example on it comes
from the verbs' own declarations, and a test compares the page with this output, so the
page cannot say something else than ``--help`` does.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from typing import cast

import click

from lockstep.cli.failures import EXIT_CODES, Failure
from lockstep.cli.options import SHARED_PANEL, Verb
from lockstep.cli.root import main

INTRODUCTION = """\
# The `lockstep` command

<!-- Written by `python -m lockstep.cli.reference`; a test compares. -->

`lockstep` works from any folder of a project: the nearest `pyproject.toml` with a
`[tool.lockstep]` table, upwards, decides. The project's folder is put on Python's path
to import its models.

**stdout is the result, stderr is progress.** With `--json` stdout carries exactly one
JSON document. Keys are only ever added, never renamed or removed; a reader ignores the
keys it does not know. Progress stays on stderr.

**Every option has a variable**, shown beside it; an option goes before its variable.
A variable is on unless it is empty, `0`, `false`, `no` or `off`.

**Secrets** belong in variables. `--url` accepts a password and warns, because every
user of the machine can read another's command line. No verb prints a password, whether
it succeeds or fails, with `--debug` or without.

**Colours** appear only on a terminal, and not when `NO_COLOR` is set.

**What destroys is shown first.** `migrate downgrade`, `migrate stamp`, and an upgrade
that would drop rows, print their plan and do nothing until `--yes` is given.
"""

ERRORS = """\
## Errors

An error is one block on stderr: a code, what happened, and a hint.

```text
error LS-1100: no models are named for the project in /home/ann/shop
  hint: add models = "app.models:Base" to [tool.lockstep] in pyproject.toml
```

With `--json` it is the document on stdout, and stderr has no error block:

```text
{"error": {KEYS}}
```

`code` is one of the codes in the list of errors (`LS-…`), or `usage`, `interrupted`,
`system` (a file, a disk), `unexpected`. `retryable` says whether the same command may
succeed later. `--debug` adds the traceback on stderr.
"""


def page() -> str:
    """Return the whole page as Markdown."""
    keys = ", ".join(f'"{name}"' for name in Failure.__dataclass_fields__)
    parts = [
        INTRODUCTION,
        _exit_codes(),
        ERRORS.replace("KEYS", keys),
        _shared_options(),
    ]
    parts += [_section(path, verb) for path, verb in verbs()]
    return "\n".join(parts)


def verbs() -> Generator[tuple[str, Verb]]:
    """Yield ``(path, verb)`` for every verb, such as ``lockstep db info``, in order."""
    root = cast(click.Group, main)

    def below(path: str, group: click.Group) -> Generator[tuple[str, Verb]]:
        context = click.Context(group, info_name=path)
        for name in group.list_commands(context):
            found = group.get_command(context, name)
            if isinstance(found, click.Group):
                yield from below(f"{path} {name}", found)
            else:
                assert isinstance(found, Verb), "a listed verb exists"
                yield f"{path} {name}", found

    yield from below("lockstep", root)


def _exit_codes() -> str:
    rows = [f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()]
    return "\n".join(
        ["## Exit codes", "", "| code | meaning |", "|---|---|", *rows, ""]
    )


def _shared_options() -> str:
    seen: dict[str, click.Option] = {}
    for _, verb in verbs():
        for parameter in verb.params:
            if isinstance(parameter, click.Option) and _is_shared(parameter):
                assert parameter.name is not None, "an option has a name"
                seen.setdefault(parameter.name, parameter)
    lines = [
        "## Options of every verb",
        "",
        "`--url` and `--project` exist where a verb uses them, `--yes` where something "
        "can be destroyed.",
        "",
        *_option_table(list(seen.values()), "LOCKSTEP"),
        "",
    ]
    return "\n".join(lines)


def _section(path: str, verb: Verb) -> str:
    prefix = path.upper().replace(" ", "_").replace("-", "_")
    arguments = [p for p in verb.params if isinstance(p, click.Argument)]
    own = [p for p in verb.params if isinstance(p, click.Option) and not _is_shared(p)]
    context = click.Context(verb, info_name=path)
    words = [argument.make_metavar(context) for argument in arguments]
    usage = " ".join([path, "[OPTIONS]", *words])
    lines = [f"## `{path}`", "", "```text", usage, "```", "", _help_text(verb), ""]
    if own:
        lines += [*_option_table(own, prefix), ""]
    shared = [f"`{p.opts[0]}`" for p in verb.params if _is_shared(p)]
    lines += [f"Shared options: {', '.join(shared)}.", ""]
    if verb.json_document:
        lines += ["JSON document:", "", "| key | meaning |", "|---|---|"]
        lines += [
            f"| `{key}` | {meaning} |" for key, meaning in verb.json_document.items()
        ]
        lines.append("")
    if verb.examples:
        width = max(map(len, verb.examples))
        shown = [
            f"{line:<{width}}   # {what}" if what else line
            for line, what in verb.examples.items()
        ]
        lines += ["```text", *shown, "```", ""]
    return "\n".join(lines)


def _is_shared(parameter: click.Parameter) -> bool:
    return getattr(parameter, "panel", None) == SHARED_PANEL


def _help_text(verb: Verb) -> str:
    paragraphs = (verb.help or "").replace("\b\n", "").split("\n\n")
    return "\n\n".join(" ".join(text.split()) for text in paragraphs)


def _option_table(options: list[click.Option], prefix: str) -> list[str]:
    lines = ["| option | variable | meaning |", "|---|---|---|"]
    for option in options:
        names = ", ".join(f"`{name}`" for name in option.opts + option.secondary_opts)
        if option.metavar:
            names += f" {option.metavar}"
        meaning = " ".join((option.help or "").split())
        lines.append(f"| {names} | {_variable(option, prefix)} | {meaning} |")
    return lines


def _variable(option: click.Option, prefix: str) -> str:
    if option.name == "url":
        return "`LOCKSTEP_URL`, `DATABASE_URL`"
    if option.envvar is not None:
        return f"`{option.envvar}`"
    if not option.allow_from_autoenv:
        return "–"
    assert option.name is not None, "an option has a name"
    return f"`{prefix}_{option.name.upper()}`"


if __name__ == "__main__":
    sys.stdout.write(page())
