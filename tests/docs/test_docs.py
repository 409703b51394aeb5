"""The documentation builds without a warning and tells what the code tells."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_sphinx_builds_every_page_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q"),
            *("-b", "html", "-d", str(tmp_path / "doctrees")),
            *(str(ROOT / "docs"), str(tmp_path / "html")),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "html" / "index.html").exists()


def test_every_error_stands_on_the_errors_page() -> None:
    made = subprocess.run(
        [sys.executable, "-c", "import errors_page; print(errors_page.page(), end='')"],
        capture_output=True,
        text=True,
        cwd=ROOT / "scripts",
        check=True,
    )
    written = (ROOT / "docs/reference/errors.md").read_text(encoding="utf-8")
    assert written == made.stdout, "run scripts/errors_page.py"


def test_every_check_of_the_doctor_stands_on_its_page() -> None:
    made = subprocess.run(
        [sys.executable, "-c", "import doctor_page; print(doctor_page.page(), end='')"],
        capture_output=True,
        text=True,
        cwd=ROOT / "scripts",
        check=True,
    )
    written = (ROOT / "docs/reference/doctor.md").read_text(encoding="utf-8")
    assert written == made.stdout, "run scripts/doctor_page.py"
