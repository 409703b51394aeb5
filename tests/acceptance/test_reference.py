"""The reference page says what the command says."""

from pathlib import Path

import pytest

from lockstep.cli import reference

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference.page(), (
        "python -m lockstep.cli.reference > docs/reference/cli.md"
    )


@pytest.mark.parametrize(("path", "verb"), list(reference.verbs()))
def test_every_verb_and_option_is_documented(path: str, verb: reference.Verb) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert f"## `{path}`" in text
    assert verb.help
    assert verb.examples
    for parameter in verb.params:
        for name in parameter.opts:
            if name.startswith("-"):
                assert f"`{name}`" in text
