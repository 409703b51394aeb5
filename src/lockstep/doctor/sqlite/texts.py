"""Look at the bytes of stored texts.

Owns one pass over the text of a table that finds what is no UTF-8 and what holds
a NUL. A block of texts is decoded at once; only a block that fails is looked at
text by text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lockstep.doctor.findings import EXAMPLES_MAX
from lockstep.doctor.limits import OutOfTime
from lockstep.doctor.sqlite.bites import BITE_ROWS, Progress, hides_rowid
from lockstep.schema.names import quote_identifier as quoted

if TYPE_CHECKING:
    from lockstep.doctor.catalog import Table
    from lockstep.doctor.sqlite.context import SqliteContext

BLOCK_ROWS = 512
_TEXT_FAMILIES = ("text", "json", "time", "date", "uuid", "other")


@dataclass(slots=True)
class TextFaults:
    """What is wrong with the texts of one column."""

    invalid: int = 0
    nul: int = 0
    invalid_rowids: list[int] = field(default_factory=lambda: list[int]())
    nul_rowids: list[int] = field(default_factory=lambda: list[int]())


@dataclass(slots=True)
class TextScan(Progress):
    """The texts of one table."""

    columns: dict[str, TextFaults] = field(
        default_factory=lambda: dict[str, TextFaults]()
    )


def scan_texts(context: SqliteContext, table: Table) -> TextScan:
    """Decode the texts of every column of ``table`` that may hold text."""
    names = [c.name for c in table.columns if c.family in _TEXT_FAMILIES]
    scan = TextScan(columns={name: TextFaults() for name in names})
    if not names:
        scan.is_complete = True
        return scan
    keyed = table.has_rowid and not hides_rowid(table)
    texts = ", ".join(
        f"CASE typeof({quoted(name)}) WHEN 'text' "
        f"THEN {context.bytes_of_text(quoted(name))} END"
        for name in names
    )
    own_factory = context.connection.text_factory
    context.connection.text_factory = bytes
    try:
        _scan(context, table, texts, names, scan, keyed=keyed)
    except OutOfTime:
        scan.is_complete = False
    finally:
        context.connection.text_factory = own_factory
    if not scan.is_complete:
        context.partial[table.name] = None
    return scan


def _scan(
    context: SqliteContext,
    table: Table,
    texts: str,
    names: list[str],
    scan: TextScan,
    *,
    keyed: bool,
) -> None:
    rows_max = context.limits.rows_max
    last: int | None = None
    while scan.looked_at < rows_max:
        bite = min(BITE_ROWS if keyed else rows_max, rows_max - scan.looked_at)
        after = "" if last is None else f" WHERE rowid > {last}"
        order = " ORDER BY rowid" if keyed else ""
        key = "rowid" if keyed else "NULL"
        source = f"{quoted(table.name)}{after}{order}"
        sql = f"SELECT {key}, {texts} FROM {source} LIMIT {bite}"
        count = 0
        with context.timed():
            cursor = context.connection.execute(sql)
            while block := cursor.fetchmany(BLOCK_ROWS):
                _look(block, names, scan)
                count += len(block)
                scan.looked_at += len(block)
                last = block[-1][0]
        if count < bite:
            scan.is_complete = True
            return


def _look(block: list[Any], names: list[str], scan: TextScan) -> None:
    for position, name in enumerate(names, start=1):
        texts = [row[position] for row in block if row[position]]
        joined = b"\x1f".join(texts)
        if b"\0" not in joined:
            try:
                joined.decode("utf-8")
            except UnicodeDecodeError:
                pass
            else:
                continue
        _look_closely(block, position, scan.columns[name])


def _look_closely(block: list[Any], position: int, faults: TextFaults) -> None:
    for row in block:
        rowid, text = row[0], row[position]
        if not text:
            continue
        if b"\0" in text:
            faults.nul += 1
            if rowid is not None and len(faults.nul_rowids) < EXAMPLES_MAX:
                faults.nul_rowids.append(rowid)
        try:
            text.decode("utf-8")
        except UnicodeDecodeError:
            faults.invalid += 1
            if rowid is not None and len(faults.invalid_rowids) < EXAMPLES_MAX:
                faults.invalid_rowids.append(rowid)
