"""people and places

Revision ID: 0001
Revises:
Create Date: 2026-11-20 23:47:04.988763
"""

from alembic import op
import lockstep as ls
import sqlalchemy as sa


revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_log",
        sa.Column("id", ls.Uuid(), nullable=False),
        sa.Column("at", ls.UtcDateTime(), nullable=False),
        sa.Column("actor", ls.Text(), nullable=True),
        sa.Column(
            "action",
            ls.Enum("insert", "update", "delete", "restore"),
            nullable=False,
        ),
        sa.Column("table_name", ls.Text(), nullable=False),
        sa.Column("row_key", ls.Json(), nullable=False),
        sa.Column("before", ls.Json(), nullable=True),
        sa.Column("after", ls.Json(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_audit_log_actor"), "audit_log", ["actor"], unique=False)
    op.create_index(op.f("ix_audit_log_at"), "audit_log", ["at"], unique=False)
    op.create_index(
        op.f("ix_audit_log_table_name"),
        "audit_log",
        ["table_name"],
        unique=False,
    )
    op.create_table(
        "counters",
        sa.Column("name", ls.Text(40), nullable=False),
        sa.Column("value", ls.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counters")),
        sqlite_strict=True,
    )
    op.create_table(
        "events",
        sa.Column("sequence", ls.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", ls.UtcDateTime(), nullable=False),
        sa.Column("topic", ls.Text(40), nullable=False),
        sa.Column("action", ls.Text(40), nullable=False),
        sa.Column("subject_id", ls.Uuid(), nullable=True),
        sa.Column("actor", ls.Text(80), nullable=True),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_events")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_events_at"), "events", ["at"], unique=False)
    op.create_table(
        "locations",
        sa.Column("id", ls.Uuid(), nullable=False),
        sa.Column("code", ls.Text(40), nullable=False),
        sa.Column("name", ls.Text(120), nullable=False),
        sa.Column("parent_id", ls.Uuid(), nullable=True),
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
        sa.PrimaryKeyConstraint("id", name=op.f("pk_locations")),
        sa.ForeignKeyConstraint(
            ["parent_id"],
            ["locations.id"],
            name=op.f("fk_locations_parent_id_locations"),
        ),
        sa.UniqueConstraint("code", name=op.f("uq_locations_code")),
        sqlite_strict=True,
    )
    op.create_index(
        op.f("ix_locations_parent_id"),
        "locations",
        ["parent_id"],
        unique=False,
    )
    op.create_touch_trigger("locations", ["id"])
    op.create_table(
        "login_attempts",
        sa.Column("employee_id_hash", ls.Text(64), nullable=False),
        sa.Column("failures", ls.BigInteger(), nullable=False),
        sa.Column("last_at", ls.UtcDateTime(), nullable=False),
        sa.Column("locked_until", ls.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("employee_id_hash", name=op.f("pk_login_attempts")),
        sqlite_strict=True,
    )
    op.create_index(
        op.f("ix_login_attempts_last_at"),
        "login_attempts",
        ["last_at"],
        unique=False,
    )
    op.create_table(
        "roles",
        sa.Column("id", ls.Uuid(), nullable=False),
        sa.Column("name", ls.Text(40), nullable=False),
        sa.Column("title", ls.Text(80), nullable=False),
        sa.Column("permissions", ls.Json(), nullable=False),
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
        sa.PrimaryKeyConstraint("id", name=op.f("pk_roles")),
        sa.UniqueConstraint("name", name=op.f("uq_roles_name")),
        sqlite_strict=True,
    )
    op.create_touch_trigger("roles", ["id"])
    op.create_table(
        "equipment",
        sa.Column("id", ls.Uuid(), nullable=False),
        sa.Column("code", ls.Text(40), nullable=False),
        sa.Column("qr_code", ls.Text(64), nullable=False),
        sa.Column("name", ls.Text(120), nullable=False),
        sa.Column("location_id", ls.Uuid(), nullable=False),
        sa.Column(
            "criticality",
            ls.Enum("low", "medium", "high", "critical"),
            nullable=False,
        ),
        sa.Column(
            "status",
            ls.Enum("running", "down", "maintenance", "retired"),
            nullable=False,
        ),
        sa.Column("manufacturer", ls.Text(120), nullable=False),
        sa.Column("model", ls.Text(120), nullable=False),
        sa.Column("serial_number", ls.Text(120), nullable=False),
        sa.Column("installed_on", ls.Date(), nullable=True),
        sa.Column("attributes", ls.Json(), nullable=False),
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
        sa.PrimaryKeyConstraint("id", name=op.f("pk_equipment")),
        sa.ForeignKeyConstraint(
            ["location_id"],
            ["locations.id"],
            name=op.f("fk_equipment_location_id_locations"),
        ),
        sa.UniqueConstraint("code", name=op.f("uq_equipment_code")),
        sa.UniqueConstraint("qr_code", name=op.f("uq_equipment_qr_code")),
        sqlite_strict=True,
    )
    op.create_index(
        op.f("ix_equipment_location_id"),
        "equipment",
        ["location_id"],
        unique=False,
    )
    op.create_touch_trigger("equipment", ["id"])
    op.create_table(
        "users",
        sa.Column("id", ls.Uuid(), nullable=False),
        sa.Column("employee_id", ls.Text(32), nullable=False),
        sa.Column("name", ls.Text(120), nullable=False),
        sa.Column("role_id", ls.Uuid(), nullable=False),
        sa.Column("pin_hash", ls.Text(200), nullable=False),
        sa.Column("is_active", ls.Boolean(), nullable=False),
        sa.Column("must_change_pin", ls.Boolean(), nullable=False),
        sa.Column("has_demo_pin", ls.Boolean(), nullable=False),
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
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.ForeignKeyConstraint(
            ["role_id"],
            ["roles.id"],
            name=op.f("fk_users_role_id_roles"),
        ),
        sa.UniqueConstraint("employee_id", name=op.f("uq_users_employee_id")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_users_role_id"), "users", ["role_id"], unique=False)
    op.create_touch_trigger("users", ["id"])
    op.create_table(
        "login_sessions",
        sa.Column("id", ls.Uuid(), nullable=False),
        sa.Column("user_id", ls.Uuid(), nullable=False),
        sa.Column("token_hash", ls.Text(64), nullable=False),
        sa.Column("created_at", ls.UtcDateTime(), nullable=False),
        sa.Column("last_seen_at", ls.UtcDateTime(), nullable=False),
        sa.Column("expires_at", ls.UtcDateTime(), nullable=False),
        sa.Column("user_agent", ls.Text(200), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login_sessions")),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_login_sessions_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint("token_hash", name=op.f("uq_login_sessions_token_hash")),
        sqlite_strict=True,
    )
    op.create_index(
        op.f("ix_login_sessions_expires_at"),
        "login_sessions",
        ["expires_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_login_sessions_user_id"),
        "login_sessions",
        ["user_id"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_login_sessions_user_id"), table_name="login_sessions")
    op.drop_index(op.f("ix_login_sessions_expires_at"), table_name="login_sessions")
    op.drop_table("login_sessions")
    op.drop_touch_trigger("users", ["id"])
    op.drop_index(op.f("ix_users_role_id"), table_name="users")
    op.drop_table("users")
    op.drop_touch_trigger("equipment", ["id"])
    op.drop_index(op.f("ix_equipment_location_id"), table_name="equipment")
    op.drop_table("equipment")
    op.drop_touch_trigger("roles", ["id"])
    op.drop_table("roles")
    op.drop_index(op.f("ix_login_attempts_last_at"), table_name="login_attempts")
    op.drop_table("login_attempts")
    op.drop_touch_trigger("locations", ["id"])
    op.drop_index(op.f("ix_locations_parent_id"), table_name="locations")
    op.drop_table("locations")
    op.drop_index(op.f("ix_events_at"), table_name="events")
    op.drop_table("events")
    op.drop_table("counters")
    op.drop_index(op.f("ix_audit_log_table_name"), table_name="audit_log")
    op.drop_index(op.f("ix_audit_log_at"), table_name="audit_log")
    op.drop_index(op.f("ix_audit_log_actor"), table_name="audit_log")
    op.drop_table("audit_log")
