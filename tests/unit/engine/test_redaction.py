"""Whatever is shown shows no secret."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.redaction import MASK, redact


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://u:hush@h/db", "postgresql://u:***@h/db"),
        ("postgres://u:hush@h:5432/db?sslmode=require", None),
        ("postgresql://u:hu@sh@h/db", "postgresql://u:***@h/db"),
        ("postgresql://:hush@h/db", "postgresql://:***@h/db"),
        ("host=h password=hush user=u", "host=h password=*** user=u"),
        ("host=h password = 'hush hush' user=u", None),
        ("postgresql://h/db?password=hush&x=1", "postgresql://h/db?password=***&x=1"),
        ("postgresql://h/db?sslpassword=hush", None),
        ("libsql://h?authToken=hush", "libsql://h?authToken=***"),
        ("connection to postgresql://u:hush@h failed", None),
        ("PGPASSWORD=hush", "PGPASSWORD=***"),
        ("https://h/?token=hush", "https://h/?token=***"),
    ],
)
def test_secrets_of_every_spelling_are_masked(text: str, shown: str | None) -> None:
    masked = redact(text)
    assert "hush" not in masked
    assert MASK in masked
    if shown is not None:
        assert masked == shown


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:////data/app.db",
        "postgresql://u@h:5432/db?sslmode=require&channel_binding=require",
        "the row exists already: uq_member_email",
        "",
    ],
)
def test_texts_without_secrets_stay_as_they_are(text: str) -> None:
    assert redact(text) == text


def test_known_secrets_are_masked_wherever_they_stand() -> None:
    text = redact('FATAL: no entry for "p@ss" (p%40ss)', secrets={"p@ss", ""})
    assert text == f'FATAL: no entry for "{MASK}" ({MASK})'


@given(
    st.text(
        st.characters(codec="utf-8", exclude_characters="@/'\" \t\n\r\x0b\x0c").filter(
            lambda c: not c.isspace()
        ),
        min_size=4,
    ).filter(lambda secret: secret not in "postgresql://anna:***@host/db")
)
def test_no_password_survives(secret: str) -> None:
    assert secret not in redact(f"postgresql://anna:{secret}@host/db")


@given(st.text())
def test_any_text_can_be_masked_twice(text: str) -> None:
    assert redact(redact(text)) == redact(text)
