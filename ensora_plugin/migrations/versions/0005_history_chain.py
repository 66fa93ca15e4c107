"""the history of an account is a chain, which begins behind the rows that are there"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("ensora_history", sa.Column("hash", sa.LargeBinary(length=32), nullable=True))


def downgrade() -> None:
    op.drop_column("ensora_history", "hash")
