"""The conformance suite's two ways: through ``Repository``, and compiled.

A module that asks for ``both_ways`` runs each of its tests with either class in
the place of ``Repository``. Tests about the statements that SQLAlchemy sends are
marked ``ordinary``: what is compiled does not pass through SQLAlchemy.
"""

from __future__ import annotations

import pytest

from lockstep.repository import CompiledRepository, Repository


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "both_ways" not in metafunc.fixturenames:
        return
    ways = [pytest.param(Repository, id="ordinary")]
    if not any(metafunc.definition.iter_markers("ordinary")):
        ways.append(pytest.param(CompiledRepository, id="compiled"))
    metafunc.parametrize("both_ways", ways, indirect=True)


@pytest.fixture
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``Repository`` mean one of the classes in the module of the test."""
    monkeypatch.setattr(request.module, "Repository", request.param)
