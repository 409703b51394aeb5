"""A connection to a real libsql-server that is cut, at any byte of either way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from tests.engines.cutting_proxy import CuttingProxy

from lockstep.engine import Database
from lockstep.engine.classify import classify
from lockstep.engine.hrana import dbapi

pytestmark = pytest.mark.engines("libsql")


def test_what_is_said_of_a_write_is_true_wherever_the_connection_is_cut(
    db: Database,
) -> None:
    """Success: it is there. Lost: it is not. Unknown: only where it may be."""
    db.write(lambda u: u.execute("CREATE TABLE part (id INTEGER PRIMARY KEY, n INT)"))
    driver = dbapi.connect(db.url.http_url, autocommit=True)
    address = urlsplit(db.url.http_url)
    assert address.port
    sql = "INSERT INTO part VALUES (?, 1)"
    ways: list[Callable[[dbapi.Connection, int], object]] = [
        lambda cut, key: cut.execute(sql, (key,)),
        lambda cut, key: cut.transaction([(sql, (key,)), ("SELECT 1", ())]),
    ]
    said: Counter[str] = Counter()
    key = 0
    with closing(CuttingProxy(address.port)) as proxy:
        url = f"http://{address.hostname}:{proxy.port}"
        for write in ways:
            proxy.pass_all()  # the last cut may not have come
            with closing(dbapi.connect(url, autocommit=True)) as whole:
                write(whole, key := key + 1)
            size = dict(proxy.passed)
            for way, count in size.items():
                for after in range(1, count + 60, 29):  # keys grow longer
                    proxy.cut_after(after, way, resets=after % 2 == 0)
                    told = ""
                    with closing(dbapi.connect(url, autocommit=True)) as cut:
                        try:
                            write(cut, key := key + 1)
                        except dbapi.Error as error:
                            told = type(classify(error)).__name__
                    found = driver.execute("SELECT 1 FROM part WHERE id = ?", (key,))
                    is_there = found.fetchone() is not None
                    assert told in ("", "OutcomeUnknown", "ConnectionLost")
                    if told != "OutcomeUnknown":
                        assert is_there == (told == ""), (way, after, told)
                    said[told] += 1
    assert said[""] >= 4
    assert said["OutcomeUnknown"] > 20
    # No stream is left that would hold the lock.
    driver.execute("INSERT INTO part VALUES (0, 1)")
    driver.close()
