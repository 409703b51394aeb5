"""What "equal" means to a backup, and how its names and manifest are read."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lockstep.engine.backup.content import RowSum, TableContent, compare
from lockstep.engine.backup.files import split_name, stamp
from lockstep.engine.backup.manifest import Manifest, manifest_path, read_manifest
from lockstep.errors import BackupDamaged

PART = TableContent("part", ("id", "name"), 2, "ab")
MANIFEST = Manifest(
    engine="sqlite",
    engine_version="3.40.1",
    program_version="",
    lockstep_version="0.1.0",
    created_at="2026-11-21T03:05:00+00:00",
    source="sqlite:///shop.db",
    revisions=("0001",),
    size_bytes=8192,
    sha256="11",
    foreign_key_violations=0,
    tables=(PART, TableContent("sqlite_schema", ("sql",), 1, "cd")),
)


def digest_of(*rows: bytes) -> tuple[int, str]:
    total = RowSum()
    for row in rows:
        total.add(row)
    return total.rows, total.digest


def test_the_order_of_the_rows_does_not_matter() -> None:
    assert digest_of(b"a", b"b", b"c") == digest_of(b"c", b"a", b"b")


def test_equal_rows_do_not_cancel_each_other() -> None:
    assert digest_of(b"a", b"a")[1] != digest_of()[1]
    assert digest_of(b"a", b"a", b"b")[1] != digest_of(b"a", b"b", b"b")[1]


def test_sums_of_the_server_are_the_same_sums() -> None:
    here, there = RowSum(), RowSum()
    rows = [b"1", b"2", b"3"]
    for row in rows:
        here.add(row)
    # The server sums signed words.
    import hashlib
    import struct

    words = [struct.unpack_from(">qq", hashlib.sha256(row).digest()) for row in rows]
    there.add_sums(3, sum(w[0] for w in words), sum(w[1] for w in words))
    assert (here.rows, here.digest) == (there.rows, there.digest)


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ([], "the table is missing"),
        ([replace(PART, rows=3)], "2 rows expected, 3 found"),
        ([replace(PART, digest="ff")], "the values differ"),
        ([replace(PART, columns=("id",))], "the columns differ"),
        ([PART, replace(PART, name="more")], "the table was not in the backup"),
    ],
)
def test_a_difference_says_what_differs(found: list[TableContent], reason: str) -> None:
    (difference,) = compare([PART], found)
    assert difference.reason == reason


def test_equal_content_has_no_difference() -> None:
    assert compare([PART], [PART]) == []


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    backup = tmp_path / "shop.db"
    whole = replace(MANIFEST, previous=replace(MANIFEST, sha256="00"))
    manifest_path(backup).write_text(whole.text(), encoding="utf-8")
    assert read_manifest(backup) == whole
    assert (whole.rows, len(whole.user_tables)) == (2, 1)


def test_while_a_backup_is_replaced_its_manifest_describes_both() -> None:
    whole = replace(MANIFEST, previous=replace(MANIFEST, sha256="00"))
    assert whole.describing("11") == MANIFEST
    assert whole.describing("00") == replace(MANIFEST, sha256="00")
    assert whole.describing("22") is None


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", "null", json.dumps({"format": 99}), '{"format": 1}'],
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, text: str) -> None:
    backup = tmp_path / "shop.db"
    manifest_path(backup).write_text(text, encoding="utf-8")
    with pytest.raises(BackupDamaged, match="manifest"):
        read_manifest(backup)


def test_a_manifest_with_a_damaged_table_is_refused(tmp_path: Path) -> None:
    backup = tmp_path / "shop.db"
    document = {**MANIFEST.to_json(), "tables": [{"name": "part"}]}
    manifest_path(backup).write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(BackupDamaged):
        read_manifest(backup)


def test_names_sort_by_time_also_within_a_second() -> None:
    names = [f"shop-20261121T030500Z{tail}.db" for tail in ("", "-2", "-10")]
    times = [split_name(Path(name))[1] for name in names]
    assert times == sorted(times)
    for foreign in ("shop.db", "shop-20261121.db", "shop-20261121T030500Z.db.gz"):
        assert split_name(Path(foreign)) == ("", "")
    assert stamp(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == "20260102T030405Z"
