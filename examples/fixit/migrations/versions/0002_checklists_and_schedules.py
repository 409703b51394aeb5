"""checklists and schedules

Revision ID: 0002
Revises: 0001
Create Date: 2026-11-20 23:47:05.221909
"""

from alembic import op
import lockstep as ls
import sqlalchemy as sa


revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "checklists",
        sa.Column("id", ls.Uuid(), nullable=False),
        sa.Column("name", ls.Text(120), nullable=False),
        sa.Column("steps", ls.Json(), nullable=False),
        sa.Column(
            "version",
            ls.BigInteger(),
            server_default=sa.text("1"),
            nullable=False,
        ),
        sa.Column(
            "created_at",
            ls.UtcDateTime(),
            server_default=ls.utc_now(),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            ls.UtcDateTime(),
            server_default=ls.utc_now(),
            nullable=False,
        ),
        sa.Column("created_by", ls.Text(), nullable=True),
        sa.Column("updated_by", ls.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checklists")),
        sa.UniqueConstraint("name", name=op.f("uq_checklists_name")),
        sqlite_strict=True,
    )
    op.create_touch_trigger("checklists", ["id"])
    op.create_table(
        "schedules",
        sa.Column("id", ls.Uuid(), nullable=False),
        sa.Column("name", ls.Text(120), nullable=False),
        sa.Column("equipment_id", ls.Uuid(), nullable=False),
        sa.Column("checklist_id", ls.Uuid(), nullable=True),
        sa.Column(
            "priority",
            ls.Enum("critical", "high", "medium", "low"),
            nullable=False,
        ),
        sa.Column("interval_days", ls.BigInteger(), nullable=False),
        sa.Column("next_due_on", ls.Date(), nullable=False),
        sa.Column("is_active", ls.Boolean(), nullable=False),
        sa.Column(
            "version",
            ls.BigInteger(),
            server_default=sa.text("1"),
            nullable=False,
        ),
        sa.Column(
            "created_at",
            ls.UtcDateTime(),
            server_default=ls.utc_now(),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            ls.UtcDateTime(),
            server_default=ls.utc_now(),
            nullable=False,
        ),
        sa.Column("created_by", ls.Text(), nullable=True),
        sa.Column("updated_by", ls.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedules")),
        sa.ForeignKeyConstraint(
            ["checklist_id"],
            ["checklists.id"],
            name=op.f("fk_schedules_checklist_id_checklists"),
        ),
        sa.ForeignKeyConstraint(
            ["equipment_id"],
            ["equipment.id"],
            name=op.f("fk_schedules_equipment_id_equipment"),
        ),
        sa.CheckConstraint(
            "interval_days > 0",
            name=op.f("ck_schedules_interval_positive"),
        ),
        sqlite_strict=True,
    )
    op.create_index(
        op.f("ix_schedules_equipment_id"),
        "schedules",
        ["equipment_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_schedules_next_due_on"),
        "schedules",
        ["next_due_on"],
        unique=False,
    )
    op.create_touch_trigger("schedules", ["id"])


def downgrade() -> None:
    op.drop_touch_trigger("schedules", ["id"])
    op.drop_index(op.f("ix_schedules_next_due_on"), table_name="schedules")
    op.drop_index(op.f("ix_schedules_equipment_id"), table_name="schedules")
    op.drop_table("schedules")
    op.drop_touch_trigger("checklists", ["id"])
    op.drop_table("checklists")
