"""Clocks: the machine's, and one that a test moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from lockstep.clock import SYSTEM_CLOCK, Clock, ManualClock


def test_the_machines_clock_is_aware_and_in_utc() -> None:
    now = SYSTEM_CLOCK.now()
    assert now.tzinfo is UTC
    assert abs(now - datetime.now(UTC)) < timedelta(minutes=1)
    assert SYSTEM_CLOCK.monotonic_s() <= SYSTEM_CLOCK.monotonic_s()


def test_a_manual_clock_moves_only_when_told() -> None:
    clock: Clock = ManualClock(datetime(2026, 5, 1, tzinfo=UTC))
    assert clock.now() == clock.now() == datetime(2026, 5, 1, tzinfo=UTC)
    assert clock.monotonic_s() == 0


def test_advancing_moves_both_readings() -> None:
    clock = ManualClock(datetime(2026, 5, 1, tzinfo=UTC))
    clock.advance(90.5)
    assert clock.now() == datetime(2026, 5, 1, 0, 1, 30, 500_000, tzinfo=UTC)
    assert clock.monotonic_s() == 90.5


def test_setting_may_go_back_but_the_monotonic_reading_does_not() -> None:
    clock = ManualClock()
    clock.advance(10)
    clock.set(datetime(2020, 1, 1, tzinfo=UTC))
    assert clock.now().year == 2020
    assert clock.monotonic_s() == 10
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(-1)


def test_it_speaks_utc_whatever_zone_it_was_given() -> None:
    east = timezone(timedelta(hours=9))
    clock = ManualClock(datetime(2026, 5, 1, 9, tzinfo=east))
    assert clock.now().tzinfo is UTC
    assert clock.now() == datetime(2026, 5, 1, tzinfo=UTC)


def test_naive_times_are_refused() -> None:
    naive = datetime(2026, 5, 1)  # noqa: DTZ001 - the mistake under test
    with pytest.raises(ValueError, match="aware"):
        ManualClock(naive)
    with pytest.raises(ValueError, match="aware"):
        ManualClock().set(naive)
