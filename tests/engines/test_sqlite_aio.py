"""A task that is cancelled while a file is opened for it leaves no connection."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from lockstep.engine.sqlite_aio import open_in_thread

pytestmark = pytest.mark.anyio


class Slowly:
    """Opens as SQLite does, once it may."""

    def __init__(self) -> None:
        self.begun, self.may = threading.Event(), threading.Event()
        self.made: list[sqlite3.Connection] = []
        self._connect = sqlite3.connect

    def __call__(self, *where: Any, **options: Any) -> sqlite3.Connection:
        self.begun.set()
        assert self.may.wait(30)
        self.made.append(self._connect(*where, **options))
        return self.made[-1]


@pytest.mark.parametrize("times", [1, 2])
async def test_a_cancelled_opening_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    slowly = Slowly()
    monkeypatch.setattr(sqlite3, "connect", slowly)
    task = asyncio.create_task(
        open_in_thread(tmp_path / "a.db", check_same_thread=False)
    )
    await asyncio.to_thread(slowly.begun.wait, 30)
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    slowly.may.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    (made,) = slowly.made
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        made.execute("SELECT 1")


async def test_an_opening_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        await open_in_thread(tmp_path / "none" / "a.db")
    for thread in threading.enumerate():
        if "_connection_worker_thread" in thread.name:
            # It has a last word for the loop, and nobody listens once that is closed.
            await asyncio.to_thread(thread.join, 10)


async def test_what_was_opened_is_used(tmp_path: Path) -> None:
    connection = await open_in_thread(tmp_path / "a.db")
    async with connection.execute("SELECT 7") as cursor:
        assert await cursor.fetchone() == (7,)
    await connection.close()
