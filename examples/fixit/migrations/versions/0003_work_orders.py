"""work orders

Revision ID: 0003
Revises: 0002
Create Date: 2026-11-20 23:47:05.630605
"""

from alembic import op
import lockstep as ls
import sqlalchemy as sa


revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "attachments",
        sa.Column("id", ls.Uuid(), nullable=False),
        sa.Column("entity_type", ls.Text(40), nullable=False),
        sa.Column("entity_id", ls.Uuid(), nullable=False),
        sa.Column("file_name", ls.Text(200), nullable=False),
        sa.Column("content_type", ls.Text(100), nullable=False),
        sa.Column("size_bytes", ls.BigInteger(), nullable=False),
        sa.Column("sha256", ls.Text(64), nullable=False),
        sa.Column("created_at", ls.UtcDateTime(), nullable=False),
        sa.Column("created_by", ls.Text(), nullable=True),
        sa.Column("updated_by", ls.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attachments")),
        sa.CheckConstraint(
            "size_bytes >= 0",
            name=op.f("ck_attachments_size_not_negative"),
        ),
        sqlite_strict=True,
    )
    op.create_index(
        op.f("ix_attachments_entity_type_entity_id"),
        "attachments",
        ["entity_type", "entity_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_attachments_sha256"),
        "attachments",
        ["sha256"],
        unique=False,
    )
    op.create_table(
        "work_orders",
        sa.Column("id", ls.Uuid(), nullable=False),
        sa.Column("number", ls.BigInteger(), nullable=False),
        sa.Column("kind", ls.Enum("repair", "maintenance"), nullable=False),
        sa.Column("title", ls.Text(160), nullable=False),
        sa.Column("description", ls.Text(4000), nullable=False),
        sa.Column("search_text", ls.Text(), nullable=False),
        sa.Column(
            "priority",
            ls.Enum("critical", "high", "medium", "low"),
            nullable=False,
        ),
        sa.Column(
            "status",
            ls.Enum("open", "in_progress", "resolved", "closed", "cancelled"),
            nullable=False,
        ),
        sa.Column("equipment_id", ls.Uuid(), nullable=False),
        sa.Column("reporter_id", ls.Uuid(), nullable=True),
        sa.Column("assignee_id", ls.Uuid(), nullable=True),
        sa.Column("reported_at", ls.UtcDateTime(), nullable=False),
        sa.Column("due_at", ls.UtcDateTime(), nullable=False),
        sa.Column("started_at", ls.UtcDateTime(), nullable=True),
        sa.Column("resolved_at", ls.UtcDateTime(), nullable=True),
        sa.Column("closed_at", ls.UtcDateTime(), nullable=True),
        sa.Column("resolution", ls.Text(4000), nullable=False),
        sa.Column("machine_down", ls.Boolean(), nullable=False),
        sa.Column("downtime_minutes", ls.BigInteger(), nullable=False),
        sa.Column("schedule_id", ls.Uuid(), nullable=True),
        sa.Column("scheduled_for", ls.Date(), nullable=True),
        sa.Column("request_key", ls.Text(64), nullable=True),
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
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work_orders")),
        sa.ForeignKeyConstraint(
            ["assignee_id"],
            ["users.id"],
            name=op.f("fk_work_orders_assignee_id_users"),
        ),
        sa.ForeignKeyConstraint(
            ["equipment_id"],
            ["equipment.id"],
            name=op.f("fk_work_orders_equipment_id_equipment"),
        ),
        sa.ForeignKeyConstraint(
            ["reporter_id"],
            ["users.id"],
            name=op.f("fk_work_orders_reporter_id_users"),
        ),
        sa.ForeignKeyConstraint(
            ["schedule_id"],
            ["schedules.id"],
            name=op.f("fk_work_orders_schedule_id_schedules"),
        ),
        sa.UniqueConstraint(
            "reporter_id",
            "request_key",
            name=op.f("uq_work_orders_reporter_id_request_key"),
        ),
        sa.UniqueConstraint(
            "schedule_id",
            "scheduled_for",
            name=op.f("uq_work_orders_schedule_id_scheduled_for"),
        ),
        sa.UniqueConstraint("number", name=op.f("uq_work_orders_number")),
        sa.CheckConstraint(
            "downtime_minutes >= 0",
            name=op.f("ck_work_orders_downtime_not_negative"),
        ),
        sqlite_strict=True,
    )
    op.create_index(
        op.f("ix_work_orders_assignee_id"),
        "work_orders",
        ["assignee_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_work_orders_due_at"),
        "work_orders",
        ["due_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_work_orders_equipment_id"),
        "work_orders",
        ["equipment_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_work_orders_reporter_id"),
        "work_orders",
        ["reporter_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_work_orders_status"),
        "work_orders",
        ["status"],
        unique=False,
    )
    op.create_touch_trigger("work_orders", ["id"])
    op.create_table(
        "checklist_completions",
        sa.Column("id", ls.Uuid(), nullable=False),
        sa.Column("work_order_id", ls.Uuid(), nullable=False),
        sa.Column("position", ls.BigInteger(), nullable=False),
        sa.Column("text", ls.Text(300), nullable=False),
        sa.Column("is_required", ls.Boolean(), nullable=False),
        sa.Column("is_done", ls.Boolean(), nullable=False),
        sa.Column("done_at", ls.UtcDateTime(), nullable=True),
        sa.Column("done_by_id", ls.Uuid(), nullable=True),
        sa.Column(
            "version",
            ls.BigInteger(),
            server_default=sa.text("1"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checklist_completions")),
        sa.ForeignKeyConstraint(
            ["done_by_id"],
            ["users.id"],
            name=op.f("fk_checklist_completions_done_by_id_users"),
        ),
        sa.ForeignKeyConstraint(
            ["work_order_id"],
            ["work_orders.id"],
            name=op.f("fk_checklist_completions_work_order_id_work_orders"),
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint(
            "work_order_id",
            "position",
            name=op.f("uq_checklist_completions_work_order_id_position"),
        ),
        sqlite_strict=True,
    )
    op.create_table(
        "labor_logs",
        sa.Column("id", ls.Uuid(), nullable=False),
        sa.Column("work_order_id", ls.Uuid(), nullable=False),
        sa.Column("user_id", ls.Uuid(), nullable=False),
        sa.Column("at", ls.UtcDateTime(), nullable=False),
        sa.Column("minutes", ls.BigInteger(), nullable=False),
        sa.Column("note", ls.Text(400), nullable=False),
        sa.Column("request_key", ls.Text(64), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_labor_logs")),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_labor_logs_user_id_users"),
        ),
        sa.ForeignKeyConstraint(
            ["work_order_id"],
            ["work_orders.id"],
            name=op.f("fk_labor_logs_work_order_id_work_orders"),
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint(
            "user_id",
            "request_key",
            name=op.f("uq_labor_logs_user_id_request_key"),
        ),
        sa.CheckConstraint(
            "minutes > 0 AND minutes <= 1440",
            name=op.f("ck_labor_logs_minutes_of_one_day"),
        ),
        sqlite_strict=True,
    )
    op.create_index(
        op.f("ix_labor_logs_user_id"),
        "labor_logs",
        ["user_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_labor_logs_work_order_id"),
        "labor_logs",
        ["work_order_id"],
        unique=False,
    )
    op.create_table(
        "notifications",
        sa.Column("id", ls.Uuid(), nullable=False),
        sa.Column("user_id", ls.Uuid(), nullable=False),
        sa.Column("work_order_id", ls.Uuid(), nullable=True),
        sa.Column("at", ls.UtcDateTime(), nullable=False),
        sa.Column("text", ls.Text(300), nullable=False),
        sa.Column("read_at", ls.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_notifications_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["work_order_id"],
            ["work_orders.id"],
            name=op.f("fk_notifications_work_order_id_work_orders"),
            ondelete="CASCADE",
        ),
        sqlite_strict=True,
    )
    op.create_index(
        op.f("ix_notifications_user_id"),
        "notifications",
        ["user_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_notifications_work_order_id"),
        "notifications",
        ["work_order_id"],
        unique=False,
    )
    op.create_table(
        "work_order_logs",
        sa.Column("id", ls.Uuid(), nullable=False),
        sa.Column("work_order_id", ls.Uuid(), nullable=False),
        sa.Column("at", ls.UtcDateTime(), nullable=False),
        sa.Column("author_id", ls.Uuid(), nullable=True),
        sa.Column("action", ls.Text(40), nullable=False),
        sa.Column("text", ls.Text(4000), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work_order_logs")),
        sa.ForeignKeyConstraint(
            ["author_id"],
            ["users.id"],
            name=op.f("fk_work_order_logs_author_id_users"),
        ),
        sa.ForeignKeyConstraint(
            ["work_order_id"],
            ["work_orders.id"],
            name=op.f("fk_work_order_logs_work_order_id_work_orders"),
            ondelete="CASCADE",
        ),
        sqlite_strict=True,
    )
    op.create_index(
        op.f("ix_work_order_logs_work_order_id"),
        "work_order_logs",
        ["work_order_id"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_index(
        op.f("ix_work_order_logs_work_order_id"),
        table_name="work_order_logs",
    )
    op.drop_table("work_order_logs")
    op.drop_index(op.f("ix_notifications_work_order_id"), table_name="notifications")
    op.drop_index(op.f("ix_notifications_user_id"), table_name="notifications")
    op.drop_table("notifications")
    op.drop_index(op.f("ix_labor_logs_work_order_id"), table_name="labor_logs")
    op.drop_index(op.f("ix_labor_logs_user_id"), table_name="labor_logs")
    op.drop_table("labor_logs")
    op.drop_table("checklist_completions")
    op.drop_touch_trigger("work_orders", ["id"])
    op.drop_index(op.f("ix_work_orders_status"), table_name="work_orders")
    op.drop_index(op.f("ix_work_orders_reporter_id"), table_name="work_orders")
    op.drop_index(op.f("ix_work_orders_equipment_id"), table_name="work_orders")
    op.drop_index(op.f("ix_work_orders_due_at"), table_name="work_orders")
    op.drop_index(op.f("ix_work_orders_assignee_id"), table_name="work_orders")
    op.drop_table("work_orders")
    op.drop_index(op.f("ix_attachments_sha256"), table_name="attachments")
    op.drop_index(
        op.f("ix_attachments_entity_type_entity_id"),
        table_name="attachments",
    )
    op.drop_table("attachments")
