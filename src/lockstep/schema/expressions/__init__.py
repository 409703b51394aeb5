"""Expressions that mean the same on SQLite and PostgreSQL, or do not compile.

Owns what happens to a query between SQLAlchemy's expression and the text the
engine gets: LIKE, arithmetic with decimals, paths into JSON, functions, CASE,
assignments. It must not know a session or a connection.

Invariant: over portable types a statement has the same answer on both engines,
or it raises ``NotPortable`` when it is compiled, with a hint. There is no third
way in which it is silently wrong.
"""

from importlib import import_module


def activate() -> None:
    """Register the rules with SQLAlchemy's compilers; once, at import."""
    import_module("lockstep.schema.expressions.hooks")
