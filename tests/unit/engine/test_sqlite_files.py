"""Mounts are read from the system's table; other libraries from descriptors."""

from __future__ import annotations

import os
import sqlite3
import sys
import types
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.config import SqliteSettings
from lockstep.engine import sqlite_files
from lockstep.engine.sqlite_files import (
    Mount,
    check_filesystem,
    check_folder,
    check_is_there,
    check_second_library,
    mount_of,
    note_closed,
    note_opening,
    read_mounts,
)
from lockstep.errors import (
    NetworkFilesystem,
    SecondSqliteLibrary,
    StorageFailed,
    Unexaminable,
)

TABLE = r"""
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/root rw
23 22 0:21 / /proc rw - proc proc rw
31 22 0:40 / /mnt/nas rw shared:7 master:2 - nfs4 nas:/export rw,vers=4.2
32 31 0:41 / /mnt/nas/local rw - xfs /dev/sdb rw
33 22 0:42 / /mnt/with\040space\134x rw - cifs //nas/share rw
34 22 0:43 / /host rw - 9p host rw,trans=virtio
35 22 0:44 / /both rw - nfs nas:/a rw
36 22 0:45 / /both rw - tmpfs tmpfs rw
37 22 0:46 / /home/anna/remote rw - fuse.sshfs anna@host: rw
a broken line
""".lstrip()

MOUNTS = read_mounts(TABLE)
DEFAULT = SqliteSettings()


@pytest.mark.parametrize(
    ("path", "filesystem"),
    [
        ("/data/a.db", "ext4"),
        ("/mnt/nas", "nfs4"),
        ("/mnt/nas/a.db", "nfs4"),
        ("/mnt/nasty/a.db", "ext4"),
        ("/mnt/nas/local/a.db", "xfs"),
        ("/mnt/with space\\x/a.db", "cifs"),
        ("/host/project/a.db", "9p"),
        ("/both/a.db", "tmpfs"),
        ("/home/anna/remote/a.db", "fuse.sshfs"),
    ],
)
def test_the_longest_mount_point_wins(path: str, filesystem: str) -> None:
    mount = mount_of(path, MOUNTS)
    assert mount is not None
    assert mount.filesystem == filesystem


def test_without_mounts_nothing_is_known() -> None:
    assert mount_of("/a", []) is None


@given(st.text())
def test_any_table_can_be_read(text: str) -> None:
    for mount in read_mounts(text):
        assert mount.filesystem


def use_table(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    table = folder / "mountinfo"
    table.write_text(text, encoding="utf-8")
    monkeypatch.setattr(sqlite_files, "MOUNT_TABLE", table)


def line_for(point: Path, filesystem: str) -> str:
    return f"22 1 0:1 / / rw - ext4 x rw\n40 22 0:9 / {point} rw - {filesystem} x rw\n"


@pytest.mark.parametrize("filesystem", sorted(sqlite_files.NETWORK_FILESYSTEMS))
def test_every_network_file_system_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filesystem: str
) -> None:
    use_table(monkeypatch, tmp_path, line_for(tmp_path, filesystem))
    with pytest.raises(NetworkFilesystem) as caught:
        check_filesystem(tmp_path / "not-there-yet.db", DEFAULT)
    assert caught.value.detail["filesystem"] == filesystem
    assert caught.value.detail["mount"] == str(tmp_path)


@pytest.mark.parametrize("filesystem", ["ext4", "xfs", "btrfs", "tmpfs", "overlay"])
def test_local_file_systems_are_fine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filesystem: str
) -> None:
    use_table(monkeypatch, tmp_path, line_for(tmp_path, filesystem))
    check_filesystem(tmp_path / "a.db", DEFAULT)


def test_a_link_onto_a_network_file_system_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = tmp_path / "remote"
    remote.mkdir()
    (tmp_path / "link").symlink_to(remote)
    use_table(monkeypatch, tmp_path, line_for(remote, "nfs"))
    check_filesystem(tmp_path / "a.db", DEFAULT)
    with pytest.raises(NetworkFilesystem):
        check_filesystem(tmp_path / "link" / "a.db", DEFAULT)


def test_the_setting_allows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_table(monkeypatch, tmp_path, line_for(tmp_path, "nfs"))
    allowed = SqliteSettings(allow_network_filesystem=True)
    check_filesystem(tmp_path / "a.db", allowed)


def test_the_machines_own_table_can_be_read() -> None:
    if sys.platform == "linux":
        mounts = read_mounts(sqlite_files.MOUNT_TABLE.read_text(encoding="utf-8"))
        assert mount_of("/", mounts) is not None
    else:
        check_filesystem(Path("/a.db"), DEFAULT)


def test_a_mount_is_a_value() -> None:
    assert MOUNTS[0] == Mount("/", "ext4")


def test_folders_are_told_apart_from_files(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="is a folder"):
        check_folder(tmp_path, read_only=False)
    with pytest.raises(StorageFailed, match="does not exist"):
        check_folder(tmp_path / "missing" / "a.db", read_only=False)
    with pytest.raises(StorageFailed, match="makes no file"):
        check_folder(tmp_path / "a.db", read_only=True)
    check_folder(tmp_path / "a.db", read_only=False)


def test_what_is_not_there_is_told_apart_from_a_dead_link(tmp_path: Path) -> None:
    check_is_there(tmp_path)
    with pytest.raises(Unexaminable, match="there is no"):
        check_is_there(tmp_path / "a.db")
    (tmp_path / "link.db").symlink_to("gone.db")
    with pytest.raises(Unexaminable, match="is a link to gone"):
        check_is_there(tmp_path / "link.db")


@pytest.fixture
def apsw(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand for a second library: only that it is imported matters here."""
    monkeypatch.setitem(sys.modules, "apsw", types.ModuleType("apsw"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    return path


def test_a_descriptor_that_is_not_ours_is_refused(file: Path, apsw: None) -> None:
    check_second_library(file, DEFAULT)
    descriptor = os.open(file, os.O_RDWR)
    try:
        with pytest.raises(SecondSqliteLibrary) as caught:
            check_second_library(file, DEFAULT)
        assert caught.value.detail["libraries"] == ["apsw"]
        check_second_library(file, SqliteSettings(allow_second_library=True))
        check_second_library(file.with_name("other.db"), DEFAULT)
    finally:
        os.close(descriptor)
    check_second_library(file, DEFAULT)


def test_without_another_library_nothing_is_refused(file: Path) -> None:
    descriptor = os.open(file, os.O_RDWR)
    try:
        check_second_library(file, DEFAULT)
    finally:
        os.close(descriptor)


def test_our_own_connections_are_counted(file: Path, apsw: None) -> None:
    note_opening(file)
    connection = sqlite3.connect(file)
    try:
        check_second_library(file, DEFAULT)
    finally:
        connection.close()
        note_closed(file)


def test_a_link_to_the_file_is_the_same_file(file: Path, apsw: None) -> None:
    link = file.with_name("link.db")
    link.symlink_to(file)
    descriptor = os.open(file, os.O_RDWR)
    try:
        with pytest.raises(SecondSqliteLibrary):
            check_second_library(link, DEFAULT)
    finally:
        os.close(descriptor)
    note_opening(link)
    connection = sqlite3.connect(link)
    try:
        check_second_library(file, DEFAULT)
    finally:
        connection.close()
        note_closed(file)
