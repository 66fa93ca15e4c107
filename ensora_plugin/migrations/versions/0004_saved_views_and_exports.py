"""saved views of the reports, and large exports"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ensora_export",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("by", sa.String(length=80), nullable=False),
        sa.Column("agencies", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("may_map", sa.Boolean(), nullable=False),
        sa.Column("report", sa.String(length=16), nullable=False),
        sa.Column("choice", sa.JSON(), nullable=False),
        sa.Column("form", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.DateTime(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.DateTime(), nullable=False),
        sa.CheckConstraint(
            "state IN ('due', 'running', 'done', 'failed')", name=op.f("ck_ensora_export_state")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["ensora_connection.id"], name=op.f("fk_ensora_export_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ensora_export")),
    )
    op.create_index(
        op.f("ix_ensora_export_account_id_owner"),
        "ensora_export",
        ["account_id", "owner"],
        unique=False,
    )
    op.create_index(op.f("ix_ensora_export_state"), "ensora_export", ["state"], unique=False)
    op.create_table(
        "ensora_saved_view",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("report", sa.String(length=16), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("by", sa.String(length=80), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("choice", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["ensora_connection.id"], name=op.f("fk_ensora_saved_view_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ensora_saved_view")),
        sa.UniqueConstraint(
            "account_id",
            "report",
            "owner",
            "name",
            name=op.f("uq_ensora_saved_view_account_id_report_owner_name"),
        ),
    )
    op.create_table(
        "ensora_default_view",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("report", sa.String(length=16), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("view_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["ensora_connection.id"], name=op.f("fk_ensora_default_view_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["view_id"], ["ensora_saved_view.id"], name=op.f("fk_ensora_default_view_view_id")
        ),
        sa.PrimaryKeyConstraint(
            "account_id", "report", "owner", name=op.f("pk_ensora_default_view")
        ),
    )
    op.create_table(
        "ensora_export_part",
        sa.Column(
            "export_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["ensora_connection.id"], name=op.f("fk_ensora_export_part_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["export_id"], ["ensora_export.id"], name=op.f("fk_ensora_export_part_export_id")
        ),
        sa.PrimaryKeyConstraint("export_id", "number", name=op.f("pk_ensora_export_part")),
    )


def downgrade() -> None:
    op.drop_table("ensora_export_part")
    op.drop_table("ensora_default_view")
    op.drop_table("ensora_saved_view")
    op.drop_index(op.f("ix_ensora_export_state"), table_name="ensora_export")
    op.drop_index(op.f("ix_ensora_export_account_id_owner"), table_name="ensora_export")
    op.drop_table("ensora_export")
