"""Any schema becomes any other one, by one history, on every engine."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.migrations.histories import History
from tests.migrations.schemas import Spec, build, changed, specs

from lockstep.config import load_settings
from lockstep.contrib.pytest.databases import PostgresServer
from lockstep.engine import Database
from lockstep.engine.scratch import postgresql_database
from lockstep.errors import MigrationError
from lockstep.migrations import Migrations
from lockstep.migrations.effective import effective_metadata
from lockstep.migrations.samples import Samples


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Spec, Spec]:
    first = draw(specs())
    return first, draw(changed(first))


def fill(db: Database, metadata: sa.MetaData) -> None:
    effective = effective_metadata(metadata)
    with db.engine.begin() as connection:
        samples = Samples(connection)
        samples.fill(effective, list(effective.tables))
    assert samples.refused == {}


def empty(db: Database, metadata: sa.MetaData) -> None:
    with db.engine.begin() as connection:
        for table in metadata.tables.values():
            for link in table.foreign_keys:
                if link.parent.nullable:
                    name = link.parent.name
                    connection.execute(sa.update(table).values({name: None}))
        for table in reversed(metadata.sorted_tables):
            connection.execute(sa.delete(table))


def move(verbs: Migrations, metadata: sa.MetaData, target: str | None) -> bool:
    """Go up or down with rows; if they do not fit, without. Both is right."""

    def go() -> None:
        if target is None:
            verbs.upgrade()
        else:
            verbs.downgrade(target)

    try:
        go()
    except MigrationError:
        empty(verbs.db, metadata)
        go()
        return False
    return True


def drift(verbs: Migrations) -> list[str]:
    return [f.message for f in verbs.check() if f.severity == "error"]


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(pair=pairs(), author=st.sampled_from(["sqlite", "postgresql"]))
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Cannot correctly sort tables")
def test_written_on_one_engine_applied_on_both(
    postgres_server: PostgresServer, pair: tuple[Spec, Spec], author: str
) -> None:
    one, two = (build(spec) for spec in pair)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(postgresql_database(postgres_server.url))
        urls = {"sqlite": f"sqlite:///{folder / 'a.db'}", "postgresql": url}
        history = History(folder)
        databases: dict[str, Database] = {}
        for name, where in urls.items():
            loaded = load_settings(start=folder, env={}, url=where)
            databases[name] = stack.enter_context(Database(where, settings=loaded))

        first = history.on(databases[author], one).revision("one")
        for db in databases.values():
            history.on(db, one).upgrade()
            assert drift(history.on(db, one)) == []
            fill(db, one)
        second = history.on(databases[author], two).revision("two")
        text = "" if second.path is None else second.path.read_text("utf-8")
        for db in databases.values():
            verbs = history.on(db, two)
            move(verbs, one, None)
            assert drift(verbs) == [], f"{drift(verbs)} {text}"
        for db in databases.values():
            verbs = history.on(db, two)
            assert first.revision is not None
            move(verbs, two, first.revision)
            assert second.is_empty or drift(history.on(db, one)) == [
                f"the database is at {first.revision}"
            ]
        if second.path is not None:
            second.path.unlink()
        for db in databases.values():
            found = drift(history.on(db, one))
            assert found == [], f"{found} {text}"
            move(history.on(db, one), one, "base")
