"""Users, roles, and the last administrator."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from acting import People, acting, at_once, identity

from fixit.errors import Forbidden, Invalid, LastAdministrator, NotThere
from fixit.models import User
from fixit.permissions import ROLES, Identity, allows
from fixit.services import auth, people
from lockstep import Database
from lockstep.errors import StaleVersion


def do(db: Database, who: Identity, action: Callable[..., Any], *args: Any, **kw: Any):
    with acting(db, who) as session:
        return action(session, who, *args, **kw)


def version(db: Database, who: Identity) -> int:
    with db.read_session() as session:
        return session.get_one(User, who.user_id).version


@pytest.mark.parametrize(
    ("granted", "permission", "allowed"),
    [
        (["*"], "users:manage", True),
        (["stock:*"], "stock:take", True),
        (["stock:*"], "stocks:take", False),
        (["stock:take"], "stock:take", True),
        (["stock:take"], "stock:manage", False),
        ([], "stock:take", False),
    ],
)
def test_a_permission_is_resource_and_action(
    granted: list[str], permission: str, allowed: bool
) -> None:
    assert allows(granted, permission) is allowed


def test_a_new_user_signs_in_with_the_pin_shown_once(db: Database, who: People) -> None:
    new = do(
        db,
        who.admin,
        people.create_user,
        employee_id="tech-002",
        name="Tina",
        role="technician",
    )
    assert new.user.employee_id == "TECH-002"
    assert new.pin not in new.user.pin_hash
    assert auth.login(db, "tech-002", new.pin).who.must_change_pin
    assert not identity(db, "TECH-002").has_demo_pin


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("employee_id", "ADMIN-001"),
        ("employee_id", "admin-001"),
        ("employee_id", ""),
        ("employee_id", "a b"),
        ("employee_id", "X" * 33),
        ("name", " "),
        ("name", "N" * 121),
        ("role", "root"),
    ],
)
def test_a_new_user_is_checked(
    db: Database, who: People, field: str, value: str
) -> None:
    form = {"employee_id": "TECH-002", "name": "Tina", "role": "technician"}
    with pytest.raises(Invalid) as refused:
        do(db, who.admin, people.create_user, **{**form, field: value})
    assert list(refused.value.fields) == [field]


def test_a_new_role_signs_out(db: Database, who: People) -> None:
    token = auth.login(db, "OP-001", "0000").token
    changed = do(
        db,
        who.admin,
        people.change_user,
        who.operator.user_id,
        name="Olga P.",
        role="technician",
        expected_version=version(db, who.operator),
    )
    assert changed.name == "Olga P."
    with db.read_session() as session:
        assert auth.resume(session, token) is None
    assert identity(db, "OP-001").may("work_orders:work")


def test_two_administrators_edit_one_user(db: Database, who: People) -> None:
    seen = version(db, who.operator)

    def rename(name: str) -> None:
        do(
            db,
            who.admin,
            people.change_user,
            who.operator.user_id,
            name=name,
            role="operator",
            expected_version=seen,
        )

    rename("First")
    with pytest.raises(StaleVersion):
        rename("Second")
    assert identity(db, "OP-001").name == "First"


def test_the_last_administrator_stays(db: Database, who: People) -> None:
    me = who.admin.user_id
    for action, change in (
        (people.set_active, {"is_active": False}),
        (people.change_user, {"name": "Ada", "role": "operator"}),
    ):
        with pytest.raises(LastAdministrator):
            do(
                db,
                who.admin,
                action,
                me,
                expected_version=version(db, who.admin),
                **change,
            )


def test_two_administrators_cannot_remove_each_other(db: Database, who: People) -> None:
    with acting(db, who.admin) as session:
        people.add_user(
            session, "ADMIN-002", "Adam", "administrator", "1", must_change_pin=False
        )
    other = identity(db, "ADMIN-002")
    versions = {admin: version(db, admin) for admin in (who.admin, other)}

    def remove(me: Identity, you: Identity) -> User:
        return do(
            db,
            me,
            people.set_active,
            you.user_id,
            is_active=False,
            expected_version=versions[you],
        )

    results = at_once(
        [lambda: remove(who.admin, other), lambda: remove(other, who.admin)]
    )
    assert sum(isinstance(r, LastAdministrator) for r in results) == 1, results
    with db.read_session() as session:
        users = [session.get_one(User, admin.user_id) for admin in versions]
    assert sorted(user.is_active for user in users) == [False, True]


def test_somebody_may_come_back(db: Database, who: People) -> None:
    for is_active in (False, True):
        do(
            db,
            who.admin,
            people.set_active,
            who.operator.user_id,
            is_active=is_active,
            expected_version=version(db, who.operator),
        )
    auth.login(db, "OP-001", "0000")


def test_only_administrators_see_users(db: Database, who: People) -> None:
    with db.read_session() as session:
        page = people.list_users(session, who.admin)
        assert [user.employee_id for user in page.items] == [
            "ADMIN-001",
            "OP-001",
            "STORE-001",
            "TECH-001",
        ]
        assert page.items[0].role.title == "Administrator"
        for other in (who.technician, who.operator, who.storekeeper):
            with pytest.raises(Forbidden):
                people.list_users(session, other)
        with pytest.raises(NotThere):
            people.get_user(session, who.admin, uuid.uuid4())
        assert [user.name for user in people.list_workers(session, who.admin)] == [
            "Ada Brandt",
            "Tomas Weber",
        ]
        assert {role.name for role in people.list_roles(session)} == set(ROLES)
