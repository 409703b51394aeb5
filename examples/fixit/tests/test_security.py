"""PINs and tokens, without a database."""

from __future__ import annotations

import threading

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st

from fixit import security
from fixit.errors import WeakPin

GUESSABLE = [
    "111111",
    "123456",
    "654321",
    "890123",
    "135791",
    "121212",
    "123123",
    "112211",
    "147258",
    "1234",
    "12345",
    "1234567890123",
    "12a456",
    "",
    "      ",
    "¹²³⁴⁵⁶",
    "١٢٣٤٥٩",
]


@pytest.mark.parametrize("pin", GUESSABLE)
def test_a_pin_that_can_be_guessed_is_refused(pin: str) -> None:
    with pytest.raises(WeakPin):
        security.check_new_pin(pin, employee_id="TECH-001")


@pytest.mark.parametrize("pin", ["804215", "718293", "90210447", "314159265358"])
def test_a_pin_that_is_hard_to_guess_is_accepted(pin: str) -> None:
    security.check_new_pin(pin, employee_id="TECH-001")


def test_the_digits_of_the_employee_id_are_no_pin() -> None:
    with pytest.raises(WeakPin):
        security.check_new_pin("804215", employee_id="T-804215")


@given(st.text(max_size=80))
def test_any_text_is_either_a_pin_or_refused(pin: str) -> None:
    try:
        security.check_new_pin(pin, employee_id="OP-001")
    except WeakPin:
        return
    assert pin.isascii()
    assert pin.isdigit()
    assert 6 <= len(pin) <= 12


def test_random_pins_are_accepted_and_differ() -> None:
    pins = {security.new_pin() for _ in range(50)}
    assert len(pins) > 45
    for pin in pins:
        security.check_new_pin(pin, employee_id="")


def test_a_hash_matches_its_pin_and_no_other() -> None:
    kept = security.hash_pin("804215")
    assert kept.startswith("$argon2id$")
    assert "804215" not in kept
    assert security.pin_matches(kept, "804215")
    for other in ("804216", "", "804215 ", "\x00", "\ud800", "8" * 10_000):
        assert not security.pin_matches(kept, other)


def test_in_production_a_guess_costs_64_mib(production_hasher: PasswordHasher) -> None:
    kept = production_hasher.hash("804215")
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert security.pin_matches(kept, "804215")
    assert not security.pin_matches(kept, "804216")


def test_the_same_pin_is_hashed_differently_each_time() -> None:
    assert security.hash_pin("804215") != security.hash_pin("804215")


def test_a_damaged_hash_matches_nothing() -> None:
    for kept in ("", "nonsense", "$argon2id$v=19$m=65536,t=3,p=4$x$y"):
        assert not security.pin_matches(kept, "804215")


def test_nobodys_hash_costs_what_a_users_hash_costs() -> None:
    assert (
        security.nobodys_hash().rsplit("$", 2)[0]
        == (security.hash_pin("804215").rsplit("$", 2)[0])
    )


def test_a_flood_of_logins_waits_for_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    inside: list[int] = []
    most: list[int] = []
    hasher = security.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)

    class Watching:
        def hash(self, pin: str) -> str:
            inside.append(1)
            most.append(len(inside))
            try:
                return hasher.hash(pin)
            finally:
                inside.pop()

    monkeypatch.setattr(security, "_hasher", Watching())
    threads = [
        threading.Thread(target=security.hash_pin, args=("1",)) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 20
    assert max(most) <= security.HASHES_AT_ONCE_MAX


def test_tokens_have_256_bits_and_are_kept_as_hashes() -> None:
    token = security.new_token()
    assert len(token) >= 43
    assert token != security.new_token()
    assert token not in security.hash_token(token)
    assert security.csrf_token(token) != security.hash_token(token)
    assert security.hash_token("\ud800") != security.hash_token("?")


def test_secrets_are_compared_whatever_they_are() -> None:
    assert security.is_same("ü\ud800", "ü\ud800")
    assert not security.is_same("a", "ä")
    assert not security.is_same("", "a")
