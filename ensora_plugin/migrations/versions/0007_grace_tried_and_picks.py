"""an account says whether picked appointments map by themselves, and knows the grace last tried"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "ensora_connection",
        sa.Column("map_picked", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column("ensora_connection", sa.Column("tried_grace", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("ensora_connection", "tried_grace")
    op.drop_column("ensora_connection", "map_picked")
