"""search machines in any case

What a search looks at is written for the machines that are there, batch by batch;
the model writes it for the others.

Revision ID: 0005
Revises: 0004
Create Date: 2026-11-21 00:43:02.350110
"""

import unicodedata

from alembic import op
from lockstep.migrations import light_table
import lockstep as ls
import sqlalchemy as sa


revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

equipment = light_table(
    "equipment",
    id=ls.Uuid(),
    code=ls.Text(),
    name=ls.Text(),
    manufacturer=ls.Text(),
    model=ls.Text(),
    search_text=ls.Text(),
)


def upgrade() -> None:
    op.add_column("equipment", sa.Column("search_text", ls.Text(), nullable=True))
    op.run_batches(equipment, with_search_text)
    op.alter_column("equipment", "search_text", existing_type=ls.Text(), nullable=False)


def with_search_text(rows):
    for row in rows:
        words = " ".join((row.code, row.name, row.manufacturer, row.model))
        folded = unicodedata.normalize("NFKC", words).casefold()
        yield {"id": row.id, "search_text": folded}


def downgrade() -> None:
    op.drop_column("equipment", "search_text")
