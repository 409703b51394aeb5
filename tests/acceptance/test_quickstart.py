"""The quickstart page shows what really happens, command by command."""

import sys
from pathlib import Path

from tests.acceptance.transcript import Reader, environment_of, masked, replay

PAGE = Path(__file__).parents[2] / "docs" / "quickstart.md"


def test_every_command_of_the_page_prints_what_it_shows(
    tmp_path: Path, clean_environment: dict[str, str]
) -> None:
    page = PAGE.read_text(encoding="utf-8")
    home = tmp_path.resolve() / "home"
    home.mkdir()
    reader = Reader(home, environment_of(sys.executable, clean_environment))
    assert masked(replay(page, reader)) == masked(page), (
        "python -m tests.acceptance.transcript docs/quickstart.md"
    )


def test_the_page_shows_every_verb_a_newcomer_needs() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for verb in ("init", "migrate upgrade", "seed", "db info", "migrate check"):
        assert f"$ lockstep {verb}" in page
