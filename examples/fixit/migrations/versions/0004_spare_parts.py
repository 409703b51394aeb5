"""spare parts

Revision ID: 0004
Revises: 0003
Create Date: 2026-11-20 23:47:06.208477
"""

from alembic import op
import lockstep as ls
import sqlalchemy as sa


revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "spare_parts",
        sa.Column("id", ls.Uuid(), nullable=False),
        sa.Column("sku", ls.Text(40), nullable=False),
        sa.Column("name", ls.Text(120), nullable=False),
        sa.Column("search_text", ls.Text(), nullable=False),
        sa.Column("unit", ls.Text(20), nullable=False),
        sa.Column("unit_cost", ls.Money(), nullable=False),
        sa.Column("reorder_point", ls.BigInteger(), nullable=False),
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
        sa.Column("deleted_at", ls.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_spare_parts")),
        sa.UniqueConstraint("sku", name=op.f("uq_spare_parts_sku")),
        sa.CheckConstraint(
            "reorder_point >= 0",
            name=op.f("ck_spare_parts_reorder_point_not_negative"),
        ),
        sa.CheckConstraint(
            "unit_cost >= 0",
            name=op.f("ck_spare_parts_unit_cost_not_negative"),
        ),
        sqlite_strict=True,
    )
    op.create_touch_trigger("spare_parts", ["id"])
    op.create_table(
        "inventory_levels",
        sa.Column("id", ls.Uuid(), nullable=False),
        sa.Column("part_id", ls.Uuid(), nullable=False),
        sa.Column("location_id", ls.Uuid(), nullable=False),
        sa.Column("bin", ls.Text(40), nullable=False),
        sa.Column("quantity", ls.BigInteger(), nullable=False),
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
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inventory_levels")),
        sa.ForeignKeyConstraint(
            ["location_id"],
            ["locations.id"],
            name=op.f("fk_inventory_levels_location_id_locations"),
        ),
        sa.ForeignKeyConstraint(
            ["part_id"],
            ["spare_parts.id"],
            name=op.f("fk_inventory_levels_part_id_spare_parts"),
        ),
        sa.UniqueConstraint(
            "part_id",
            "location_id",
            "bin",
            name=op.f("uq_inventory_levels_part_id_location_id_bin"),
        ),
        sa.CheckConstraint(
            "quantity >= 0",
            name=op.f("ck_inventory_levels_quantity_not_negative"),
        ),
        sqlite_strict=True,
    )
    op.create_index(
        op.f("ix_inventory_levels_location_id"),
        "inventory_levels",
        ["location_id"],
        unique=False,
    )
    op.create_touch_trigger("inventory_levels", ["id"])
    op.create_table(
        "work_order_parts",
        sa.Column("id", ls.Uuid(), nullable=False),
        sa.Column("work_order_id", ls.Uuid(), nullable=False),
        sa.Column("part_id", ls.Uuid(), nullable=False),
        sa.Column("quantity", ls.BigInteger(), nullable=False),
        sa.Column("unit_cost", ls.Money(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work_order_parts")),
        sa.ForeignKeyConstraint(
            ["part_id"],
            ["spare_parts.id"],
            name=op.f("fk_work_order_parts_part_id_spare_parts"),
        ),
        sa.ForeignKeyConstraint(
            ["work_order_id"],
            ["work_orders.id"],
            name=op.f("fk_work_order_parts_work_order_id_work_orders"),
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint(
            "work_order_id",
            "part_id",
            name=op.f("uq_work_order_parts_work_order_id_part_id"),
        ),
        sa.CheckConstraint(
            "quantity >= 0",
            name=op.f("ck_work_order_parts_quantity_not_negative"),
        ),
        sqlite_strict=True,
    )
    op.create_index(
        op.f("ix_work_order_parts_part_id"),
        "work_order_parts",
        ["part_id"],
        unique=False,
    )
    op.create_table(
        "inventory_transactions",
        sa.Column("id", ls.Uuid(), nullable=False),
        sa.Column("at", ls.UtcDateTime(), nullable=False),
        sa.Column("level_id", ls.Uuid(), nullable=False),
        sa.Column("part_id", ls.Uuid(), nullable=False),
        sa.Column(
            "movement",
            ls.Enum("receive", "take", "return", "count"),
            nullable=False,
        ),
        sa.Column("delta", ls.BigInteger(), nullable=False),
        sa.Column("balance", ls.BigInteger(), nullable=False),
        sa.Column("work_order_id", ls.Uuid(), nullable=True),
        sa.Column("user_id", ls.Uuid(), nullable=True),
        sa.Column("reason", ls.Text(200), nullable=False),
        sa.Column("request_key", ls.Text(64), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inventory_transactions")),
        sa.ForeignKeyConstraint(
            ["level_id"],
            ["inventory_levels.id"],
            name=op.f("fk_inventory_transactions_level_id_inventory_levels"),
        ),
        sa.ForeignKeyConstraint(
            ["part_id"],
            ["spare_parts.id"],
            name=op.f("fk_inventory_transactions_part_id_spare_parts"),
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_inventory_transactions_user_id_users"),
        ),
        sa.ForeignKeyConstraint(
            ["work_order_id"],
            ["work_orders.id"],
            name=op.f("fk_inventory_transactions_work_order_id_work_orders"),
        ),
        sa.UniqueConstraint(
            "user_id",
            "request_key",
            name=op.f("uq_inventory_transactions_user_id_request_key"),
        ),
        sa.CheckConstraint(
            "balance >= 0",
            name=op.f("ck_inventory_transactions_balance_not_negative"),
        ),
        sa.CheckConstraint(
            "delta <> 0",
            name=op.f("ck_inventory_transactions_delta_not_zero"),
        ),
        sqlite_strict=True,
    )
    op.create_index(
        op.f("ix_inventory_transactions_at"),
        "inventory_transactions",
        ["at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_inventory_transactions_level_id"),
        "inventory_transactions",
        ["level_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_inventory_transactions_part_id"),
        "inventory_transactions",
        ["part_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_inventory_transactions_work_order_id"),
        "inventory_transactions",
        ["work_order_id"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_index(
        op.f("ix_inventory_transactions_work_order_id"),
        table_name="inventory_transactions",
    )
    op.drop_index(
        op.f("ix_inventory_transactions_part_id"),
        table_name="inventory_transactions",
    )
    op.drop_index(
        op.f("ix_inventory_transactions_level_id"),
        table_name="inventory_transactions",
    )
    op.drop_index(
        op.f("ix_inventory_transactions_at"),
        table_name="inventory_transactions",
    )
    op.drop_table("inventory_transactions")
    op.drop_index(op.f("ix_work_order_parts_part_id"), table_name="work_order_parts")
    op.drop_table("work_order_parts")
    op.drop_touch_trigger("inventory_levels", ["id"])
    op.drop_index(
        op.f("ix_inventory_levels_location_id"),
        table_name="inventory_levels",
    )
    op.drop_table("inventory_levels")
    op.drop_touch_trigger("spare_parts", ["id"])
    op.drop_table("spare_parts")
