"""P11: no verb prints a password, whether it works or fails."""

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


@pytest.mark.parametrize(
    ("words", "form"),
    [
        # --debug prints the error's block and the whole traceback.
        *((words, ["--debug"]) for words in VERBS),
        *(
            (words, form)
            for words in (VERBS[0], VERBS[-3])
            for form in ([], ["--json"])
        ),
    ],
    ids=" ".join,
)
def test_an_unreachable_server_shows_no_password(
    project: Shell, dead_port: int, words: list[str], form: list[str]
) -> None:
    url = f"postgresql://ann:{PASSWORD}@127.0.0.1:{dead_port}/shop"
    shell = project.having(DATABASE_URL=url)
    done = shell(*words, *form, code=None, stdin="select 1;\n")
    assert_no_secret(done.both)
    quiet = words in (["config", "show"], ["migrate", "nonsense"])
    if not quiet:
        assert done.code == 3, done.both
        assert ("Traceback" in done.err) == (form == ["--debug"])


URL = f"postgresql://ann:{PASSWORD}@127.0.0.1:PORT/shop"
AS_PARAMETER = f"postgresql://127.0.0.1:PORT/shop?user=ann&password={PASSWORD}"
BROKEN = [
    f"postgres://ann:{PASSWORD}@127.0.0.1:PORT/shop?sslmode=nonsense",
    f"postgresql://ann:{PASSWORD}@127.0.0.1:notaport/shop",
    f"postgresql://ann:{PASSWORD}@[broken/shop",
    f"mysql://ann:{PASSWORD}@127.0.0.1/shop",
]


@pytest.mark.parametrize(
    ("way", "url"),
    [
        *((way, url) for way in WAYS for url in (URL, AS_PARAMETER)),
        *(("DATABASE_URL", url) for url in BROKEN),
    ],
)
def test_however_the_url_is_given_and_broken(
    project: Shell, dead_port: int, way: str, url: str
) -> None:
    url = url.replace("PORT", str(dead_port))
    shell, words = project, []
    if way == "--url":
        words = ["--url", url]
    elif way == "pyproject":
        path = project.folder / "pyproject.toml"
        named = f'[tool.lockstep]\nurl = "{url}"'
        path.write_text(path.read_text().replace("[tool.lockstep]", named))
    else:
        shell = project.having(**{way: url})
    done = shell("db", "info", "--debug", *words, code=None)
    assert done.code in (1, 2, 3)
    assert_no_secret(done.both)
    assert_no_secret(shell("config", "show", "--json", *words, code=None).both)


@pytest.mark.engines("postgresql")
def test_a_working_server_shows_no_password(project: Shell, db_url: str) -> None:
    """The embedded server trusts its socket, so any password works there."""
    url = make_url(db_url)
    if not url.password:
        url = url.set(password=DECODED)
    password = str(url.password)
    shell = project.having(DATABASE_URL=url.render_as_string(hide_password=False))
    shell("migrate", "upgrade")
    for words in VERBS:
        done = shell(*words, code=None, stdin="select 1;\n")
        assert password not in done.both
        assert done.code != 3


def test_a_password_in_argv_is_warned_about(project: Shell, dead_port: int) -> None:
    url = f"postgresql://ann:{PASSWORD}@127.0.0.1:{dead_port}/shop"
    done = project("db", "info", "--url", url, code=3)
    assert "LOCKSTEP_URL" in done.err
    assert_no_secret(done.both)
