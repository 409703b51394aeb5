"""A demo factory per test, on every engine.

The history is upgraded and the demo seeded once per engine; each test gets a copy
of that database, so a test costs a copy and not a migration.
"""

from __future__ import annotations
