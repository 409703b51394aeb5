"""Open a database, begin transactions, name what went wrong.

Floor 3: knows the schema below it, and nothing of repositories, migrations or
the command above. What a user needs is exported here; ``embedded`` (a private
PostgreSQL) and ``scratch`` (throw-away databases) are modules of their own.

    urls ──► database ──► sqlite | postgresql ──► SQLAlchemy's engines
                 ├─► sessions ──► classify ──► lockstep.errors
                 └─► units ──► lane ──► group_commit (write) | read_lane (read)
"""

from lockstep.engine.capabilities import Capabilities
from lockstep.engine.classify import classify
from lockstep.engine.database import Database, DatabaseInfo
from lockstep.engine.pool import PoolStatistics
from lockstep.engine.unit import Unit
from lockstep.engine.units import WriteStatistics
from lockstep.engine.urls import DatabaseUrl

__all__ = [
    "Capabilities",
    "Database",
    "DatabaseInfo",
    "DatabaseUrl",
    "PoolStatistics",
    "Unit",
    "WriteStatistics",
    "classify",
]
