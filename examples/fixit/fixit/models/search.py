"""Search that does not care about case, the same on every engine."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import ColumnElement, event
from sqlalchemy.orm import Mapped, mapped_column

from fixit.validation import folded
from lockstep import Text

WORDS_MAX = 8


class Searchable:
    """Give a model ``search_text``: the words of the attributes in ``__search__``.

    Kept by every flush. Folding here and not in SQL lets É find é on both engines;
    SQLite's own ``lower`` knows ASCII only, and LIKE differs between them.
    """

    __search__: ClassVar[tuple[str, ...]]

    search_text: Mapped[str] = mapped_column(Text, default="")

    @classmethod
    def matching(cls, search: str) -> list[ColumnElement[bool]]:
        """Return a condition for each word that somebody typed."""
        return [
            cls.search_text.contains(word, autoescape=True)
            for word in folded(search).split()[:WORDS_MAX]
        ]


@event.listens_for(Searchable, "before_insert", propagate=True)
@event.listens_for(Searchable, "before_update", propagate=True)
def _fold(_mapper: Any, _connection: Any, row: Searchable) -> None:
    row.search_text = folded(str(getattr(row, name)) for name in row.__search__)
