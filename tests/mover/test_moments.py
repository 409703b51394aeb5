"""Moments as programs write them become moments, and come back byte for byte."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.mover import checker

from lockstep.engine import Database
from lockstep.moments.forms import OWN, forms_of
from lockstep.mover import Mover
from lockstep.mover.codecs import codec_of

MakeDatabase = Callable[..., Database]

SQLALCHEMY = ["2024-02-29 10:20:30.000000", "2024-01-01 00:00:00.120000"]
DJANGO = ["2024-02-29 10:20:30", "2024-01-01 00:00:00.120000"]
JAVASCRIPT = ["2024-02-29T10:20:30.000Z", "2024-01-01T00:00:00.120Z"]
GO = ["2024-02-29 10:20:30+00:00", "2024-01-01 00:00:00.12+00:00"]
ISO = ["2024-02-29T10:20:30", "2024-01-01T00:00:00.120000"]
CLOCK = ["10:20:30.000000", "00:00:00.120000"]
PLAIN = ["2024-02-29 10:20:30", "2024-01-01 00:00:00.12"]
MIXED = ["2024-02-29 10:20:30", "2024-01-01T00:00:00.120000"]
NO_DAY = ["2023-02-29 10:20:30.000000", "2024-01-01 00:00:00.120000"]

# Name, declared type, texts; and what the column becomes.
COLUMNS: list[tuple[str, str, Sequence[str], tuple[str, str]]] = [
    (
        *("sqlalchemy", "DATETIME", SQLALCHEMY),
        ("timestamp", "moment:YYYY-MM-DD HH:MM:SS.ffffff"),
    ),
    (
        *("django", "datetime", DJANGO),
        ("timestamp", "moment:YYYY-MM-DD HH:MM:SS[.ffffff]"),
    ),
    (
        *("javascript", "TIMESTAMP", JAVASCRIPT),
        ("timestamptz", "moment:YYYY-MM-DDTHH:MM:SS.fffZ"),
    ),
    (
        *("go", "timestamp", GO),
        ("timestamptz", "moment:YYYY-MM-DD HH:MM:SS[.f]+00:00"),
    ),
    (
        *("iso", "DATETIME", ISO),
        ("timestamp", "moment:YYYY-MM-DDTHH:MM:SS[.ffffff]"),
    ),
    ("clock", "TIME", CLOCK, ("time", "moment:HH:MM:SS.ffffff")),
    ("plain", "DATETIME", PLAIN, ("timestamp", "text")),
    ("mixed", "DATETIME", MIXED, ("text", "text")),
    ("no_day", "DATETIME", NO_DAY, ("text", "text")),
    ("texts", "TEXT", SQLALCHEMY, ("text", "text")),
]


def test_each_form_becomes_a_moment_and_comes_back(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path, back = tmp_path / "a.db", tmp_path / "back.db"
    names = [name for name, *_ in COLUMNS]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        listed = ", ".join(f"{name} {declared}" for name, declared, *_ in COLUMNS)
        connection.execute(f"CREATE TABLE t (id INTEGER PRIMARY KEY, {listed})")
        rows = zip(*(texts for _, _, texts, _ in COLUMNS), strict=True)
        marks = ", ".join("?" * len(names))
        connection.executemany(
            f"INSERT INTO t ({', '.join(names)}) VALUES ({marks})", [*rows]
        )
        connection.execute("INSERT INTO t DEFAULT VALUES")
        connection.execute("CREATE INDEX live ON t (django) WHERE django IS NULL")
        connection.execute("CREATE VIEW seen AS SELECT id, sqlalchemy FROM t")
    url = make_database("postgresql").url.unmasked()
    result = Mover(path, url).move()
    assert result.is_exact
    assert result.plan.losses == []
    (table,) = result.plan.tables
    made = {c.source: (c.type, c.codec) for c in table.columns}
    assert {name: made[name] for name in names} == {c[0]: c[3] for c in COLUMNS}
    assert checker.differences(path, "t", url, "t") == []
    with psycopg.connect(url, autocommit=True) as there:
        there.execute(
            "INSERT INTO t (sqlalchemy, django, javascript, clock) VALUES "
            "('2024-05-06 07:08:09.5', '2024-05-06 07:08:09', "
            "'2024-05-06 07:08:09.123456+02', '07:08:09')"
        )
        there.execute(
            "INSERT INTO t (sqlalchemy, django) VALUES ('infinity', '0044-03-15 BC')"
        )
    assert Mover(url, back).move().is_exact
    with closing(sqlite3.connect(back)) as connection:
        rows = connection.execute("SELECT * FROM t ORDER BY id").fetchall()
    with closing(sqlite3.connect(path)) as connection:
        assert rows[:3] == connection.execute("SELECT * FROM t").fetchall()
    later = dict(zip(["id", *names], rows[3], strict=True))
    assert later["sqlalchemy"] == "2024-05-06 07:08:09.500000"
    assert later["django"] == "2024-05-06 07:08:09"
    assert later["javascript"] == "2024-05-06T05:08:09.123456Z"
    assert later["clock"] == "07:08:09.000000"
    assert rows[4][1:3] == ("infinity", "0044-03-15 00:00:00 BC")


BORN_THERE = """
CREATE TABLE t (id integer PRIMARY KEY, plain timestamp, zoned timestamptz DEFAULT now(),
  naive timestamptz, day date, clock time, odd timestamp, note timestamp);
INSERT INTO t VALUES (1, '2024-02-29 10:20:30', '2024-02-29 10:20:30.5+00', NULL,
  '2024-02-29', '10:20:30', '2024-02-29 10:20:30', '2024-02-29 10:20:30')
"""


def test_what_an_application_wrote_becomes_its_type_again(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    url, path = make_database("postgresql").url.unmasked(), tmp_path / "a.db"
    with psycopg.connect(url, autocommit=True) as there:
        there.execute(BORN_THERE.encode())
    assert Mover(url, path).move().is_exact
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(
            "INSERT INTO t (id, plain, naive, day, clock, odd, note) VALUES (2, "
            "'2024-01-01 00:00:00.120000', '2024-01-01 00:00:00.120000', '2024-01-01', "
            "'00:00:00', '2024-01-01T00:00:00.120', 'soon')"
        )
        connection.execute(
            "UPDATE t SET zoned = '2024-01-01T02:00:00.120+02:00' WHERE id = 2"
        )
    again = make_database("postgresql").url.unmasked()
    result = Mover(path, again).move()
    assert result.is_exact
    with psycopg.connect(again) as there:
        there.execute("SET TimeZone = 'UTC'")
        row = there.execute("SELECT (t.*)::text FROM t WHERE id = 2").fetchone()
        assert row is not None
        types = there.execute(
            "SELECT pg_typeof(plain)::text, pg_typeof(zoned)::text, "
            "pg_typeof(naive)::text, pg_typeof(note)::text FROM t LIMIT 1"
        ).fetchone()
    zoned, stamp = "timestamp with time zone", "timestamp without time zone"
    assert types == (stamp, zoned, zoned, "text")
    assert row[0] == (
        '(2,"2024-01-01 00:00:00.12","2024-01-01 00:00:00.12+00",'
        '"2024-01-01 00:00:00.12+00",2024-01-01,00:00:00,"2024-01-01 00:00:00.12",soon)'
    )


def _written(moment: Any, form: str) -> str:
    day, _, rest = form.partition("HH:MM:SS")
    text = day.replace("YYYY-MM-DD", moment.date().isoformat()) + f"{moment:%H:%M:%S}"
    digits = rest.count("f")
    micros = f"{moment.microsecond:06d}"
    zone = rest.rpartition("f")[2].strip("]")
    if "[.f]" in rest:
        fraction = micros.rstrip("0")
    elif rest.startswith("[") and not moment.microsecond:
        fraction = ""
    else:
        fraction = micros[:digits]
    return f"{text}.{fraction}{zone}" if fraction else f"{text}{zone}"


FORMS = [
    f"YYYY-MM-DD{between}HH:MM:SS{fraction}{zone}"
    for between in (" ", "T")
    for fraction in ("[.f]", ".fff", ".ffffff", "[.fff]", "[.ffffff]")
    for zone in ("", "Z", "+00:00", "+00", " +00:00")
]


@given(
    st.lists(st.datetimes(), min_size=1, max_size=5),
    st.sampled_from(FORMS),
)
def test_a_form_is_found_and_its_codec_gives_every_text_back(
    moments: Sequence[Any], form: str
) -> None:
    if form.count("f") == 3:
        moments = [m.replace(microsecond=m.microsecond // 1000 * 1000) for m in moments]
    texts = [_written(moment, form) for moment in moments]
    found = forms_of("".join(f"{text}\n" for text in texts))
    assert OWN.get(form, form) in found
    for name in found - set(OWN.values()):
        codec = codec_of(f"moment:{name}")
        encoded = [codec.encode(text) for text in texts]
        assert [codec.decode(text) for text in encoded] == texts
        assert codec.values(encoded) == texts
        assert all(
            forms_of(f"{t.removesuffix('+00')}\n") & {"timestamp"} for t in encoded
        )


@pytest.mark.parametrize(
    "form", ["", "HH:MM:SS[.f]Z", "YYYY-MM-DD", "DD.MM.YYYY", "any thing"]
)
def test_a_form_that_is_none_is_refused(form: str) -> None:
    with pytest.raises(ValueError, match="no form"):
        codec_of(f"moment:{form}")
