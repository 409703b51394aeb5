"""Every verb's JSON document has the keys that the reference page declares."""

import json

import pytest
from tests.acceptance.shell import Shell

from lockstep.cli import reference

VERBS = {path.removeprefix("lockstep "): verb for path, verb in reference.verbs()}
# Keys that only some runs have; the declaration says "Only".
RUNS = {
    "db info": ["db", "info"],
    "db doctor": ["db", "doctor"],
    "db advise": ["db", "advise", "--watch-s", "0"],
    "db backup": ["db", "backup", "copy.db"],
    "db verify-backup": ["db", "verify-backup", "made.db"],
    "db restore": ["db", "restore", "made.db", "--replace", "--yes"],
    "db vacuum": ["db", "vacuum"],
    "bench": ["bench", "import-time", "--quick"],
    "migrate current": ["migrate", "current"],
    "migrate history": ["migrate", "history"],
    "migrate heads": ["migrate", "heads"],
    "migrate check": ["migrate", "check"],
    "migrate verify": ["migrate", "verify", "--dialect", "sqlite"],
    "migrate upgrade": ["migrate", "upgrade"],
    "migrate downgrade": ["migrate", "downgrade", "base", "--yes"],
    "migrate stamp": ["migrate", "stamp", "head", "--yes"],
    "migrate revision": ["migrate", "revision", "-m", "empty one"],
    "migrate merge": ["migrate", "merge"],
    "seed": ["seed"],
    "config show": ["config", "show"],
    "init": ["init", "inner"],
    "inspect": ["inspect", "local.db"],
}
BETWEEN_TWO = {
    "move": ["move", "local.db", "--yes"],
    "verify": ["verify", "local.db"],
}
"""Verbs that need a second database; its URL comes third."""


def declared(verb: str) -> tuple[set[str], set[str]]:
    """Return the keys that are always there, and those that may be."""
    document = VERBS[verb].json_document
    sometimes = {key for key, text in document.items() if text.startswith("Only")}
    return set(document) - sometimes, sometimes


def test_every_verb_with_a_document_is_tried() -> None:
    tried = {*RUNS, *BETWEEN_TWO}
    assert tried == {name for name, verb in VERBS.items() if verb.json_document}


def assert_declared(shell: Shell, verb: str) -> None:
    needs_tables = {"seed", "migrate check", "migrate downgrade", "inspect"}
    if verb in needs_tables or "db " in verb:
        shell("migrate", "upgrade")
    if verb in {"db verify-backup", "db restore"}:
        shell("db", "backup", "made.db")
    done = shell(*RUNS[verb], "--json")
    always, sometimes = declared(verb)
    assert always <= set(done.document) <= always | sometimes
    assert "Traceback" not in done.err


@pytest.mark.parametrize("verb", RUNS)
def test_the_document_has_the_declared_keys(project: Shell, verb: str) -> None:
    assert_declared(project, verb)


@pytest.mark.engines("postgresql")
def test_the_documents_of_a_move_have_the_declared_keys(
    project: Shell, db_url: str
) -> None:
    project("migrate", "upgrade")
    project("seed")
    for verb, (name, source, *options) in BETWEEN_TWO.items():
        done = project(name, source, db_url, *options, "--json")
        always, sometimes = declared(verb)
        assert always <= set(done.document) <= always | sometimes


@pytest.mark.engines("postgresql")
def test_the_documents_of_postgresql_have_the_same_keys(project_on: Shell) -> None:
    for verb in ("migrate current", "migrate upgrade", "db info"):
        assert_declared(project_on, verb)


def test_a_plan_has_the_declared_keys(project_on: Shell) -> None:
    _, sometimes = declared("migrate downgrade")
    assert sometimes == {"plan", "sql"}
    project_on("migrate", "upgrade")
    project_on("seed")
    shown = project_on("migrate", "downgrade", "base", "--json", code=1).document
    assert set(shown) == {"applied", "plan"}
    assert shown["applied"] is False
    assert set(shown["plan"]) == {"before", "steps"}
    for key in shown["plan"]["steps"][0]:
        assert key in VERBS["migrate downgrade"].json_document["plan"]


@pytest.mark.engines("postgresql")
def test_sql_has_the_declared_keys(project_on: Shell) -> None:
    printed = project_on("migrate", "upgrade", "--sql", "--json").document
    assert set(printed) == {"applied", "sql"}
    assert printed["applied"] is False
    assert "CREATE TABLE" in printed["sql"]


def test_an_error_is_the_only_document(project: Shell) -> None:
    for words in (["seed"], ["migrate", "nonsense"], ["migrate", "downgrade"]):
        done = project(*words, "--json", code=None)
        assert done.code in (1, 2)
        document = json.loads(done.out)
        assert set(document) == {"error"}
        assert {"code", "message", "hint", "retryable"} <= set(document["error"])
        assert "Traceback" not in done.both


def test_json_for_every_verb_by_one_variable(project: Shell) -> None:
    shell = project.having(LOCKSTEP_JSON="1")
    assert shell("config", "show").document["root"] == str(project.folder)


def test_what_the_models_print_is_no_result(project: Shell) -> None:
    models = project.folder / "app" / "models.py"
    models.write_text(models.read_text() + "\nprint('hello from the models')\n")
    done = project("migrate", "upgrade", "--json")
    assert done.document["applied"] is True
    assert "hello from the models" in done.err
