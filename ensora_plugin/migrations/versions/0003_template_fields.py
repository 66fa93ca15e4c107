"""the SOAP fields of templates"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ensora_template_field",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("template", sa.String(length=255), nullable=False),
        sa.Column("meaning", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["ensora_connection.id"],
            name=op.f("fk_ensora_template_field_account_id_ensora_connection"),
        ),
        sa.PrimaryKeyConstraint(
            "account_id", "template", "meaning", name=op.f("pk_ensora_template_field")
        ),
    )


def downgrade() -> None:
    op.drop_table("ensora_template_field")
