"""P11: no verb prints a password, whether it works or fails."""

import re
import socket
from collections.abc import Iterator

import pytest
from sqlalchemy import make_url
from tests.acceptance.shell import Shell

PASSWORD = "s3cr3t-W0rd%21"
DECODED = "s3cr3t-W0rd!"
VERBS = [
    ["db", "info"],
    ["db", "shell", "--builtin"],
    ["migrate", "current"],
    ["migrate", "history"],
    ["migrate", "check"],
    ["migrate", "upgrade"],
    ["migrate", "downgrade", "base", "--yes"],
    ["migrate", "stamp", "head", "--yes"],
    ["migrate", "revision", "-m", "x", "--autogenerate"],
    ["seed"],
    ["config", "show"],
    ["migrate", "nonsense"],
]
WAYS = ["DATABASE_URL", "LOCKSTEP_URL", "--url", "pyproject"]


@pytest.fixture
def dead_port() -> Iterator[int]:
    """Yield a port on which nothing listens, kept reserved meanwhile."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


def assert_no_secret(text: str) -> None:
    assert PASSWORD not in text
    assert DECODED not in text


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
@pytest.mark.parametrize("form", [[], ["--json"], ["--debug"]], ids=str)
def test_an_unreachable_server_shows_no_password(
    project: Shell, dead_port: int, words: list[str], form: list[str]
) -> None:
    if words[:2] == ["db", "shell"] and form == ["--json"]:
        pytest.skip("the shell prints no document")
    url = f"postgresql://ann:{PASSWORD}@127.0.0.1:{dead_port}/shop"
    shell = project.having(DATABASE_URL=url)
    done = shell(*words, *form, code=None, stdin="select 1;\n")
    assert_no_secret(done.both)
    quiet = words in (["config", "show"], ["migrate", "nonsense"])
    if not quiet:
        assert done.code == 3, done.both
        assert ("Traceback" in done.err) == (form == ["--debug"])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://ann:{PASSWORD}@127.0.0.1:PORT/shop",
        f"postgres://ann:{PASSWORD}@127.0.0.1:PORT/shop?sslmode=disable",
        f"postgresql://127.0.0.1:PORT/shop?user=ann&password={PASSWORD}",
        f"postgresql://ann:{PASSWORD}@127.0.0.1:notaport/shop",
        f"mysql://ann:{PASSWORD}@127.0.0.1/shop",
        f"postgresql://ann:{PASSWORD}@[broken/shop",
    ],
)
def test_however_the_url_is_given_and_broken(
    project: Shell, dead_port: int, way: str, url: str
) -> None:
    url = url.replace("PORT", str(dead_port))
    words = ["db", "info", "--debug"]
    shell = project
    if way == "--url":
        words += ["--url", url]
    elif way == "pyproject":
        path = project.folder / "pyproject.toml"
        named = f'[tool.lockstep]\nurl = "{url}"'
        path.write_text(path.read_text().replace("[tool.lockstep]", named))
    else:
        shell = project.having(**{way: url})
    done = shell(*words, code=None)
    assert done.code in (1, 2, 3)
    assert_no_secret(done.both)
    assert_no_secret(shell("config", "show", code=None).both)
    assert_no_secret(shell("config", "show", "--json", code=None).both)


@pytest.mark.engines("postgresql")
def test_a_working_server_shows_no_password(project_on: Shell, db_url: str) -> None:
    password = make_url(db_url).password
    project_on("migrate", "upgrade")
    for words in VERBS:
        done = project_on(*words, code=None, stdin="select 1;\n")
        if password:
            assert not re.search(rf"\b{re.escape(str(password))}\b", done.both)


def test_a_password_in_argv_is_warned_about(project: Shell, dead_port: int) -> None:
    url = f"postgresql://ann:{PASSWORD}@127.0.0.1:{dead_port}/shop"
    done = project("db", "info", "--url", url, code=3)
    assert "LOCKSTEP_URL" in done.err
    assert_no_secret(done.both)
