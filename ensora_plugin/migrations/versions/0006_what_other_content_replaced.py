"""where other content came under the version of a note: what stands in the appointment"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLE = "ensora_replaced_content"


def upgrade() -> None:
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("ensora_rendering", sa.Column("replaced_id", big, nullable=True))
    op.add_column(TABLE, sa.Column("appointment_id", sa.String(length=64), nullable=True))
    op.add_column(TABLE, sa.Column("applied_at", sa.DateTime(), nullable=True))
    op.add_column(TABLE, sa.Column("applied_run_id", sa.Integer(), nullable=True))
    op.add_column(TABLE, sa.Column("applied_by", sa.String(length=80), nullable=True))
    op.add_column(TABLE, sa.Column("signatures", sa.JSON(), nullable=True))


def downgrade() -> None:
    for name in ("signatures", "applied_by", "applied_run_id", "applied_at", "appointment_id"):
        op.drop_column(TABLE, name)
    op.drop_column("ensora_rendering", "replaced_id")
