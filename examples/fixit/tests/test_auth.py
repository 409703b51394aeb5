"""Signing in, lockout, sessions, PINs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from acting import People, acting, at_once, identity, order_id
from sqlalchemy import func, select

from fixit import security
from fixit.errors import Forbidden, Invalid, LoginRefused, PinChangeRequired, WeakPin
from fixit.housekeeping import tidy
from fixit.models import LoginAttempt, LoginSession, User
from fixit.services import auth, orders, people
from lockstep import Database
from lockstep.clock import ManualClock


def count(db: Database, model: type) -> int:
    with db.read_session() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def test_the_right_pin_opens_a_session(db: Database) -> None:
    fresh = auth.login(db, " tech-001 ", "5678", user_agent="Phone\x00")
    assert fresh.who.name == "Tomas Weber"
    assert fresh.who.has_demo_pin
    assert fresh.token not in repr(fresh)
    with db.read_session() as session:
        active = auth.resume(session, fresh.token)
    assert active is not None
    assert active.who == fresh.who
    assert active.accepts(active.csrf_token)
    assert not active.accepts(None)
    assert not active.accepts("")
    assert active.csrf_token not in repr(active)


def test_the_database_keeps_no_token(db: Database) -> None:
    fresh = auth.login(db, "TECH-001", "5678")
    with db.read_session() as session:
        kept = session.scalars(select(LoginSession)).one()
    assert fresh.token != kept.token_hash
    assert kept.token_hash == security.hash_token(fresh.token)


@pytest.mark.parametrize(
    ("employee_id", "pin"),
    [
        ("TECH-001", "5679"),
        ("TECH-001", ""),
        ("NOBODY", "5678"),
        ("", ""),
        ("TECH-001\x00", "x"),
        ("\ud800", "\ud800"),
        ("' OR 1=1 --", "' OR 1=1 --"),
        ("T" * 100_000, "5" * 100_000),
    ],
)
def test_a_refusal_never_tells_why(db: Database, employee_id: str, pin: str) -> None:
    with pytest.raises(LoginRefused) as refused:
        auth.login(db, employee_id, pin)
    assert str(refused.value) == "Employee id or PIN is wrong."
    assert refused.value.locked_until is None
    assert count(db, LoginSession) == 0


@pytest.mark.parametrize("employee_id", ["TECH-001", "NOBODY"])
def test_five_failures_lock_for_15_minutes_known_or_not(
    db: Database, clock: ManualClock, employee_id: str
) -> None:
    for attempt in range(1, 6):
        with pytest.raises(LoginRefused) as refused:
            auth.login(db, employee_id, "wrong")
        assert (refused.value.locked_until is not None) == (attempt == 5)
    clock.advance(auth.LOCKED_FOR.total_seconds() - 1)
    with pytest.raises(LoginRefused) as refused:
        auth.login(db, employee_id, "5678")
    assert refused.value.locked_until == clock.now() + timedelta(seconds=1)
    clock.advance(1)
    with pytest.raises(LoginRefused) as refused:
        auth.login(db, employee_id, "wrong")
    assert refused.value.locked_until is None


def test_the_lock_survives_a_restart(db: Database, clock: ManualClock) -> None:
    for _ in range(5):
        with pytest.raises(LoginRefused):
            auth.login(db, "TECH-001", "wrong")
    url = db.url.unmasked()
    db.close()
    with Database(url, clock=clock) as again, pytest.raises(LoginRefused) as refused:
        auth.login(again, "TECH-001", "5678")
    assert refused.value.locked_until is not None


def test_twenty_guesses_at_once_are_five(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[str] = []
    matches = security.pin_matches

    def watching(pin_hash: str, pin: str) -> bool:
        compared.append(pin)
        return matches(pin_hash, pin)

    monkeypatch.setattr(security, "pin_matches", watching)
    results = at_once([lambda: auth.login(db, "TECH-001", "wrong")] * 20)
    assert all(isinstance(result, LoginRefused) for result in results), results
    assert len(compared) == auth.ATTEMPTS_MAX
    with pytest.raises(LoginRefused):
        auth.login(db, "TECH-001", "5678")


def test_a_login_forgets_the_failures_before(db: Database) -> None:
    for _ in range(3):
        for _ in range(4):
            with pytest.raises(LoginRefused):
                auth.login(db, "TECH-001", "wrong")
        auth.login(db, "TECH-001", "5678")
    assert count(db, LoginAttempt) == 0


def test_what_is_over_is_swept_away(db: Database, clock: ManualClock) -> None:
    auth.login(db, "TECH-001", "5678")
    for guess in ("A", "B", "C"):
        with pytest.raises(LoginRefused):
            auth.login(db, guess, "wrong")
    tidy(db)
    assert (count(db, LoginAttempt), count(db, LoginSession)) == (3, 1)
    clock.advance(auth.ATTEMPTS_KEPT.total_seconds() + 1)
    tidy(db)
    assert (count(db, LoginAttempt), count(db, LoginSession)) == (0, 0)


def test_a_pin_typed_as_employee_id_is_not_kept(db: Database) -> None:
    with pytest.raises(LoginRefused):
        auth.login(db, "804215", "TECH-001")
    with db.read_session() as session:
        (kept,) = session.scalars(select(LoginAttempt.employee_id_hash))
    assert "804215" not in kept


def test_logout_ends_one_session(db: Database) -> None:
    here, there = auth.login(db, "TECH-001", "5678"), auth.login(db, "TECH-001", "5678")
    with db.write_session() as session:
        active = auth.resume(session, here.token)
        assert active is not None
        auth.logout(session, active.id)
    with db.read_session() as session:
        assert auth.resume(session, here.token) is None
        assert auth.resume(session, there.token) is not None


def test_an_idle_session_ends(db: Database, clock: ManualClock) -> None:
    token = auth.login(db, "TECH-001", "5678").token
    clock.advance(auth.IDLE_MAX.total_seconds() - 1)
    with db.write_session() as session:
        active = auth.resume(session, token)
        assert active is not None
        assert active.needs_touch
        auth.touch(session, active.id)
    clock.advance(auth.IDLE_MAX.total_seconds() - 1)
    with db.read_session() as session:
        assert auth.resume(session, token) is not None
        clock.advance(1)
        assert auth.resume(session, token) is None


def test_a_session_in_use_ends_after_a_shift(db: Database, clock: ManualClock) -> None:
    fresh = auth.login(db, "TECH-001", "5678")
    while clock.now() < fresh.expires_at:
        with db.write_session() as session:
            active = auth.resume(session, fresh.token)
            assert active is not None
            auth.touch(session, active.id)
        clock.advance(3600)
    with db.read_session() as session:
        assert auth.resume(session, fresh.token) is None


@pytest.mark.parametrize("token", ["", "x", "\x00", "\ud800", "a" * 100_000])
def test_a_token_nobody_has_opens_nothing(db: Database, token: str) -> None:
    auth.login(db, "TECH-001", "5678")
    with db.read_session() as session:
        assert auth.resume(session, token) is None


def test_changing_the_pin_ends_every_session(db: Database, who: People) -> None:
    phone, kiosk = (auth.login(db, "TECH-001", "5678") for _ in range(2))
    other = auth.login(db, "OP-001", "0000")
    auth.change_pin(db, phone.who, "5678", "804215")
    with db.read_session() as session:
        assert auth.resume(session, phone.token) is None
        assert auth.resume(session, kiosk.token) is None
        assert auth.resume(session, other.token) is not None
    with pytest.raises(LoginRefused):
        auth.login(db, "TECH-001", "5678")
    assert not auth.login(db, "TECH-001", "804215").who.has_demo_pin


def test_a_stolen_session_cannot_guess_the_pin(db: Database, who: People) -> None:
    for _ in range(5):
        with pytest.raises(LoginRefused):
            auth.change_pin(db, who.technician, "0001", "804215")
    with pytest.raises(LoginRefused):
        auth.change_pin(db, who.technician, "5678", "804215")


def test_a_new_pin_is_strong_and_new(db: Database, who: People) -> None:
    auth.change_pin(db, who.technician, "5678", "804215")
    with pytest.raises(Invalid):
        auth.change_pin(db, who.technician, "804215", "804215")
    with pytest.raises(WeakPin):
        auth.change_pin(db, who.technician, "804215", "123456")
    with pytest.raises(WeakPin):
        auth.change_pin(db, who.technician, "804215", "5678")


def test_two_pin_changes_at_once_leave_one_pin(db: Database, who: People) -> None:
    results = at_once(
        [
            lambda pin=pin: auth.change_pin(db, who.technician, "5678", pin)
            for pin in ("804215", "718293")
        ]
    )
    worked = [
        pin
        for pin, result in zip(("804215", "718293"), results, strict=True)
        if result is None
    ]
    assert len(worked) == 1, results
    auth.login(db, "TECH-001", worked[0])


def test_a_given_pin_opens_one_door_only(db: Database, who: People) -> None:
    with acting(db, who.admin) as session:
        new = people.reset_pin(session, who.admin, who.technician.user_id)
    assert new.pin not in repr(new)
    guest = auth.login(db, "TECH-001", new.pin).who
    assert guest.must_change_pin
    with db.read_session() as session:
        with pytest.raises(PinChangeRequired):
            orders.list_orders(session, guest)
        with pytest.raises(PinChangeRequired):
            orders.get_order(session, guest, order_id("label"))
        with pytest.raises(PinChangeRequired):
            people.list_users(session, guest)
    auth.change_pin(db, guest, new.pin, "804215")
    assert not identity(db, "TECH-001").must_change_pin


def test_a_reset_unlocks_and_signs_out(db: Database, who: People) -> None:
    token = auth.login(db, "TECH-001", "5678").token
    for _ in range(5):
        with pytest.raises(LoginRefused):
            auth.login(db, "TECH-001", "wrong")
    with acting(db, who.admin) as session:
        new = people.reset_pin(session, who.admin, who.technician.user_id)
    with db.read_session() as session:
        assert auth.resume(session, token) is None
    auth.login(db, "TECH-001", new.pin)


def test_a_deactivated_user_is_out_at_once(db: Database, who: People) -> None:
    token = auth.login(db, "TECH-001", "5678").token
    with acting(db, who.admin) as session:
        user = session.get_one(User, who.technician.user_id)
        people.set_active(
            session, who.admin, user.id, is_active=False, expected_version=user.version
        )
    with db.read_session() as session:
        assert auth.resume(session, token) is None
    with pytest.raises(LoginRefused):
        auth.login(db, "TECH-001", "5678")


def test_only_administrators_give_pins(db: Database, who: People) -> None:
    for other in (who.technician, who.operator, who.storekeeper):
        with pytest.raises(Forbidden), acting(db, other) as session:
            people.reset_pin(session, other, who.admin.user_id)
