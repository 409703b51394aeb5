"""Django's ORM, used without a site, on a SQLite file."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from lockstep.bench.scenario import Missing, Place
from lockstep.bench.shelf import PartRow, Shelf

_made: list[Any] = []


class DjangoShelf(Shelf):
    """Instances of a Django model."""

    name = "Django"

    def __init__(self) -> None:
        self._alias = ""

    def open(self, place: Place) -> None:
        """Configure Django, once in a process, and make the table.

        Raises:
            Missing: Django is not installed.
        """
        if find_spec("django") is None:
            raise Missing("needs Django", hint="pip install 'lockstep-db[bench]'")
        self._model = _model()
        self._db: Any = import_module("django.db")
        self._alias = f"bench_{uuid.uuid4().hex[:8]}"
        connections: Any = self._db.connections
        connections.databases[self._alias] = {
            **connections.databases["default"],
            "NAME": str(place.folder() / "bench.db"),
        }
        with connections[self._alias].schema_editor() as editor:
            editor.create_model(self._model)

    @property
    def _rows(self) -> Any:
        return self._model.objects.using(self._alias)

    def _atomic(self) -> Any:
        return self._db.transaction.atomic(using=self._alias)

    def get(self, keys: Sequence[uuid.UUID]) -> Any:
        """Read each row in one transaction."""
        row: Any = None
        with self._atomic():
            for key in keys:
                row = self._rows.get(pk=key)
        return row

    def rows(self, count: int) -> Sequence[Any]:
        """Return instances."""
        found: Sequence[Any] = list(self._rows.order_by("sku")[:count])
        return found

    def insert(self, rows: Sequence[PartRow]) -> None:
        """Store instances: ``bulk_create``."""
        with self._atomic():
            self._rows.bulk_create([self._model(**row) for row in rows])

    def empty(self) -> None:
        """Remove every row."""
        self._rows.all().delete()

    def count(self) -> int:
        """Count the rows."""
        return int(self._rows.count())

    def close(self) -> None:
        """Close the connection."""
        if self._alias:
            self._db.connections[self._alias].close()
            del self._db.connections[self._alias]
            del self._db.connections.databases[self._alias]


def _model() -> Any:
    """Return the model; Django wants to know its settings before there is one."""
    if _made:
        return _made[0]
    conf: Any = import_module("django.conf")
    if not conf.settings.configured:
        pragmas = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
        conf.settings.configure(
            INSTALLED_APPS=[],
            USE_TZ=True,
            DATABASES={
                "default": {
                    "ENGINE": "django.db.backends.sqlite3",
                    "NAME": ":memory:",
                    "OPTIONS": {"init_command": pragmas},
                }
            },
        )
    import_module("django").setup()
    models: Any = import_module("django.db.models")
    meta = type("Meta", (), {"app_label": "lockstep_bench", "db_table": "part"})
    fields = {
        "id": models.UUIDField(primary_key=True),
        "version": models.IntegerField(),
        "sku": models.CharField(max_length=40, unique=True),
        "name": models.CharField(max_length=120),
        "quantity": models.IntegerField(),
        "price": models.DecimalField(max_digits=12, decimal_places=2),
        "counted_at": models.DateTimeField(),
    }
    made = type(
        "Part", (models.Model,), {"__module__": __name__, "Meta": meta, **fields}
    )
    _made.append(made)
    return made
