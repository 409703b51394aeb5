"""``fixit serve`` as a newcomer starts it, in a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from fixit.models import User
from lockstep import Database

PROJECT = Path(__file__).parents[1]


def serve(db: Database, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    url = db.url.unmasked()
    arguments = ("--port", "0", *arguments)
    kept = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "fixit", "--url", url, "serve", *arguments],
        cwd=PROJECT,
        env=kept,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(server: subprocess.Popen[str]) -> str:
    """Press Ctrl-C; return what was told on stderr."""
    server.send_signal(signal.SIGINT)
    try:
        return server.communicate(timeout=30)[1]
    finally:
        server.kill()
        server.wait()


def health_of(server: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait until it serves, and return what it says of itself."""
    assert server.stdout is not None
    line = server.stdout.readline()
    found = re.search(r"http://\S+", line)
    assert found, line
    with urllib.request.urlopen(f"{found.group()}/health", timeout=20) as answer:
        return json.load(answer)


@pytest.mark.slow
def test_from_nothing_to_a_page_and_again(blank: Database, tmp_path: Path) -> None:
    for _ in range(2):
        server = serve(blank, tmp_path, "--demo")
        try:
            health = health_of(server)
        finally:
            told = end(server)
        assert health["status"] == "ok"
        assert server.returncode == 0, told
        assert "Change these PINs" in told
        assert "Traceback" not in told
    with blank.read_session() as session:
        assert session.scalar(select(func.count()).select_from(User)) == 4


@pytest.mark.slow
def test_without_the_demo_the_first_step_is_told(
    blank: Database, tmp_path: Path
) -> None:
    server = serve(blank, tmp_path)
    try:
        health_of(server)
    finally:
        told = end(server)
    assert "create-admin" in told
    assert "1234" not in told
