"""The base of FixIt's models: one metadata for both engines."""

from __future__ import annotations

from sqlalchemy.orm import DeclarativeBase

from lockstep import Portable


class Base(Portable, DeclarativeBase):
    """What every table of FixIt is made from."""
