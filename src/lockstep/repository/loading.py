"""What comes with an instance, and what happens when something did not.

Owns two things. ``load_options`` turns ``load=(Part.bin, Bin.rack)`` into eager
loading: one more query per relationship, never one per row. ``seal`` makes every
attribute that was not loaded raise ``NotLoaded`` when it is read, inside the
session, after it, and under asyncio alike: no surprise query, no MissingGreenlet,
no DetachedInstanceError.

Sealing uses the loader callables of SQLAlchemy's instance state. They are asked
only for attributes that have no value, so a later read that does load the
attribute replaces them without further ado.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.orm import attributes, interfaces
from sqlalchemy.orm.base import ATTR_EMPTY, NO_RAISE, PASSIVE_OFF, SQL_OK

from lockstep.errors import InvalidValue, NotLoaded
from lockstep.repository.facts import LAZY_QUERIES

if TYPE_CHECKING:
    from sqlalchemy.orm.interfaces import ORMOption

    from lockstep.repository.facts import ModelFacts

#: A relationship or deferred column; a path of them; or a SQLAlchemy loader option.
Load: TypeAlias = (
    "attributes.QueryableAttribute[Any] | Sequence[Any] | interfaces.ORMOption"
)


#: Names of attributes that a read loads, each with the tree below it.
Tree: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class LoadPlan:
    """How a query loads more than the rows' own columns.

    Attributes:
        options: What the SELECT is given.
        tree: Names of the relationships that get loaded, nested.
        follows_all: An option of the caller's own may load anything.
    """

    options: tuple[ORMOption, ...] = ()
    tree: Tree = field(default_factory=dict[str, Any])
    follows_all: bool = False


def load_plan(facts: ModelFacts[Any], load: Iterable[Load]) -> LoadPlan:
    """Return the plan for the ``load`` argument of a read.

    A relationship of the model itself stands alone; a relationship of a related
    model continues the one named before that leads to it; a tuple spells a path
    out, which a self reference needs: ``(Node.children, Node.children)``.

    Raises:
        InvalidValue: An element is no relationship or deferred column, or no
            element before it leads to its model.
    """
    options: list[ORMOption] = []
    paths: list[tuple[attributes.QueryableAttribute[Any], ...]] = []
    follows_all = False
    for item in load:
        if isinstance(item, interfaces.ORMOption):
            options.append(item)
            follows_all = True
        elif isinstance(item, tuple | list):
            paths.append(tuple(_attribute(facts, step) for step in item))
        else:
            paths.append(_placed(facts, _attribute(facts, item), paths))
    tree: Tree = {}
    for path in paths:
        branch = tree
        for step in path:
            branch = branch.setdefault(step.key, {})
        options.append(_option(path))
    options.extend(_subclass_options(facts))
    return LoadPlan(tuple(options), tree, follows_all)


def _attribute(
    facts: ModelFacts[Any], item: object
) -> attributes.QueryableAttribute[Any]:
    if isinstance(item, attributes.QueryableAttribute):
        found = cast("attributes.QueryableAttribute[Any]", item)
        prop = getattr(found, "prop", None)
        if isinstance(prop, orm.RelationshipProperty | orm.ColumnProperty):
            return found
    raise InvalidValue(
        f"load= takes relationships and deferred columns, not {item!r}",
        hint=f"for example load=({facts.name}.relationship,)",
    )


def _placed(
    facts: ModelFacts[Any],
    step: attributes.QueryableAttribute[Any],
    paths: list[tuple[attributes.QueryableAttribute[Any], ...]],
) -> tuple[attributes.QueryableAttribute[Any], ...]:
    owner = cast("orm.Mapper[Any]", step.parent)
    if facts.mapper.isa(owner) or owner.isa(facts.mapper):
        return (step,)
    for path in reversed(paths):
        target = cast("orm.Mapper[Any] | None", getattr(path[-1].prop, "mapper", None))
        if target is not None and (target.isa(owner) or owner.isa(target)):
            return (*path, step)
    raise InvalidValue(
        f"nothing in load= leads from {facts.name} to {step}",
        hint="name the relationship that leads to it before it",
    )


def _option(path: tuple[attributes.QueryableAttribute[Any], ...]) -> ORMOption:
    option: Any = None
    for step in path:
        start = orm if option is None else option
        if isinstance(step.prop, orm.ColumnProperty):
            option = start.undefer(step)
        else:
            option = start.selectinload(step)
    return cast("ORMOption", option)


def _subclass_options(facts: ModelFacts[Any]) -> list[ORMOption]:
    # Rows of a subclass come complete, instead of one query per row later.
    mapper = facts.mapper
    if mapper.polymorphic_on is None or mapper.concrete:
        return []
    below = [child.class_ for child in mapper.self_and_descendants if child != mapper]
    return [orm.selectin_polymorphic(facts.model, below)] if below else []


class _NotLoadedYet:
    """Stands where an unloaded attribute's value would be; picklable."""

    def __init__(self, key: str) -> None:
        self.key = key

    def __call__(
        self, state: orm.InstanceState[Any], passive: Any = PASSIVE_OFF
    ) -> Any:
        # SQLAlchemy's own bookkeeping (history, cascades) asks with these flags
        # and gets the ordinary answer; only a reader of the attribute is refused.
        if passive & NO_RAISE or not passive & SQL_OK:
            impl = cast("Any", state.manager[self.key]).impl
            if impl.callable_ is None:
                return ATTR_EMPTY
            return impl.callable_(state, passive)
        name = state.class_.__name__
        raise NotLoaded(
            f"{name}.{self.key} was not loaded by the query that read this {name}",
            hint=f"name it when reading: load=({name}.{self.key},)",
            detail={"model": name, "attribute": self.key},
        )


@dataclass(frozen=True)
class _Sealable:
    """The attributes of one class that may be absent from an instance."""

    seals: tuple[tuple[str, _NotLoadedYet], ...]
    eager: tuple[str, ...]
    relationships: tuple[str, ...]


_SEALABLE: WeakKeyDictionary[orm.Mapper[Any], _Sealable] = WeakKeyDictionary()
_EAGER = frozenset({"joined", "selectin", "subquery", "immediate", False})


def _sealable(mapper: orm.Mapper[Any]) -> _Sealable:
    known = _SEALABLE.get(mapper)
    if known is None:
        relationships = [
            prop for prop in mapper.relationships if prop.lazy not in LAZY_QUERIES
        ]
        keys = [prop.key for prop in relationships]
        keys += [prop.key for prop in mapper.column_attrs if prop.deferred]
        known = _SEALABLE[mapper] = _Sealable(
            seals=tuple((key, _NotLoadedYet(key)) for key in keys),
            eager=tuple(prop.key for prop in relationships if prop.lazy in _EAGER),
            relationships=tuple(prop.key for prop in relationships),
        )
    return known


def seal(instances: Iterable[object], plan: LoadPlan | None = None) -> None:
    """Let unloaded attributes of these instances raise ``NotLoaded`` when read.

    Follows only the relationships that the plan or the mapping itself loads, so
    the cost grows with what was read and not with what the session holds.
    """
    used = plan or LoadPlan()
    waiting = [(instance, used.tree) for instance in instances]
    seen: set[tuple[int, int]] = set()
    while waiting:
        instance, tree = waiting.pop()
        if (id(instance), id(tree)) in seen:
            continue
        seen.add((id(instance), id(tree)))
        state = cast("orm.InstanceState[Any]", sa.inspect(instance))
        sealable = _sealable(state.mapper)
        if not sealable.seals:
            continue
        _seal_one(state, sealable)
        follow: Iterable[str] = (*tree, *sealable.eager) if tree else sealable.eager
        if used.follows_all:
            follow = sealable.relationships
        for key in follow:
            if key not in sealable.relationships:
                continue
            below = tree.get(key, _NOTHING)
            waiting.extend((each, below) for each in members_of(state.dict.get(key)))


_NOTHING: Tree = {}


def _seal_one(state: orm.InstanceState[Any], sealable: _Sealable) -> None:
    values = state.dict
    for key, refusal in sealable.seals:
        if key not in values and key not in state.expired_attributes:
            if "callables" not in state.__dict__:
                state.callables = {}
            state.callables[key] = refusal


def seals_of(mapper: orm.Mapper[Any]) -> dict[str, Any]:
    """Return what refuses to be read of an instance whose columns alone are loaded."""
    return dict(_sealable(mapper).seals)


def eager_names(mapper: orm.Mapper[Any]) -> tuple[str, ...]:
    """Return the relationships that the mapping itself always loads."""
    return _sealable(mapper).eager


def members_of(value: object) -> Iterable[object]:
    """Return the instances in a relationship's value: none, one or many."""
    if value is None:
        return ()
    adapter = getattr(value, "_sa_adapter", None)
    if adapter is not None:
        return cast("Iterable[object]", adapter)
    return (value,)
