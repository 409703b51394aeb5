"""One run of the command: its settings, database and models.

Owns what every verb gets as its first argument. The settings are read, the models
imported and the database opened when a verb first asks. It knows no verb.

Invariants: a verb that destroys something does nothing without ``--yes`` but show its
plan; an interrupted verb says truthfully what was kept.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lockstep.cli.failures import EXIT_FAILED, Finished, secrets_of
from lockstep.cli.output import Output, Page
from lockstep.errors import ConfigError
from lockstep.redaction import redact

if TYPE_CHECKING:
    from sqlalchemy import MetaData

    from lockstep.config import Settings
    from lockstep.engine import Database
    from lockstep.migrations import Migrations

NOTHING_CHANGED = "nothing was changed"

_FALSE_WORDS = frozenset({"", "0", "false", "f", "no", "n", "off"})


def is_on(variable: str) -> bool:
    """Return whether the environment variable ``variable`` says yes."""
    return os.environ.get(variable, "").strip().lower() not in _FALSE_WORDS


class Run:
    """What a verb knows and may ask for.

    Attributes:
        output: Where results and progress go.
        yes: Whether a destructive verb may act.
        may_be_killed: Whether the verb loses nothing by a kill at any instant, so
            that an interrupt need not wait for whoever does not answer.
    """

    def __init__(self, *, as_json: bool = False, debug: bool = False) -> None:
        self.output = Output(as_json=as_json, debug=debug)
        self.yes = False
        self.may_be_killed = False
        self._url: str | None = None
        self._more_urls: list[str] = []
        self._start: Path | None = None
        self._settings: Settings | None = None
        self._kept: Callable[[], str] = lambda: NOTHING_CHANGED

    @classmethod
    def for_arguments(cls, arguments: Sequence[str]) -> Run:
        """Return the run for a command line that is not parsed yet.

        A usage error must already be told in the form that was asked for, so the two
        flags that decide it are looked up before the parser runs.
        """
        before_rest = arguments[: _index_of("--", arguments)]
        return cls(
            as_json="--json" in before_rest or is_on("LOCKSTEP_JSON"),
            debug="--debug" in before_rest or is_on("LOCKSTEP_DEBUG"),
        )

    def choose(
        self,
        *,
        url: str | None = None,
        project: Path | None = None,
        as_json: bool = False,
        debug: bool = False,
        yes: bool = False,
    ) -> None:
        """Take the shared options as the parser read them."""
        self.output.as_json = as_json
        self.output.debug = debug
        self.yes = yes
        self._url = url
        self._start = project
        if url is not None:
            if not url.strip():
                raise ConfigError(
                    "--url is empty",
                    hint="leave it out to use the project's database; if it comes from "
                    "a variable of your shell, that one is not set",
                )
            self._warn_of_password("--url", url)

    def aim(self, option: str, url: str) -> None:
        """Use the database of ``url``, which ``option`` names, not the project's."""
        self.note_url(option, url)
        self._url, self._settings = url, None

    def note_url(self, option: str, url: str) -> None:
        """Remember a URL that ``option`` names, so that its password is not shown."""
        self._more_urls.append(url)
        self._warn_of_password(option, url)

    def _warn_of_password(self, option: str, url: str) -> None:
        if redact(url) != url:
            self.output.warning(
                f"the password in {option} can be read by every user of this machine; "
                "set LOCKSTEP_URL instead"
            )

    @property
    def settings(self) -> Settings:
        """The project's settings.

        Raises:
            ConfigError: A setting is wrong or contradicts another one.
        """
        if self._settings is None:
            from lockstep.config import load_settings

            # None means "not given" to load_settings.
            self._settings = load_settings(
                start=self._start or _working_directory(), url=self._url
            )
        return self._settings

    @contextmanager
    def database(self) -> Generator[Database]:
        """Yield the project's database; its connections are closed at the end."""
        from lockstep.engine import Database

        with Database(settings=self.settings) as database:
            yield database

    def metadata(self) -> MetaData:
        """Import the project's models and return their metadata.

        Raises:
            ConfigError: No models are named, or their module cannot be imported.
        """
        from lockstep.cli.project import load_metadata

        return load_metadata(self.settings)

    @contextmanager
    def migrations(self, *, models: bool = True) -> Generator[Migrations]:
        """Yield the project's history, bound to its database.

        Args:
            models: Whether the verb looks at the models; one that does not also works
                while they are broken.
        """
        from lockstep.migrations import Migrations

        metadata = self.metadata() if models else None
        directory = self.settings.root / self.settings.migrations
        with self.database() as database:
            yield Migrations(database, metadata=metadata, directory=directory)

    def keeps(self, statement: str | Callable[[], str]) -> None:
        """Say what an interrupt from here on leaves behind."""
        self._kept = statement if callable(statement) else lambda: statement

    def kept(self) -> str:
        """Return what an interrupted run leaves behind."""
        return self._kept()

    def require_yes(
        self, plan: Mapping[str, Any], show: Callable[[Page], None], *, why: str
    ) -> None:
        """Show the plan of something destructive; go on only with ``--yes``.

        Raises:
            Finished: ``--yes`` is absent; the plan was the result, exit code 1.
        """
        if self.yes:
            return
        self.output.result({"applied": False, "plan": dict(plan)}, show)
        self.output.warning(f"{why}; nothing was done. Repeat with --yes to do it.")
        raise Finished(EXIT_FAILED)

    def secrets(self) -> set[str]:
        """Return every password this run may know of, so that none gets printed."""
        urls = [value for value in os.environ.values() if "://" in value]
        # An option and its value may be one word: --url=postgresql://…
        urls += [re.sub(r"^--\w+=", "", word) for word in sys.argv if "://" in word]
        urls += self._more_urls
        if self._url is not None:
            urls.append(self._url)
        if self._settings is not None:
            settings = self._settings
            urls += [u for u in (settings.url, settings.scratch_postgresql_url) if u]
        found = secrets_of(urls)
        password = os.environ.get("PGPASSWORD", "")
        return found | ({password} if password else set())


def is_there(database: Database) -> bool:
    """Return whether a verb that only reads may open the database.

    Opening a SQLite file that does not exist would make it.
    """
    path = database.url.path
    return path is None or path.exists()


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise ConfigError(
            "the folder you are in does not exist any more",
            hint="cd into a folder that exists, or name one with --project",
        ) from error


def _index_of(word: str, words: Sequence[str]) -> int:
    return words.index(word) if word in words else len(words)
