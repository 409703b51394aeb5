"""What SQLAlchemy compiles for psycopg, as libpq takes it."""

from __future__ import annotations

import pytest

from lockstep.engine.pipeline import _compiled


@pytest.mark.parametrize(
    ("sql", "text", "names"),
    [
        ("SELECT 1", b"SELECT 1", ()),
        ("a = %(a)s AND b = %(b_1)s::UUID", b"a = $1 AND b = $2::UUID", ("a", "b_1")),
        ("%(b)s + %(a)s + %(b)s", b"$1 + $2 + $1", ("b", "a")),
        ("n %% %(n)s, '%%(n)s'", b"n % $1, '%(n)s'", ("n",)),
        ("'%%%%' %(n)s", b"'%%' $1", ("n",)),
    ],
)
def test_parameters_are_numbered(sql: str, text: bytes, names: tuple[str, ...]) -> None:
    assert _compiled(sql) == (text, names)
