"""A Django application that is moved; run as a program, because settings are global.

    python -m tests.mover.django_moments FILE URL USE_TZ

Django makes the file, ``Mover`` moves it, and the same models read PostgreSQL. The last
line it prints is a JSON object of what they found.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import django
from django.conf import settings
from django.db import connections, models
from django.db.migrations.recorder import MigrationRecorder
from psycopg.conninfo import conninfo_to_dict

from lockstep.mover import Mover

ZONE = "America/Chicago"


def configure(path: Path, url: str, *, use_tz: bool) -> None:
    parts = conninfo_to_dict(url)
    there = {"ENGINE": "django.db.backends.postgresql", "NAME": parts["dbname"]} | {
        word.upper(): parts[word]
        for word in ("user", "password", "host", "port")
        if word in parts
    }
    here = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path)}
    databases = {"default": here, "moved": there}
    settings.configure(DATABASES=databases, USE_TZ=use_tz, TIME_ZONE=ZONE)
    django.setup()


def played(path: Path, url: str, *, use_tz: bool) -> dict[str, Any]:
    class Match(models.Model):
        began = models.DateTimeField(db_index=True)
        ended = models.DateTimeField(null=True)
        day = models.DateField()
        ticket = models.UUIDField(default=uuid4, unique=True)
        score = models.JSONField()

        class Meta:
            app_label = "games"

    with connections["default"].schema_editor() as editor:
        editor.create_model(Match)
    MigrationRecorder(connections["default"]).record_applied("games", "0001_initial")
    zone = UTC if use_tz else None
    first = datetime(2026, 7, 1, 23, 30, 0, 120_000, zone)
    moments = [first, first.replace(microsecond=0), first + timedelta(days=200)]
    for moment in moments:
        Match.objects.create(began=moment, day=moment.date(), score={"home": 3})
    here = list(Match.objects.order_by("id").values_list("began", "ended", "day"))

    result = Mover(path, url, clean=True, utc=use_tz).move()
    moved = Match.objects.using("moved")
    there = list(moved.order_by("id").values_list("began", "ended", "day"))
    (asked,) = [text for text in result.plan.notices if "jsonb" in text]
    with connections["moved"].cursor() as cursor:
        cursor.execute(asked.partition("after the move: ")[2])
    tickets = dict(Match.objects.values_list("ticket", "score"))
    moved.create(began=first, ended=moments[2], day=first.date(), score=[{"home": 4}])
    return {
        "is_exact": result.is_exact and not result.plan.losses,
        "notices": result.plan.notices,
        "is_same": there == here and [row[0] for row in there] == moments,
        "has_tickets": {t: moved.get(ticket=t).score for t in tickets} == tickets,
        "at_home": moved.filter(score__home=3).count(),
        "found": moved.filter(began=first).count(),
        "of_the_day": moved.filter(began__date=here[0][0].date()).count(),
        "in_order": [*moved.order_by("-began").values_list("id", flat=True)][:2],
    }


def main() -> None:
    path, url, use_tz = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "True"
    configure(path, url, use_tz=use_tz)
    print(json.dumps(played(path, url, use_tz=use_tz)))


if __name__ == "__main__":
    main()
