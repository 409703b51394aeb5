"""Instances a session knew before a read, brought up to what the read saw.

Owns what SQLAlchemy leaves to its caller: a SELECT does not touch instances that
the session holds already, and ``populate_existing`` would make them forget the
relationships loaded before. So a read notes which instances it made; the others
get their columns again, and the relationships that the read names, with one query
per class. In a new session, the usual case, there are none and nothing is asked.

Changes that were not flushed yet are never overwritten.
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

import sqlalchemy as sa
from sqlalchemy import event, orm

from lockstep.engine.sessions import ReadSession
from lockstep.repository.facts import facts_of
from lockstep.repository.keys import conditions
from lockstep.repository.loading import Tree, eager_names, members_of
from lockstep.repository.refreshing import refresh_many

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from sqlalchemy.orm import Session
    from sqlalchemy.orm.interfaces import ORMOption

_NOTED: Final = "lockstep.loading"


@contextmanager
def noting_loads(session: Session) -> Generator[set[orm.InstanceState[Any]]]:
    """Collect the instances that the session makes from rows within the block."""
    outer = session.info.get(_NOTED)
    noted: set[orm.InstanceState[Any]] = set()
    session.info[_NOTED] = noted
    try:
        yield noted
    finally:
        if outer is None:
            session.info.pop(_NOTED, None)
        else:
            session.info[_NOTED] = outer


def _note(state: orm.InstanceState[Any], context: Any) -> None:
    noted = context.session.info.get(_NOTED)
    if noted is not None:
        noted.add(state)


event.listen(orm.Mapper, "load", _note, raw=True)


@dataclass
class Freshening:
    """One read's work on instances that were there before it.

    Attributes:
        noted: Instances that the read itself made or has freshened.
        options: What hides rows in the queries made here.
    """

    session: Session
    noted: set[orm.InstanceState[Any]]
    options: Sequence[ORMOption]
    seen: set[tuple[orm.InstanceState[Any], int]] = field(
        default_factory=set[tuple[orm.InstanceState[Any], int]]
    )

    def freshen(self, instances: Iterable[object], tree: Tree) -> None:
        """Freshen these instances and what the tree of relationships leads to."""
        waiting = deque([(list(instances), tree)])
        while waiting:
            members, branch = waiting.popleft()
            states = self._unseen(members, branch)
            self._refresh(states, branch)
            self._complete(states, branch)
            for key in dict.fromkeys(
                key
                for state in states
                for key in _wanted(state, branch)
                if key in state.mapper.relationships
            ):
                below = [
                    each for state in states for each in members_of(state.dict.get(key))
                ]
                if below:
                    waiting.append((below, branch.get(key, _LEAF)))

    def _unseen(
        self, members: Iterable[object], branch: Tree
    ) -> list[orm.InstanceState[Any]]:
        states: list[orm.InstanceState[Any]] = []
        for member in members:
            state = cast("orm.InstanceState[Any]", sa.inspect(member))
            if (state, id(branch)) not in self.seen:
                self.seen.add((state, id(branch)))
                states.append(state)
        return states

    def _refresh(self, states: list[orm.InstanceState[Any]], branch: Tree) -> None:
        known = [
            state
            for state in states
            if state not in self.noted and state.persistent and not state.modified
        ]
        # A read session is one snapshot, so what it read before is still true.
        if not known or isinstance(self.session, ReadSession):
            return
        self.noted.update(known)
        refresh_many(self.session, [state.obj() for state in known], tuple(branch))
        for state in known:
            again = [
                key
                for key in _wanted(state, branch)
                if key in state.dict and key in state.mapper.relationships
            ]
            if again:
                self.session.expire(cast("object", state.obj()), again)

    def _complete(self, states: list[orm.InstanceState[Any]], branch: Tree) -> None:
        """Load what the tree names and an instance has not."""
        groups: dict[type[Any], list[tuple[Any, ...]]] = {}
        for state in states:
            if state.persistent and any(
                key not in state.dict for key in _wanted(state, branch)
            ):
                key = tuple(cast("tuple[Any, ...]", state.identity))
                groups.setdefault(state.class_, []).append(key)
        for model, keys in groups.items():
            facts = facts_of(model)
            statement = sa.select(model).options(
                *self.options, *_tree_options(facts.mapper, branch)
            )
            for condition in conditions(self.session, facts.key_attributes, keys):
                with noting_loads(self.session) as noted:
                    result = self.session.execute(statement.where(condition))
                    result.unique().all()
                self.noted |= noted


_LEAF: Tree = {}


def _wanted(state: orm.InstanceState[Any], branch: Tree) -> list[str]:
    mapper = state.mapper
    named = [key for key in branch if key in mapper.attrs]
    return [*named, *(key for key in eager_names(mapper) if key not in branch)]


def _tree_options(mapper: orm.Mapper[Any], branch: Tree) -> list[ORMOption]:
    options: list[ORMOption] = []
    for key, below in branch.items():
        prop = mapper.attrs.get(key)
        attribute = getattr(mapper.class_, key, None)
        if isinstance(prop, orm.RelationshipProperty):
            option = orm.selectinload(cast("Any", attribute))
            options.append(option.options(*_tree_options(prop.mapper, below)))  # pyright: ignore[reportArgumentType] - a Load's own options
        elif isinstance(prop, orm.ColumnProperty):
            options.append(orm.undefer(cast("Any", attribute)))
    return options
