"""``AsyncRepository``: the same promises, awaited."""

from __future__ import annotations

import asyncio
import inspect
import tracemalloc
import uuid
from decimal import Decimal as D
from typing import Any

import pytest
from tests.engines.repository_models import (
    AuditedBase,
    Base,
    Bin,
    Part,
    Tool,
    create,
)

from lockstep.engine import Database
from lockstep.errors import (
    Duplicate,
    InvalidCursor,
    InvalidValue,
    NotEnough,
    NotFound,
    NotLoaded,
    StaleVersion,
)
from lockstep.repository import AsyncRepository, Repository

pytestmark = pytest.mark.anyio


@pytest.fixture
def shop(db: Database) -> Database:
    return create(create(db, Base), AuditedBase)


async def test_every_method_does_what_its_namesake_does(shop: Database) -> None:
    async with shop.async_write_session(actor="ann") as session:
        bins, parts = AsyncRepository(Bin, session), AsyncRepository(Part, session)
        home = await bins.add({"label": "A"})
        bolt = await parts.add(Part(name="Bolt", quantity=5, bin=home))
        assert await parts.add_many([{"name": "Nut"}, Part(name="Rod")])
        assert await parts.add_many([{"name": "Pin"}], returning=False) == 1
        assert await parts.get(bolt.id) is bolt
        assert await parts.find(name="Bolt") is bolt
        assert await parts.find(uuid.uuid4()) is None
        assert len(await parts.get_many([bolt.id, uuid.uuid4()])) == 1
        assert await parts.count() == 4
        assert await parts.exists(Part.quantity > 4, created_by="ann")
        changed = await parts.update(bolt.id, {"price": D(2)}, expected_version=1)
        assert (changed.version, changed.price) == (2, D(2))
        assert await parts.adjust(bolt.id, Part.quantity, -4) == bolt.quantity == 1
        rows = [{"name": "Nut", "quantity": 8}, {"name": "Cog"}]
        assert await parts.upsert_many(rows, match_on=[Part.name]) == 2
        await parts.delete(bolt.id)
        assert (await parts.restore(bolt.id)).version == 5
        names = [part.name for part in await parts.list(order_by="-name", limit=3)]
        assert names == ["Rod", "Pin", "Nut"]
        streamed = [part.name async for part in parts.stream(order_by="name")]
        assert streamed == ["Bolt", "Cog", "Nut", "Pin", "Rod"]
        page = await parts.page(order_by="name", size=3, load=(Part.bin,))
        rest = await parts.page(order_by="name", size=3, after=page.next_cursor)
        assert [part.name for part in (*page, *rest)] == sorted(
            ["Bolt", "Cog", "Nut", "Pin", "Rod"]
        )
        assert page.items[0].bin is home
        tools = AsyncRepository(Tool, session)
        tool = await tools.add({"name": "Saw"})
        assert [entry.action for entry in await tools.history(tool.id)] == ["insert"]
    assert bolt.bin is home


async def test_errors_leave_the_transaction_usable(shop: Database) -> None:
    async with shop.async_write_session() as session:
        parts = AsyncRepository(Part, session)
        bolt = await parts.add({"name": "Bolt", "quantity": 1})
        with pytest.raises(Duplicate):
            await parts.add({"name": "Bolt"})
        with pytest.raises(StaleVersion):
            await parts.update(bolt.id, {"quantity": 2}, expected_version=7)
        with pytest.raises(Duplicate):
            nut = await parts.add({"name": "Nut"})
            await parts.update(nut.id, {"name": "Bolt"}, expected_version=1)
        with pytest.raises(NotEnough):
            await parts.adjust(bolt.id, Part.quantity, -2)
        with pytest.raises(NotFound):
            await parts.get(uuid.uuid4())
        with pytest.raises(InvalidCursor):
            await parts.page(after="x")
        # No error has left an instance that would have to be loaded again.
        assert (bolt.name, bolt.quantity, bolt.version) == ("Bolt", 1, 1)
        assert (nut.name, nut.version) == ("Nut", 1)


async def test_nothing_is_loaded_by_surprise(shop: Database) -> None:
    async with shop.async_write_session() as session:
        bins, parts = AsyncRepository(Bin, session), AsyncRepository(Part, session)
        home = await bins.add({"label": "A"})
        part = await parts.add({"name": "Bolt", "bin_id": home.id})
        for refuse in (lambda: part.bin, lambda: home.parts, lambda: part.photo):
            with pytest.raises(NotLoaded):
                refuse()
        loaded = await bins.get(home.id, load=(Bin.parts,))
        assert loaded.parts == [part]
        with pytest.raises(NotLoaded):
            _ = part.photo
        new = await parts.add(Part(name="Nut", bin=Bin(label="B")))
        assert new.bin is not None
        moved = await parts.update(part.id, {"bin": Bin(label="C")}, any_version=True)
        assert moved.bin is not None
        same = await parts.update(part.id, {}, any_version=True)
        # The link itself has filled these; nothing is asked for them.
        assert new.bin.parts == [new]
        assert moved.bin.parts == [moved]
        with pytest.raises(NotLoaded):
            _ = same.photo
    # The part has moved, and the session's own instances agree.
    assert (home.parts, part.name) == ([], "Bolt")


async def test_tasks_at_the_same_time_take_what_is_there_once(shop: Database) -> None:
    async with shop.async_write_session() as session:
        part = await AsyncRepository(Part, session).add({"name": "x", "quantity": 5})

    async def take() -> bool:
        try:
            async with shop.async_write_session() as session:
                await AsyncRepository(Part, session).adjust(part.id, Part.quantity, -4)
        except NotEnough:
            return False
        return True

    assert sorted(await asyncio.gather(take(), take())) == [False, True]


async def test_a_stream_holds_one_batch_in_memory(shop: Database) -> None:
    async with shop.async_write_session() as session:
        bins = AsyncRepository(Bin, session)
        rows = ({"label": f"{number:06}"} for number in range(8_000))
        await bins.add_many(rows, returning=False)
    async with shop.async_read_session() as session:
        bins = AsyncRepository(Bin, session)
        tracemalloc.start()
        count = 0
        async for bin_ in bins.stream(order_by="label", batch_size=500):
            assert bin_.label == f"{count:06}"
            count += 1
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert count == 8_000
        assert len([bin_ async for bin_ in bins.stream(Bin.label < "000003")]) == 3
    assert peak < 6_000_000


async def test_only_async_sessions_are_taken(shop: Database) -> None:
    with shop.read_session() as session, pytest.raises(InvalidValue, match="Async"):
        AsyncRepository(Part, session)  # type: ignore[arg-type]
    async with shop.async_read_session() as other:
        with pytest.raises(InvalidValue, match="AsyncRepository"):
            Repository(Part, other)  # type: ignore[arg-type]


def test_both_repositories_have_the_same_methods() -> None:
    def methods(of: type[Any]) -> dict[str, list[str]]:
        return {
            name: [
                str(parameter).split(":", 1)[0]
                for parameter in inspect.signature(member).parameters.values()
            ]
            for name, member in vars(of).items()
            if not name.startswith("_") and callable(member)
        }

    wanted = methods(Repository)
    wanted.pop("batches")
    assert methods(AsyncRepository) == wanted
