"""What is asked of a move is done, or refused; nothing is passed over."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from lockstep.errors import InvalidPlan
from lockstep.mover import Mover, Rekey

MODELS = {"metadata": sa.MetaData(), "migrations": "migrations"}
POSTGRESQL = "postgresql:///new"


@pytest.mark.parametrize(
    ("ends", "wishes", "named"),
    [
        (("a.db", "http://localhost:1"), {"clean": True}, "--clean"),
        (("a.db", "http://localhost:1"), {"rekey": Rekey()}, "--rekey"),
        (("http://localhost:1", "a.db"), MODELS, "--models"),
        (("a.db", POSTGRESQL), {"utc": True, **MODELS}, "--utc"),
        (("a.db", POSTGRESQL), {"plan": "[tables.t]", **MODELS}, "--plan"),
        ((POSTGRESQL, "a.db"), {"utc": True, "clean": True}, "--clean and --utc"),
    ],
)
def test_a_wish_that_would_do_nothing_is_refused(
    ends: tuple[str, str], wishes: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidPlan, match=f"{named} would do nothing") as caught:
        Mover(*ends, **wishes)
    assert caught.value.hint == f"leave {named} out"


@pytest.mark.parametrize(
    ("ends", "wishes"),
    [
        (("a.db", POSTGRESQL), {"utc": True, "clean": True, "rekey": Rekey()}),
        (("a.db", POSTGRESQL), MODELS),
        ((POSTGRESQL, "a.db"), {"plan": "[tables.t]"}),
    ],
)
def test_a_wish_that_can_be_granted_is_not(
    ends: tuple[str, str], wishes: dict[str, Any]
) -> None:
    Mover(*ends, **wishes)
