"""the picks of notes that do not map are looked at in every pass"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_ensora_note_picked",
        "ensora_note",
        ["account_id", "picked"],
        sqlite_where=sa.text("picked IS NOT NULL AND why IS NOT NULL"),
        postgresql_where=sa.text("picked IS NOT NULL AND why IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_ensora_note_picked", "ensora_note")
