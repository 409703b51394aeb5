"""One schema, kept in lockstep: SQLite, libSQL, PostgreSQL and offline copies.

The names below are loaded at first use (PEP 562), so ``import lockstep`` costs
little more than nothing, and neither importing it nor constructing a ``Database``
touches a file or a socket.
"""

__version__ = "0.1.0"
