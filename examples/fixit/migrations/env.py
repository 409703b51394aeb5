"""Where Alembic meets the models; lockstep does the rest."""

from fixit.models import Base
from lockstep.migrations import env

env.run(Base.metadata)
