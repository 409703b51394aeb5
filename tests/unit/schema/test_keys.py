"""UUIDv7: ordered within a process, whatever the clock, threads and forks do."""

from __future__ import annotations

import datetime as dt
import os
import threading
import uuid

import pytest

from lockstep.clock import ManualClock
from lockstep.schema import uuid7
from lockstep.schema.keys import Generator


def test_the_layout_is_rfc_9562() -> None:
    # Later than anything made before in this process, so that it leads.
    moment = dt.datetime(2100, 1, 2, 3, 4, 5, 678000, tzinfo=dt.UTC)
    made = Generator().make(ManualClock(moment))
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert made.int >> 80 == int(moment.timestamp() * 1000)


def test_the_order_survives_a_clock_that_stands_or_goes_back() -> None:
    clock = ManualClock()
    generator = Generator()
    made = [generator.make(clock) for _ in range(1000)]
    clock.set(clock.now() - dt.timedelta(days=1))
    made += [generator.make(clock) for _ in range(1000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_a_full_counter_borrows_the_next_millisecond() -> None:
    clock = ManualClock()
    generator = Generator()
    first = generator.make(clock)
    generator.counter = 2**42 - 1
    later = [generator.make(clock) for _ in range(3)]
    assert later[0].int >> 80 == (first.int >> 80) + 1
    assert later == sorted(later)


def test_threads_never_make_the_same() -> None:
    made: list[uuid.UUID] = []

    def work() -> None:
        made.extend(uuid7() for _ in range(2000))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == len(made) == 8000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform does not fork")
def test_a_forked_child_makes_others() -> None:
    uuid7()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, b"".join(uuid7().bytes for _ in range(50)))
        os._exit(0)
    os.close(writing)
    mine = {uuid7() for _ in range(50)}
    data = b""
    while chunk := os.read(reading, 4096):
        data += chunk
    os.close(reading)
    os.waitpid(child, 0)
    theirs = {uuid.UUID(bytes=data[n : n + 16]) for n in range(0, len(data), 16)}
    assert len(theirs) == 50
    assert not mine & theirs
