"""The ``fixit`` command: serve, and the few things that need no browser.

    fixit serve --demo            try it out on a SQLite file
    fixit create-admin ADA-001 "Ada Brandt"
    fixit reset-pin TECH-001
    fixit run-schedules           for cron, where no server runs

Owns arguments and printing. Results go to stdout, everything else to stderr.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from fixit import security
from fixit.errors import FixitError, NotThere
from fixit.models import User
from fixit.permissions import ADMINISTRATOR
from fixit.project import open_database, prepare
from fixit.services import people, schedules
from lockstep import Database
from lockstep.errors import LockstepError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0 done, 1 refused."""
    options = _parser().parse_args(arguments)
    try:
        with open_database(options.url) as db:
            options.run(db, options)
    except (FixitError, LockstepError) as error:
        print(f"fixit: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _serve(db: Database, options: argparse.Namespace) -> None:
    from fixit import server

    prepare(db, demo=options.demo)
    server.serve(db, host=options.host, port=options.port, browser=options.open)


def _create_admin(db: Database, options: argparse.Namespace) -> None:
    prepare(db)
    pin = security.new_pin()
    with db.write_session(actor="command") as session:
        user = people.add_user(
            session,
            options.employee_id,
            options.name,
            ADMINISTRATOR,
            pin,
            must_change_pin=True,
        )
    _tell_pin(user, pin)


def _reset_pin(db: Database, options: argparse.Namespace) -> None:
    pin = security.new_pin()
    with db.write_session(actor="command") as session:
        user = session.scalar(
            select(User)
            .where(User.employee_id == options.employee_id.upper())
            .options(joinedload(User.role))
        )
        if user is None:
            raise NotThere(f"Nobody has the employee id {options.employee_id}.")
        people.give_pin(session, user, pin)
    _tell_pin(user, pin)


def _run_schedules(db: Database, options: argparse.Namespace) -> None:
    del options
    with db.write_session(actor="scheduler") as session:
        made = schedules.run_due(session)
    for order in made:
        print(f"#{order.number} {order.title}")


def _tell_pin(user: User, pin: str) -> None:
    print(pin)
    print(
        f"This PIN lets {user.name} ({user.employee_id}) in once; "
        "the first page asks for a new one.",
        file=sys.stderr,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fixit", description="Maintenance for a factory, on one database."
    )
    parser.add_argument(
        "--url", help="the database; default: DATABASE_URL, else local.db"
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    serve = verbs.add_parser("serve", help="start the pages and the API")
    serve.add_argument("--demo", action="store_true", help="add the demo factory")
    serve.add_argument("--host", default="127.0.0.1", help="0.0.0.0 for the whole LAN")
    serve.add_argument(
        "--port", type=int, help="default: 8000, or the next one that is free"
    )
    serve.add_argument("--open", action="store_true", help="open the browser")
    serve.set_defaults(run=_serve)

    admin = verbs.add_parser("create-admin", help="add an administrator, print a PIN")
    admin.add_argument("employee_id")
    admin.add_argument("name")
    admin.set_defaults(run=_create_admin)

    reset = verbs.add_parser("reset-pin", help="print a new PIN for somebody")
    reset.add_argument("employee_id")
    reset.set_defaults(run=_reset_pin)

    due = verbs.add_parser("run-schedules", help="make the orders that are due")
    due.set_defaults(run=_run_schedules)
    return parser


if __name__ == "__main__":
    sys.exit(main())
