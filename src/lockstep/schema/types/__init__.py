"""Portable column types: one module per family, one base for all.

What a type stores, per engine:

    type           PostgreSQL           SQLite (STRICT)
    Uuid           uuid                 TEXT, canonical
    UtcDateTime    timestamptz          TEXT, fixed width
    Date           date                 TEXT, ISO 8601
    Json           jsonb                TEXT, canonical, checked
    Array(item)    item[]               TEXT, JSON array, checked
    Decimal(p, s)  numeric(p, s)        INTEGER scaled by 10^s | sorting TEXT
    BigInteger     bigint               INTEGER
    Float          double precision     REAL
    Boolean        boolean              INTEGER, checked
    Text(n)        text | varchar(n)    TEXT, checked
    Enum(...)      varchar, checked     TEXT, checked
    Blob           bytea                BLOB
"""

from lockstep.schema.types.arrays import Array
from lockstep.schema.types.binary import Blob
from lockstep.schema.types.decimals import Decimal, Money
from lockstep.schema.types.enums import Enum
from lockstep.schema.types.json import Json
from lockstep.schema.types.keys import Uuid
from lockstep.schema.types.numbers import BigInteger, Boolean, Float
from lockstep.schema.types.portable import PortableType
from lockstep.schema.types.text import Text
from lockstep.schema.types.time import Date, UtcDateTime

__all__ = [
    "Array",
    "BigInteger",
    "Blob",
    "Boolean",
    "Date",
    "Decimal",
    "Enum",
    "Float",
    "Json",
    "Money",
    "PortableType",
    "Text",
    "UtcDateTime",
    "Uuid",
]
