"""Fixtures of the history's tests."""

from tests.migrations.histories import history

__all__ = ["history"]
