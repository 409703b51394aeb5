"""What lies where: lists, receiving, counting, and the ledger of every movement.

``move`` is the only way a quantity changes: a guarded addition and a ledger line in
one transaction, so the sum of a bin's lines is always what lies in it.
"""

from __future__ import annotations

import uuid
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload, selectinload

from fixit.clock import now
from fixit.errors import Invalid, NotThere
from fixit.models import (
    InventoryLevel,
    InventoryTransaction,
    Location,
    Movement,
    SparePart,
)
from fixit.permissions import Identity, require
from fixit.services.events import publish
from fixit.services.locking import lock_row
from fixit.validation import code, request_key, text, whole
from lockstep import Page, Repository

PAGE_SIZE = 50
LOW_SHOWN_MAX = 200
QUANTITY_MAX = 1_000_000
PRICE_MAX = 10**9


def list_parts(
    session: Session,
    who: Identity,
    *,
    search: str = "",
    after: str | None = None,
    before: str | None = None,
    size: int = PAGE_SIZE,
) -> Page[SparePart]:
    """Return a page of parts by name, with their bins.

    A page shows ``low_parts`` above the first page of these.
    """
    require(who, "stock:view")
    return Repository(SparePart, session).page(
        *SparePart.matching(search),
        order_by=(SparePart.name.asc(), SparePart.id.asc()),
        size=size,
        after=after,
        before=before,
        load=(SparePart.levels,),
    )


def low_parts(session: Session, who: Identity) -> list[SparePart]:
    """Return the parts to order, the emptiest first, at most 200, with their bins."""
    require(who, "stock:view")
    on_hand = func.coalesce(func.sum(InventoryLevel.quantity), 0)
    low = (
        select(SparePart)
        .outerjoin(SparePart.levels)
        .where(SparePart.deleted_at.is_(None))
        .group_by(SparePart.id)
        .having(on_hand <= SparePart.reorder_point)
        .order_by(on_hand - SparePart.reorder_point, SparePart.name, SparePart.id)
        .options(selectinload(SparePart.levels))
        .limit(LOW_SHOWN_MAX)
    )
    return list(session.scalars(low))


def get_part(session: Session, who: Identity, part_id: uuid.UUID) -> SparePart:
    """Return a part with its bins and where they are.

    Raises:
        NotThere: No such part.
    """
    require(who, "stock:view")
    part = session.scalar(
        select(SparePart)
        .where(SparePart.id == part_id, SparePart.deleted_at.is_(None))
        .options(selectinload(SparePart.levels).joinedload(InventoryLevel.location))
    )
    if part is None:
        raise NotThere("There is no such part.")
    return part


def ledger(
    session: Session, who: Identity, part_id: uuid.UUID, *, after: str | None = None
) -> Page[InventoryTransaction]:
    """Return a page of a part's movements, newest first, with who and what for."""
    require(who, "stock:view")
    return Repository(InventoryTransaction, session).page(
        InventoryTransaction.part_id == part_id,
        order_by=(InventoryTransaction.at.desc(), InventoryTransaction.id.desc()),
        size=PAGE_SIZE,
        after=after,
        load=(
            InventoryTransaction.user,
            InventoryTransaction.work_order,
            InventoryTransaction.level,
        ),
    )


def add_part(
    session: Session,
    who: Identity,
    *,
    sku: str,
    name: str,
    unit: str = "pcs",
    unit_cost: Decimal = Decimal(0),
    reorder_point: int = 0,
) -> SparePart:
    """Add a kind of part; it lies nowhere until some are received.

    Raises:
        Duplicate: The SKU is taken.
    """
    require(who, "stock:manage")
    clean_sku, clean_name = code(sku, "sku"), text(name, "name", most=120)
    part = Repository(SparePart, session).add(
        SparePart(
            sku=clean_sku,
            name=clean_name,
            unit=text(unit, "unit", most=20),
            unit_cost=_price(unit_cost),
            reorder_point=whole(
                reorder_point, "reorder_point", least=0, most=QUANTITY_MAX
            ),
        )
    )
    publish(session, "stock", "added", part.id)
    return part


def change_part(
    session: Session,
    who: Identity,
    part_id: uuid.UUID,
    *,
    name: str,
    unit_cost: Decimal,
    reorder_point: int,
    expected_version: int,
) -> SparePart:
    """Change what is known of a part; what lies where is not touched.

    Raises:
        StaleVersion: Somebody else changed it meanwhile.
    """
    require(who, "stock:manage")
    get_part(session, who, part_id)
    changed = Repository(SparePart, session).update(
        part_id,
        {
            "name": text(name, "name", most=120),
            "unit_cost": _price(unit_cost),
            "reorder_point": whole(
                reorder_point, "reorder_point", least=0, most=QUANTITY_MAX
            ),
        },
        expected_version=expected_version,
    )
    publish(session, "stock", "changed", part_id)
    return changed


def receive(
    session: Session,
    who: Identity,
    part_id: uuid.UUID,
    location_id: uuid.UUID,
    quantity: int,
    *,
    bin_label: str = "",
    reason: str = "",
    request: str | None = None,
) -> InventoryTransaction:
    """Put delivered parts into a bin; the bin is made when it is new."""
    require(who, "stock:manage")
    label = text(bin_label, "bin", most=40, least=0)
    # Locking the part lets two deliveries into one new bin pass one by one.
    part = lock_row(session, SparePart, part_id)
    if part is None or session.get(Location, location_id) is None:
        raise NotThere("There is no such part or place.")
    if known := find_movement(session, who, request):
        return known
    levels = Repository(InventoryLevel, session)
    level = levels.find(
        InventoryLevel.part_id == part_id,
        InventoryLevel.location_id == location_id,
        InventoryLevel.bin == label,
    ) or levels.add(
        InventoryLevel(part_id=part_id, location_id=location_id, bin=label, quantity=0)
    )
    line = move(
        session,
        who,
        level.id,
        whole(quantity, "quantity", most=QUANTITY_MAX),
        Movement.RECEIVE,
        reason=text(reason, "reason", most=200, least=0),
        request=request_key(request),
    )
    publish(session, "stock", "received", part_id)
    return line


def count(
    session: Session,
    who: Identity,
    level_id: uuid.UUID,
    counted: int,
    *,
    reason: str,
) -> InventoryTransaction | None:
    """Correct a bin to what was counted in it; None when nothing differs.

    Parts taken while somebody counts are not given back: the difference is made
    against what lies there now, with the bin's row locked.
    """
    require(who, "stock:manage")
    level = lock_row(session, InventoryLevel, level_id)
    if level is None:
        raise NotThere("There is no such bin.")
    clean_reason = text(reason, "reason", most=200)
    delta = whole(counted, "counted", least=0, most=QUANTITY_MAX) - level.quantity
    if delta == 0:
        return None
    line = move(session, who, level.id, delta, Movement.COUNT, reason=clean_reason)
    publish(session, "stock", "counted", level.part_id)
    return line


def move(
    session: Session,
    who: Identity,
    level_id: uuid.UUID,
    delta: int,
    movement: Movement,
    *,
    work_order_id: uuid.UUID | None = None,
    reason: str = "",
    request: str | None = None,
) -> InventoryTransaction:
    """Change what lies in a bin by ``delta`` and write the ledger line.

    Raises:
        NotEnough: Fewer than ``-delta`` lie there; nothing was changed.
    """
    balance = Repository(InventoryLevel, session).adjust(
        level_id, InventoryLevel.quantity, delta, floor=0
    )
    level = session.get_one(InventoryLevel, level_id)
    return Repository(InventoryTransaction, session).add(
        InventoryTransaction(
            at=now(session),
            level_id=level_id,
            part_id=level.part_id,
            movement=movement,
            delta=delta,
            balance=balance,
            work_order_id=work_order_id,
            user_id=who.user_id,
            reason=reason,
            request_key=request,
        )
    )


def find_movement(
    session: Session, who: Identity, request: str | None
) -> InventoryTransaction | None:
    """Return the line that the same form made when it was sent before."""
    key = request_key(request)
    if key is None:
        return None
    return Repository(InventoryTransaction, session).find(
        InventoryTransaction.user_id == who.user_id,
        InventoryTransaction.request_key == key,
    )


def stores(session: Session) -> list[Location]:
    """Return every place something can lie, by code."""
    return list(
        session.scalars(
            select(Location)
            .where(Location.deleted_at.is_(None))
            .options(joinedload(Location.parent))
            .order_by(Location.code)
        )
    )


def _price(value: Decimal) -> Decimal:
    """Return a price in whole cents."""
    if not (value.is_finite() and 0 <= value < PRICE_MAX):
        raise Invalid({"unit_cost": "A price of 0 or more, please."})
    return value.quantize(Decimal("0.01"))
