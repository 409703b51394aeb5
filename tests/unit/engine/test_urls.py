"""URLs as people have them, understood or refused."""

from __future__ import annotations

import json
import pickle
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from lockstep.engine import DatabaseUrl
from lockstep.errors import ConfigError, LockstepError

BASE = Path("/data/app")


def parse(text: str) -> DatabaseUrl:
    return DatabaseUrl.parse(text, base=BASE)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("sqlite:///local.db", "/data/app/local.db"),
        ("sqlite:///./sub/../local.db", "/data/app/local.db"),
        ("sqlite:////var/lib/local.db", "/var/lib/local.db"),
        ("sqlite+pysqlite:///local.db", "/data/app/local.db"),
        ("sqlite+aiosqlite:///local.db", "/data/app/local.db"),
        ("SQLite:///local.db", "/data/app/local.db"),
        ("  sqlite:///local.db\n", "/data/app/local.db"),
        ("file:local.db", "/data/app/local.db"),
        ("file:/var/lib/local.db", "/var/lib/local.db"),
        ("file:///var/lib/local.db", "/var/lib/local.db"),
        ("file://localhost/var/lib/local.db", "/var/lib/local.db"),
        ("file:my%20file.db", "/data/app/my file.db"),
        ("sqlite:///file:local.db?mode=rw&uri=true", "/data/app/local.db"),
        ("local.db", "/data/app/local.db"),
        ("./local", "/data/app/local"),
        ("data.v2.sqlite3", "/data/app/data.v2.sqlite3"),
        ("/var/lib/local", "/var/lib/local"),
        ("sqlite:///naïve café.db", "/data/app/naïve café.db"),
        ("sqlite:///100%.db", "/data/app/100%.db"),
    ],
)
def test_sqlite_files(text: str, path: str) -> None:
    url = parse(text)
    assert url.dialect_name == "sqlite"
    assert url.path == Path(path)
    assert not url.in_memory
    assert DatabaseUrl.parse(str(url)).path == url.path


@pytest.mark.parametrize(
    "text",
    [
        *("sqlite://", "sqlite:///", "sqlite:///:memory:", ":memory:"),
        *("sqlite+aiosqlite://", "file::memory:", "file:x?mode=memory"),
        *("file:x?mode=memory&cache=shared", "sqlite:///file:x?mode=memory&uri=true"),
    ],
)
def test_sqlite_in_memory(text: str) -> None:
    url = parse(text)
    assert url.in_memory
    assert url.path is None
    assert str(url) == "sqlite://"
    assert parse(text).sqlite_uri != url.sqlite_uri, "each has a memory of its own"


def test_a_read_only_file() -> None:
    for text in ("file:a.db?mode=ro", "file:a.db?immutable=1"):
        assert parse(text).read_only
    assert not parse("file:a.db?immutable=0").read_only
    assert str(parse("file:a.db?mode=ro")) == "sqlite:////data/app/a.db?mode=ro"


def test_a_path_object_is_a_file() -> None:
    assert DatabaseUrl.parse(Path("/x/y")).path == Path("/x/y")


@pytest.mark.parametrize("name", ["a?b.db", "a#b.db", "a%20b.db", "a&b=c.db"])
def test_the_uri_that_sqlite_opens_names_the_same_file(name: str) -> None:
    url = DatabaseUrl.parse(BASE / name)
    encoded = url.sqlite_uri.removeprefix("file:").partition("?")[0]
    assert not set("?#&") & set(encoded)
    assert DatabaseUrl.parse(url.sqlite_uri).path == BASE / name


@pytest.mark.parametrize(
    "text",
    [
        *("", "   ", "sqlite:local.db", "sqlite://local.db", "sqlite://host/x.db"),
        *("mysql://h/db", "ftp://h", "localhost/db", "postgres", "data/"),
        *("sqlite:///a.db?unknown=1", "file:a.db?mode=rx", "file://host/a.db"),
        *("file:a.db?cache=shared", "a\0.db", "postgresql://u:p@ss@h/db"),
        *("postgresql://h:port/db", "postgresql://h/db?schema=other", "jdbc:x"),
        *("~no-such-user/a.db", "sqlite:///~no-such-user/a.db"),
    ],
)
def test_what_names_no_database_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("libsql://x.turso.io?authToken=hush", "https://x.turso.io"),
        ("libsql://x.turso.io:8443/a/b?authToken=hush", "https://x.turso.io:8443/a/b"),
        ("sqlite+libsql://x?authToken=hush&secure=true", "https://x"),
        ("libsql://127.0.0.1:8080?tls=0&auth_token=hush", "http://127.0.0.1:8080"),
        ("http://localhost:8080?authToken=hush", "http://localhost:8080"),
        ("https://x.turso.io/?authToken=hush", "https://x.turso.io"),
        ("libsql+http://h:1?authToken=hush", "http://h:1"),
        ("wss://h?authToken=hush", "https://h"),
        ("ws://h:2?authToken=hush", "http://h:2"),
        ("turso://x?authToken=hush", "https://x"),
    ],
)
def test_a_libsql_server_is_reached_by_http(text: str, address: str) -> None:
    url = parse(text)
    assert (url.engine_name, url.dialect_name) == ("libsql", "sqlite")
    assert url.http_url == address
    assert url.auth_token == "hush"
    assert "hush" not in f"{url} {url!r} {url.http_url} {url.sqlalchemy_url()!r}"
    assert "hush" not in url.sqlalchemy_url().render_as_string(hide_password=False)
    assert url.secrets == {"hush"}
    again = parse(url.unmasked())
    assert (again.http_url, again.auth_token) == (address, "hush")


def test_a_libsql_file_is_a_sqlite_file(tmp_path: Path) -> None:
    for text in ("libsql:///a.db", "sqlite+libsql:///a.db"):
        url = DatabaseUrl.parse(text, base=tmp_path)
        assert (url.engine_name, url.path) == ("sqlite", tmp_path / "a.db")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("libsql://x?syncUrl=file:a.db", "embedded replica"),
        ("libsql://anna:hush@x", "token"),
        ("libsql://x?tls=maybe", "tls"),
        ("libsql://x?colour=red", "colour"),
        ("libsql://x:hush:port", "cannot be read"),
    ],
)
def test_what_a_libsql_server_cannot_do_is_refused(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        parse(text)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "scheme",
    [
        *("postgres", "postgresql", "postgresql+psycopg", "postgresql+asyncpg"),
        *("postgresql+psycopg2", "postgres+psycopg", "POSTGRESQL"),
    ],
)
def test_every_spelling_of_postgresql_is_psycopg(scheme: str) -> None:
    url = parse(f"{scheme}://anna:hush@db.example:5433/fixit?sslmode=require")
    made = url.sqlalchemy_url()
    assert url.dialect_name == "postgresql"
    assert made.drivername == "postgresql+psycopg"
    assert (made.username, made.password) == ("anna", "hush")
    assert (made.host, made.port, made.database) == ("db.example", 5433, "fixit")
    assert made.query == {"sslmode": "require"}
    assert url.path is None


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("h/d?sslmode=require&channel_binding=require", None),  # Neon
        ("h/d?options=endpoint%3Dep-x", {"options": "endpoint=ep-x"}),
        ("h/d?ssl=true", {"sslmode": "require"}),
        ("h/d?ssl=verify-full", {"sslmode": "verify-full"}),
        ("h/d?sslmode=no-verify", {"sslmode": "require"}),
        ("h/d?sslaccept=strict", {"sslmode": "verify-full"}),
        ("h/d?schema=public&connection_limit=5", {}),  # Prisma
        ("h:6543/d?pgbouncer=true", {}),
    ],
)
def test_parameters_of_hosts_and_tools(text: str, query: dict[str, str] | None) -> None:
    found = dict(parse(f"postgres://u:p@{text}").sqlalchemy_url().query)
    if query is None:
        query = {"sslmode": "require", "channel_binding": "require"}
    assert found == query


def test_parameters_that_name_a_part_of_the_url_become_it() -> None:
    url = parse(
        "postgresql:///?dbname=d&user=anna&password=hush&host=h"
    ).sqlalchemy_url()
    assert (url.database, url.username, url.password) == ("d", "anna", "hush")


def test_unix_sockets() -> None:
    for text in (
        "postgresql:///d?host=/var/run/postgresql",
        "postgresql://%2Fvar%2Frun%2Fpostgresql/d",
        "postgresql://u@/d?host=%2Fvar%2Frun%2Fpostgresql",
    ):
        url = parse(text).sqlalchemy_url()
        assert url.query["host"] == "/var/run/postgresql"
        assert not url.host


def test_several_hosts() -> None:
    url = parse("postgresql://u:p@a:5432,b:5433/d?target_session_attrs=any")
    made = url.sqlalchemy_url()
    assert made.query["host"] == ("a:5432", "b:5433")
    assert made.database == "d"
    assert made.query["target_session_attrs"] == "any"


@pytest.mark.parametrize(
    ("text", "likely"),
    [
        ("postgres://u:p@ep-x-pooler.eu.aws.neon.tech/d", True),
        ("postgres://u:p@aws-0-eu.pooler.supabase.com:5432/postgres", True),
        ("postgres://u:p@db.x.supabase.co:6543/postgres", True),
        ("postgres://u:p@h/d?pgbouncer=true", True),
        ("postgres://u:p@h/d?pgbouncer=false", False),
        ("postgres://u:p@h:5432/d", False),
        ("sqlite:///pooler.db", False),
    ],
)
def test_a_pooler_is_recognised(text: str, likely: bool) -> None:
    assert parse(text).pooler_likely is likely


@given(st.text(min_size=1).filter(lambda p: "\0" not in p))
def test_a_percent_encoded_password_arrives_as_it_was(password: str) -> None:
    made = sa.URL.create("postgresql", "anna", password, "db.example", database="d")
    try:
        text = made.render_as_string(hide_password=False)
    except UnicodeEncodeError:
        return  # a lone surrogate has no URL
    assert parse(text).sqlalchemy_url().password == password
    assert DatabaseUrl.parse(made).sqlalchemy_url().password == password
    assert parse(parse(text).unmasked()).sqlalchemy_url().password == password


@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=6))
def test_no_text_shows_the_password(password: str) -> None:
    url = parse(f"postgresql://u:{password}@h/d?sslpassword={password}")
    shown = [str(url), repr(url), json.dumps(str(url)), f"{[url]}"]
    if password not in "postgresql://u:***@h/d?sslpassword=***DatabaseUrl":
        assert not [text for text in shown if password in text]
    assert password in url.unmasked()
    assert url.secrets == {password}


@given(st.text())
def test_any_text_is_understood_or_refused_in_our_words(text: str) -> None:
    with suppress(LockstepError):
        DatabaseUrl.parse(text, base=BASE)


@given(
    st.text(min_size=1), st.sampled_from(["postgresql", "postgres", "sqlite", "file"])
)
def test_any_rest_of_a_url_is_understood_or_refused(rest: str, scheme: str) -> None:
    with suppress(LockstepError):
        url = DatabaseUrl.parse(f"{scheme}://{rest}", base=BASE)
        assert str(url)
        assert url.sqlalchemy_url(True)


def test_a_url_is_a_value() -> None:
    one, other = parse("sqlite:///a.db"), parse("file:a.db")
    assert one == other
    assert hash(one) == hash(other)
    assert pickle.loads(pickle.dumps(one)) == one


def test_a_relative_file_does_not_move_with_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url = DatabaseUrl.parse("sqlite:///a.db")
    monkeypatch.chdir("/")
    assert url.path == tmp_path / "a.db"


def test_a_file_that_is_there_may_be_called_anything(tmp_path: Path) -> None:
    for name in ("book.gnucash", "noending", "dir"):
        with pytest.raises(ConfigError, match="neither a URL") as caught:
            DatabaseUrl.parse(name, base=tmp_path)
        assert "./NAME" in caught.value.hint
    (tmp_path / "book.gnucash").touch()
    (tmp_path / "noending").touch()
    (tmp_path / "dir").mkdir()
    for name in ("book.gnucash", "noending"):
        assert DatabaseUrl.parse(name, base=tmp_path).path == tmp_path / name
    with pytest.raises(ConfigError, match="neither a URL"):
        DatabaseUrl.parse("dir", base=tmp_path)


def test_a_name_that_is_no_utf_8_is_opened_as_it_is_and_shown_as_text() -> None:
    url = DatabaseUrl.parse("sqlite:////data/plan\udce9.db")
    assert str(url) == r"sqlite:////data/plan\xe9.db"
    assert url.sqlite_uri == "file:/data/plan%E9.db?mode=rwc"
    assert DatabaseUrl.parse(url.unmasked()).path == url.path


@pytest.mark.parametrize("end", ["h:0/d", "h:65536/d", "h/d?sslmode=quite"])
def test_what_no_server_can_have_is_refused(end: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"postgresql://anna:hush@{end}")
    assert caught.value.hint
    assert "hush" not in str(caught.value)
