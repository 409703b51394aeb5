"""What queries ask of text, JSON, arrays, moments and numbers, on every engine."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lockstep as ls
from lockstep.errors import NotPortable
from lockstep.schema import portable_metadata

from .type_values import json_documents, text

EXAMPLES = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
THING = sa.Table(
    "thing",
    portable_metadata(),
    sa.Column("id", ls.BigInteger(), primary_key=True),
    sa.Column("name", ls.Text()),
    sa.Column("other", ls.Text()),
    sa.Column("data", ls.Json()),
    sa.Column("tags", ls.Array(ls.Text())),
    sa.Column("at", ls.UtcDateTime()),
    sa.Column("ok", ls.Boolean()),
    sa.Column("level", ls.Enum("low", "high")),
    sa.Column("count", ls.BigInteger()),
    sa.Column("ratio", ls.Float()),
)
C = THING.c


@pytest.fixture
def connection(db: ls.Database) -> Iterator[sa.Connection]:
    THING.metadata.create_all(db.engine)
    with db.engine.connect() as connection:
        yield connection


def fill(connection: sa.Connection, **columns: list[Any]) -> None:
    connection.execute(sa.delete(THING))
    size = len(next(iter(columns.values())))
    rows = [
        {"id": n, **{name: values[n] for name, values in columns.items()}}
        for n in range(size)
    ]
    connection.execute(sa.insert(THING), rows)


def ids(connection: sa.Connection, *where: Any) -> list[int]:
    return list(connection.scalars(sa.select(C.id).where(*where).order_by(C.id)))


def values(connection: sa.Connection, expression: Any) -> list[Any]:
    return list(connection.scalars(sa.select(expression).order_by(C.id)))


def matches(pattern: str, subject: str, *, fold: bool, escape: str | None) -> bool:
    """Say what LIKE means: case matters unless folded, for ASCII letters only."""
    parts, characters = [], iter(pattern)
    for character in characters:
        if character == escape:
            parts.append(re.escape(next(characters, "")))
        else:
            parts.append(
                {"%": "(?:.|\n)*", "_": "(?:.|\n)"}.get(character)
                or re.escape(character)
            )
    flags = re.IGNORECASE | re.ASCII if fold else 0
    if fold:
        subject, joined = ascii_lower(subject), ascii_lower("".join(parts))
        return re.fullmatch(joined, subject) is not None
    return re.fullmatch("".join(parts), subject, flags) is not None


def ascii_lower(value: str) -> str:
    return "".join(c.lower() if "A" <= c <= "Z" else c for c in value)


LETTERS = st.text("aAbBéÉß%_*?[]^-\\\n/.", max_size=6)


def test_like_means_the_same(connection: sa.Connection) -> None:
    @EXAMPLES
    @given(st.lists(LETTERS, min_size=1, max_size=8), LETTERS)
    def check(subjects: list[str], pattern: str) -> None:
        fill(connection, name=subjects, other=[pattern] * len(subjects))
        if pattern.endswith("/"):
            return
        for fold, like, ilike in (
            (False, C.name.like, C.name.not_like),
            (True, C.name.ilike, C.name.not_ilike),
        ):
            right = [
                n
                for n, s in enumerate(subjects)
                if matches(pattern, s, fold=fold, escape=None)
            ]
            assert ids(connection, like(pattern)) == right
            wrong = [n for n in range(len(subjects)) if n not in right]
            assert ids(connection, ilike(pattern)) == wrong
            assert ids(connection, ~like(pattern)) == wrong
            assert ids(connection, like(C.other)) == right
            escaped = [
                n
                for n, s in enumerate(subjects)
                if matches(pattern, s, fold=fold, escape="/")
            ]
            assert ids(connection, like(pattern, escape="/")) == escaped

    check()


def test_contains_starts_and_ends_mean_the_same(connection: sa.Connection) -> None:
    @EXAMPLES
    @given(st.lists(LETTERS, min_size=1, max_size=8), LETTERS)
    def check(subjects: list[str], part: str) -> None:
        fill(connection, name=subjects, other=[part] * len(subjects))
        for build, folded, holds in (
            (C.name.contains, C.name.icontains, str.__contains__),
            (C.name.startswith, C.name.istartswith, str.startswith),
            (C.name.endswith, C.name.iendswith, str.endswith),
        ):
            found = [n for n, s in enumerate(subjects) if holds(s, part)]
            assert ids(connection, build(part, autoescape=True)) == found
            lower = ascii_lower(part)
            found = [n for n, s in enumerate(subjects) if holds(ascii_lower(s), lower)]
            assert ids(connection, folded(part, autoescape=True)) == found
            if not set(part) & {"%", "_"}:
                assert ids(connection, folded(C.other)) == found

    check()


def test_upper_lower_length_and_concat_mean_the_same(
    connection: sa.Connection,
) -> None:
    names = ["José", "É", "ß", "Ünïcode 😀", ""]
    fill(connection, name=names)
    assert values(connection, sa.func.lower(C.name)) == [ascii_lower(n) for n in names]
    assert values(connection, sa.func.length(C.name)) == [len(n) for n in names]
    assert values(connection, C.name + "!") == [n + "!" for n in names]
    assert values(connection, "<" + C.name + ">") == [f"<{n}>" for n in names]


PLACES: list[tuple[str | int, ...]] = [
    ("a",), ("a", "b"), ("a", 0), ("a", -1), (0,), (-1,), (1, "x"), ("",),
    ("x.y",), ('q"q',), ("back\\slash",), ("[0]",), ("0",), ("$",), ("%s",),
    ("new\nline", "b"), ("é",), ("'",), ("a", 'q"q', "b"), (":name",), ("?",),
]  # fmt: skip


def reached(document: Any, place: tuple[str | int, ...]) -> list[Any]:
    """Return the value at a place in a list, or an empty list."""
    for step in place:
        is_key = isinstance(step, str) and isinstance(document, dict)
        is_index = isinstance(step, int) and isinstance(document, list)
        if not is_key and not is_index:
            return []
        try:
            document = document[step]
        except LookupError:
            return []
    return [document]


def planted(place: tuple[str | int, ...], value: Any) -> Any:
    """Return a document with ``value`` at ``place``."""
    for step in reversed(place):
        value = {step: value} if isinstance(step, str) else [value] * max(step + 1, 1)
    return value


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.integers(-9, 9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([1e23, -0.0, 5e-324, 1e308, 1.0, 0.30000000000000004])
    | text
)


def test_a_path_reads_what_is_there(connection: sa.Connection) -> None:
    @EXAMPLES
    @given(st.sampled_from(PLACES), SCALARS | json_documents, json_documents)
    def check(place: tuple[str | int, ...], value: Any, noise: Any) -> None:
        documents = [planted(place, value), noise, None, {"a": noise}]
        fill(connection, data=documents)
        at = [reached(d, place) for d in documents]
        item: Any = C.data
        for step in place:
            item = item[step]

        def those(*kinds: type) -> list[Any]:
            return [a[0] if a and type(a[0]) in kinds else None for a in at]

        wide = [
            v if v is not None and -(2**63) <= v < 2**63 else None for v in those(int)
        ]
        assert values(connection, item.as_string()) == those(str)
        assert values(connection, item.as_boolean()) == those(bool)
        assert values(connection, item.as_integer()) == wide
        assert values(connection, item.as_float()) == [
            None if v is None else float(v) for v in those(int, float)
        ]
        got = values(connection, item)
        assert got == [a[0] if a else None for a in at]
        assert [type(g) for g in got] == [type(a[0] if a else None) for a in at]
        parent = C.data
        for step in place[:-1]:
            parent = parent[step]
        assert values(connection, parent.has_key(place[-1])) == [bool(a) for a in at]

    check()


def test_documents_are_filtered_by_what_a_path_holds(
    connection: sa.Connection,
) -> None:
    documents = [
        {"n": 1, "s": "b", "f": 0.5, "t": True, "z": None},
        {"n": 2, "s": "B", "f": 1.5, "t": False},
        {"n": "2", "s": 2, "f": "0.5", "t": 1},
        None,
    ]
    fill(connection, data=documents)
    assert ids(connection, C.data["n"].as_integer() >= 2) == [1]
    assert ids(connection, C.data["s"].as_string() == "b") == [0]
    assert ids(connection, C.data["s"].as_string().in_(["b", "B"])) == [0, 1]
    assert ids(connection, C.data["s"].as_string().like("B%")) == [1]
    assert ids(connection, C.data["s"].as_string() > "C") == [0]
    assert ids(connection, C.data["f"].as_float() + 1 > 2) == [1]
    assert ids(connection, C.data["t"].as_boolean()) == [0]
    assert ids(connection, ~C.data["t"].as_boolean()) == [1]
    assert ids(connection, C.data["z"].as_string().is_(None)) == [0, 1, 2, 3]
    assert ids(connection, C.data.has_key("z")) == [0]
    assert ids(connection, C.data["n"] == 2) == [1]
    assert ids(connection, C.data["n"].in_([1, "2"])) == [0, 2]
    assert ids(connection, C.data["n"].not_in([1, "2"])) == [1]
    assert ids(connection, C.data["z"] == None) == [1, 2, 3]  # noqa: E711
    query = sa.select(sa.func.sum(C.data["n"].as_integer()))
    assert connection.scalar(query) == 3
    by_text = sa.select(C.id).order_by(C.data["s"].as_string().nulls_last(), C.id)
    assert connection.scalars(by_text).all() == [1, 0, 2, 3]


def test_membership_in_arrays(connection: sa.Connection) -> None:
    @EXAMPLES
    @given(
        st.lists(st.none() | st.lists(text, max_size=3), min_size=1, max_size=4), text
    )
    def check(tags: list[list[str] | None], stranger: str) -> None:
        fill(connection, tags=tags, name=[stranger] * len(tags))
        known = next((t[0] for t in tags if t), stranger)
        for wanted in (stranger, known):
            has = [n for n, t in enumerate(tags) if t is not None and wanted in t]
            not_ = [n for n, t in enumerate(tags) if t is not None and wanted not in t]
            assert ids(connection, C.tags.has(wanted)) == has
            assert ids(connection, C.tags.contains(wanted)) == has
            assert ids(connection, ~C.tags.has(wanted)) == not_
        assert ids(connection, C.tags.has(C.name)) == [
            n for n, t in enumerate(tags) if t is not None and stranger in t
        ]
        assert values(connection, C.tags.length()) == [
            None if t is None else len(t) for t in tags
        ]

    check()


UTC = dt.UTC


def test_moments_meet_the_databases_clock(connection: sa.Connection) -> None:
    now = dt.datetime.now(UTC)
    day = dt.timedelta(days=1)
    fill(connection, at=[now - day, now + day, None])
    assert ids(connection, C.at < ls.utc_now()) == [0]
    assert ids(connection, C.at >= ls.utc_now()) == [1]
    filled = sa.func.coalesce(C.at, now)
    assert values(connection, filled) == [now - day, now + day, now]
    first = sa.case((C.at.is_(None), now), else_=C.at)
    assert values(connection, sa.cast(first, ls.UtcDateTime())) == [
        now - day, now + day, now,
    ]  # fmt: skip
    got = connection.scalar(sa.select(ls.utc_now()))
    assert got is not None
    assert abs(got - now) < dt.timedelta(minutes=1)


def test_numbers_calculate_alike(connection: sa.Connection) -> None:
    fill(connection, count=[7, -7, None], ratio=[0.1, 2.0, None])
    # Both engines cut towards zero, as C does and Python does not.
    assert values(connection, C["count"] // 2) == [3, -3, None]
    assert values(connection, C["count"] % 4) == [3, -3, None]
    assert values(connection, C["count"] + 1) == [8, -6, None]
    assert values(connection, C["count"] * 1.5) == [10.5, -10.5, None]
    assert values(connection, C.ratio + 0.2) == [0.1 + 0.2, 2.2, None]
    assert values(connection, sa.cast(C["count"], ls.Float()) / 2) == [3.5, -3.5, None]
    mean = sa.func.avg(C["count"] + 1, type_=ls.Float())
    assert connection.scalar(sa.select(mean)) == 1.0
    assert connection.scalar(sa.select(sa.func.sum(C["count"]))) == 0
    assert isinstance(connection.scalar(sa.select(sa.func.sum(C["count"]))), int)
    assert ids(connection, C["count"] > 6.5) == [0]


def test_booleans_and_enums_in_conditions(connection: sa.Connection) -> None:
    fill(connection, ok=[True, False, None], level=["low", "high", None])
    assert ids(connection, C.ok) == [0]
    assert ids(connection, ~C.ok) == [1]
    assert ids(connection, C.ok.is_(True)) == [0]
    assert ids(connection, C.ok == sa.false()) == [1]
    assert ids(connection, C.level.in_(["high"])) == [1]
    assert ids(connection, C.level.startswith("lo")) == [0]
    assert values(connection, sa.func.coalesce(C.level, "high")) == [
        "low", "high", "high",
    ]  # fmt: skip
    assert values(connection, C["ok"] == C.ok) == [True, True, None]
    assert values(connection, sa.case((C.ok, True), else_=C.ok)) == [True, False, None]


def test_overflow_of_an_integer_is_an_error(connection: sa.Connection) -> None:
    fill(connection, count=[2**63 - 1, 1])
    for expression in (C["count"] + 1, sa.func.sum(C["count"])):
        with pytest.raises((ls.errors.InvalidValue, sa.exc.DatabaseError)):
            connection.scalars(sa.select(expression)).all()
        connection.rollback()
        fill(connection, count=[2**63 - 1, 1])


@pytest.mark.engines("sqlite")
def test_what_sqlite_would_get_wrong_does_not_compile(
    connection: sa.Connection,
) -> None:
    for expression in (
        C.at < sa.func.now(),
        C.name > C["count"],
        C.at - C.at,
        C["count"] / 2,
        sa.func.max(C.ok),
        sa.func.avg(C["count"]),
        sa.func.lag(C.at).over(order_by=C.id),
        C.tags.has("x") == C.name,
    ):
        with pytest.raises(NotPortable) as caught:
            connection.execute(sa.select(expression))
        assert caught.value.hint
    with pytest.raises(NotPortable, match="storing"):
        connection.execute(sa.update(THING).values(at=sa.func.now()))
    with pytest.raises(NotPortable, match="storing"):
        connection.execute(sa.insert(THING).values(id=1, at=sa.func.now()))


def test_uuids_sort_and_search_as_text_does(db: ls.Database) -> None:
    metadata = portable_metadata()
    table = sa.Table("key", metadata, sa.Column("id", ls.Uuid(), primary_key=True))
    metadata.create_all(db.engine)
    made = [ls.uuid7() for _ in range(50)]
    with db.engine.begin() as connection:
        connection.execute(sa.insert(table), [{"id": key} for key in reversed(made)])
        assert (
            connection.scalars(sa.select(table.c.id).order_by(table.c.id)).all() == made
        )
        after = sa.select(table.c.id).where(table.c.id > made[-2])
        assert connection.scalars(after).all() == made[-1:]
        with pytest.raises(sa.exc.StatementError, match=r"uuid\.UUID"):
            connection.scalars(after.where(table.c.id == str(uuid.uuid4())))
