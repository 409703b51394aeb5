"""What people call a column of moments, in the languages they name them in.

Owns the words, in lower case and without accents, as ``wording.words`` gives them
(``geändert`` is ``geandert``, and some write ``geaendert``). A name makes somebody look
at the values; it decides nothing.
"""

from __future__ import annotations

from typing import Final

from lockstep.wording import words

_TIME: Final = frozenset(
    {
        *("at", "date", "datetime", "time", "timestamp", "ts", "created", "updated"),
        *("modified", "deleted", "expires", "expiry", "expiration", "since", "until"),
        *("deadline", "due", "started", "finished", "ended", "born", "birthday"),
        *("birthdate", "dob", "login", "seen", "visited", "added", "changed", "logged"),
        *("published", "closed", "opened", "synced", "received", "sent", "epoch"),
        *("mtime", "ctime", "atime", "when", "completed", "resolved", "utc", "moment"),
        *("creation", "modification", "edited", "accessed", "scheduled", "joined"),
        *("verified", "confirmed", "registered", "issued", "arrival", "departure"),
        *("happened", "occurred", "observed", "measured", "recorded", "uploaded"),
        *("downloaded", "archived", "imported", "processed", "begin", "day", "shipped"),
        *("datum", "zeit", "zeitpunkt", "zeitstempel", "uhrzeit", "erstellt"),
        *("erstelldatum", "erstellungsdatum", "geaendert", "geandert", "angelegt"),
        *("aktualisiert", "geloescht", "geloscht", "bestellt", "gesehen", "seit"),
        *("gueltig", "gultig", "faellig", "fallig", "beginn", "ende", "gebucht"),
        *("geburtsdatum", "geburtstag", "eingang", "erledigt", "abgeschlossen", "bis"),
        *("versendet", "bezahldatum", "rechnungsdatum", "bestelldatum", "anmeldung"),
        *("fecha", "hora", "creado", "creada", "actualizado", "actualizada", "desde"),
        *("modificado", "modificada", "eliminado", "borrado", "vencimiento", "hasta"),
        *("nacimiento", "inicio", "cree", "creee", "modifie", "maj", "horodatage"),
        *("heure", "naissance", "debut", "echeance", "supprime", "jour", "creato"),
        *("modificato", "modifica", "aggiornato", "scadenza", "nascita", "ora"),
        *("aangemaakt", "gewijzigd", "bijgewerkt", "verwijderd", "tijd", "tijdstip"),
        *("geboortedatum", "criado", "atualizado", "nascimento", "skapad", "andrad"),
        *("utworzono", "zmieniono", "czas", "дата", "время", "создан", "создано"),
        *("изменен", "обновлен", "日期", "时间"),
    }
)
_NOT_TIME: Final = frozenset(
    {
        *("zone", "timezone", "tz", "by", "id", "count", "type", "format", "spent"),
        *("duration", "elapsed", "total", "run", "delta", "offset", "interval"),
        *("amount", "number", "name", "flag", "status", "policy", "is", "has", "days"),
        *("hours", "minutes", "seconds", "ms", "timeout", "limit", "unit", "precision"),
        *("dauer", "von", "por", "par", "nummer", "anzahl", "tage", "stunden", "ist"),
    }
)
_AT_THE_END: Final = frozenset({"on"})
"""``posted_on``, but not ``on_hand``."""


def says_time(name: str) -> bool:
    """Return whether a column's name says that it holds a moment or a date."""
    found = words(name)
    if _NOT_TIME & set(found):
        return False
    return bool(_TIME & set(found)) or bool(_AT_THE_END & set(found[-1:]))


def is_time_type(declared: str) -> bool:
    """Return whether SQLite's column was declared as a date, time or timestamp."""
    upper = declared.upper()
    return "DATE" in upper or "TIME" in upper
