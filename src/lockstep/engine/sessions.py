"""Sessions: a unit of work with a beginning, an end and our errors.

Owns commit, rollback and the translation of errors at a session's edge. It knows
no dialect: how a transaction begins is the engine's hook.

    enter ──► work ──► commit                 (write)
          │        └─► nothing changed? end   (read)
          └─► any error ──► rollback ──► classify ──► raise ours from theirs

Invariant: after the block the connection is back in the pool and no transaction
is open, whatever happened in it, also when the task was cancelled.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn

import sqlalchemy as sa
import sqlalchemy.exc as sa_exc
from sqlalchemy.orm import Session

from lockstep.engine.classify import classify
from lockstep.errors import AccessDenied, ConnectionLost, ReadOnlySession

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

ACTOR = "lockstep.actor"
CLOCK = "lockstep.clock"
DATABASE = "lockstep.database"

MAY_HAVE_WRITTEN = "lockstep.may_have_written"
"""Set in a connection's ``info`` by a dialect when a read transaction ran more than
queries."""


FAILED_EARLIER = "an earlier statement of this transaction failed; nothing is written"
FAILED_EARLIER_HINT = (
    "let its error leave the block, or run what may fail in session.begin_nested()"
)

_READING_TAGS = ("SELECT", "FETCH", "SHOW", "EXPLAIN", "DECLARE CURSOR", "CLOSE CURSOR")
"""How PostgreSQL names a statement that only reads."""


def note_statement(connection: sa.Connection, cursor: Any) -> None:
    """Note whether a read transaction did anything but read.

    One that did (``SET``, which would outlive it) ends with a rollback. The others
    end with a commit: after a rollback psycopg throws away every statement that the
    connection has prepared.
    """
    if connection.info.get(MAY_HAVE_WRITTEN) is not False:
        return
    # SQLAlchemy's async cursor wraps psycopg's and does not pass the tag on.
    tag: str = getattr(cursor, "_cursor", cursor).statusmessage or ""
    if not tag.startswith(_READING_TAGS):
        connection.info[MAY_HAVE_WRITTEN] = True


class ReadSession(Session):
    """A session that keeps nothing."""

    def commit(self) -> None:
        """End the snapshot; refuse if an object was added, changed or deleted.

        Raises:
            ReadOnlySession: It was. Dropping the change without a word would be
                worse.
        """
        changed = [*self.new, *self.deleted, *filter(self.is_modified, self.dirty)]
        if changed:
            kinds = sorted({type(instance).__name__ for instance in changed})
            raise ReadOnlySession(
                f"objects were changed in a read session: {', '.join(kinds)}",
                detail={"models": kinds},
            )
        if self.in_transaction() and self.connection().info.get(MAY_HAVE_WRITTEN):
            self.expunge_all()  # a rollback would empty what was read
            self.rollback()
        else:
            super().commit()


@contextmanager
def session_scope(
    engine: sa.Engine, info: dict[str, Any], *, read_only: bool
) -> Generator[Session]:
    """Yield a session that ends with the block."""
    kind = ReadSession if read_only else Session
    session = kind(engine, expire_on_commit=False, info=info)
    try:
        try:
            yield session
            session.commit()
        except BaseException:
            _roll_back(session)
            raise
        finally:
            session.close()
    except Exception as error:
        raise_classified(error)


@asynccontextmanager
async def async_session_scope(
    engine: AsyncEngine, info: dict[str, Any], *, read_only: bool
) -> AsyncGenerator[AsyncSession]:
    """Yield an async session that ends with the block."""
    from sqlalchemy.ext.asyncio import AsyncSession

    session = AsyncSession(
        engine,
        expire_on_commit=False,
        info=info,
        sync_session_class=ReadSession if read_only else Session,
    )
    try:
        # Leaving the block closes, and so rolls back, under a shield: a task
        # that is cancelled does not leave a transaction open.
        async with session:
            try:
                yield session
                await session.commit()
            except Exception:
                session.expunge_all()
                with suppress(sa_exc.SQLAlchemyError, OSError):
                    await session.rollback()
                raise
    except Exception as error:
        raise_classified(error)


def raise_classified(error: Exception) -> NoReturn:
    """Raise what ``error`` means; ``error`` itself when it is not ours to name."""
    meaning = classify(error)
    if meaning is None or meaning is error:
        raise error
    if isinstance(error, sa_exc.StatementError) and error.orig is meaning:
        # Ours from the start (a value that could not be bound), only wrapped.
        raise meaning from meaning.__cause__
    if isinstance(meaning, ConnectionLost | AccessDenied):
        _forget_frames(error)
    raise meaning from error


def _forget_frames(error: BaseException | None) -> None:
    """Drop the frames of a failed login: their variables hold the password.

    Python does not show variables, but pytest and crash reporters do.
    """
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def _roll_back(session: Session) -> None:
    # ``rollback()`` expires what the session holds, and whoever handles the error
    # could not show it any more. What was new becomes new again: a second try may
    # add the same instances, where a merely closed session would lose them.
    session.expunge_all()
    try:
        session.rollback()
    except (sa_exc.SQLAlchemyError, OSError):
        # The connection itself is gone, and the transaction with it. The error
        # that led here says more, and is the one that is raised.
        session.invalidate()
