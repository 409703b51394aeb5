"""Read a table's blocks ahead: one thread reads while another one writes.

Owns the one thread that stands between a source and whoever takes its blocks; the
first ones are read without it, because most tables have no others. SQLite and
PostgreSQL work outside the interpreter's lock, so reading the next block and writing
the last one happen at the same time.

    source ──► thread ──► a few blocks ──► the caller ──► target

Invariants: once there is a thread, only it touches the source until ``close`` has
returned; an error of the source is raised where its block would have come; no more than
``BLOCKS_AHEAD`` blocks wait, and behind a long one nothing is read until it is taken,
so memory stays bounded.
"""

from __future__ import annotations

import contextlib
import itertools
import queue
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Final

from lockstep.mover.blocks.encoding import Blocks, LineBlock

BLOCKS_AHEAD: Final = 2
BLOCKS_WITHOUT_THREAD: Final = 2
"""Of a table that are read by whoever asks for them."""

LONG_BYTES: Final = 2 * 1024 * 1024
"""A longer block waits alone."""

_LOOK_UP_S: Final = 0.1
"""How often a thread that waits for room looks whether it is still wanted."""


class _End:
    """What comes behind the last block: nothing, or why there is no other."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class Ahead(Iterator[LineBlock]):
    """The blocks of an iterator that a thread of its own reads.

    Args:
        blocks: Read in the thread but for the first ones, and closed there.
    """

    def __init__(self, blocks: Iterable[LineBlock]) -> None:
        self._blocks = iter(blocks)
        self._taken = 0
        self._waiting: queue.Queue[LineBlock | _End] = queue.Queue(BLOCKS_AHEAD)
        self._is_unwanted = threading.Event()
        self._is_taken = threading.Event()
        self._end: _End | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to read; ``next`` does it behind the first blocks otherwise."""
        if self._thread is None and self._end is None:
            self._thread = threading.Thread(
                target=self._read, name="lockstep-read-ahead", daemon=True
            )
            self._thread.start()

    def __next__(self) -> LineBlock:
        if self._thread is None and self._end is None:
            block = self._first()
            if block is not None:
                return block
        self.start()
        found = self._end or self._waiting.get()
        self._is_taken.set()
        if isinstance(found, LineBlock):
            return found
        self._end = found
        if found.error is not None:
            raise found.error
        raise StopIteration

    def _first(self) -> LineBlock | None:
        """Return one of the first blocks, read here; None for what a thread reads.

        Most tables of a database of thousands have one block: a thread for each would
        take longer than its rows.
        """
        if self._taken >= BLOCKS_WITHOUT_THREAD:
            return None
        self._taken += 1
        try:
            return next(self._blocks)
        except StopIteration:
            self._end = _End()
        except BaseException as error:
            self._end = _End(error)
        return None

    def _read(self) -> None:
        end = _End()
        try:
            for block in self._blocks:
                is_long = len(block.data) >= LONG_BYTES
                self._is_taken.clear()
                if not self._offer(block):
                    break
                if is_long:
                    self._wait_until_taken()
        except BaseException as error:
            # Raised again in the thread that asks for the block.
            end = _End(error)
        finally:
            _close(self._blocks)
        self._offer(end)

    def _wait_until_taken(self) -> None:
        while not self._is_unwanted.is_set() and not self._waiting.empty():
            self._is_taken.wait(_LOOK_UP_S)
            self._is_taken.clear()

    def _offer(self, item: LineBlock | _End) -> bool:
        while not self._is_unwanted.is_set():
            try:
                self._waiting.put(item, timeout=_LOOK_UP_S)
            except queue.Full:
                continue
            return True
        return False

    def close(self) -> None:
        """Stop reading, and wait until the source is let go of."""
        self._is_unwanted.set()
        self._end = self._end or _End()
        with contextlib.suppress(queue.Empty):
            # A thread that waits for room has it now, and sees that it may end.
            while True:
                self._waiting.get_nowait()
        if self._thread is not None:
            self._thread.join()
        else:
            _close(self._blocks)


def _close(blocks: Iterator[LineBlock]) -> None:
    """Let go of the source, if the blocks hold one."""
    close = getattr(blocks, "close", None)
    if close is not None:
        close()


def in_turn(streams: Sequence[Iterable[LineBlock]]) -> Generator[LineBlock]:
    """Yield a block of each stream in turn until all have ended; each has a thread.

    The pieces of a line stay together.

    The streams end together: none has more than one block more than the next.
    """
    readers = [Ahead(stream) for stream in streams]
    try:
        for reader in readers:
            reader.start()
        for reader in itertools.cycle(readers):
            block = next(reader, None)
            if block is None:
                return
            yield block
            while block.is_open:
                block = next(reader)
                yield block
    finally:
        for reader in readers:
            reader.close()


class Reading:
    """One table's blocks, read once from a position on, over any number of chunks.

    Opening a read again for each chunk would skip what was read already, which in
    a table without rowids means reading it again.
    """

    def __init__(self, blocks: Blocks, position: int | str | None) -> None:
        self._stream = Ahead(blocks(position))

    def __iter__(self) -> Iterator[LineBlock]:
        return self._stream

    def restart(self, blocks: Blocks, position: int | str | None) -> None:
        """Read other blocks from a position: the chunk behind it was taken back."""
        self.close()
        self._stream = Ahead(blocks(position))

    def close(self) -> None:
        """Let go of the source."""
        self._stream.close()
