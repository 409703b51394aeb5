"""find the history of a row

Revision ID: 0006
Revises: 0005
Create Date: 2026-11-21 20:30:11.482310
"""

from alembic import op


revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index(op.f("ix_audit_log_table_name"), table_name="audit_log")
    op.create_index(
        op.f("ix_audit_log_table_name_row_key"),
        "audit_log",
        ["table_name", "row_key"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_audit_log_table_name_row_key"), table_name="audit_log")
    op.create_index(
        op.f("ix_audit_log_table_name"),
        "audit_log",
        ["table_name"],
        unique=False,
    )
