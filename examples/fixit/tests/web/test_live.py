"""Live updates over a real socket, from another process's changes too."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest
from acting import acting, identity

from fixit.services import reporting
from lockstep import Database

ROOT = Path(__file__).parents[2]


@pytest.fixture
def server(blank: Database, tmp_path: Path):
    """FixIt in a process of its own; its address."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "fixit", "--url", blank.url.unmasked()),
            *("serve", "--demo"),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    yield line.split()[3]
    if process.poll() is None:
        process.terminate()
        process.wait(10)
    process.stdout.close()


def _sign_in(client: httpx2.Client, employee_id: str, pin: str) -> None:
    form = {"employee_id": employee_id, "pin": pin}
    assert client.post("/login", data=form).status_code == 303


def test_a_page_hears_what_another_process_did(server: str, blank: Database) -> None:
    with httpx2.Client(base_url=server, timeout=10) as client:
        _sign_in(client, "TECH-001", "5678")
        with client.stream("GET", "/events") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            lines = stream.iter_lines()
            assert next(lines).startswith("retry:")
            operator = identity(blank, "OP-001")
            with acting(blank, operator) as session:
                reporting.report(
                    session,
                    operator,
                    machine="IM-001",
                    problem="Smoke",
                    priority="high",
                )
            started = time.monotonic()
            heard = next(line for line in lines if line.startswith("data:"))
            assert "work_order" in heard
            assert time.monotonic() - started < 5


def test_open_streams_do_not_keep_the_server_alive(blank: Database) -> None:
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "fixit", "--url", blank.url.unmasked()),
            *("serve", "--demo"),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    server = process.stdout.readline().split()[3]
    with httpx2.Client(base_url=server, timeout=10) as client:
        _sign_in(client, "TECH-001", "5678")
        with client.stream("GET", "/events") as stream:
            next(stream.iter_lines())
            process.terminate()
            _, complaints = process.communicate(timeout=10)
    assert "Traceback" not in complaints
