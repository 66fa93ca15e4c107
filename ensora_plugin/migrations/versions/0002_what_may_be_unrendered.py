"""which mappings may have something to render"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_INDEX = "ix_ensora_mapping_unrendered"


def upgrade() -> None:
    op.add_column(
        "ensora_mapping",
        sa.Column("unrendered", sa.Boolean(), server_default=sa.true(), nullable=False),
    )
    # What was rendered already has to be said once; later each rendering says it.
    op.execute(
        sa.text(
            "UPDATE ensora_mapping SET unrendered = :no "
            "WHERE kind <> 'note' OR host_id IS NULL OR EXISTS ("
            "SELECT 1 FROM ensora_note n JOIN ensora_rendering r ON r.account_id = n.account_id "
            "AND r.note_id = n.vendor_id AND r.version = n.version "
            "WHERE n.account_id = ensora_mapping.account_id "
            "AND n.vendor_id = ensora_mapping.vendor_id "
            "AND r.appointment_id = ensora_mapping.host_id AND r.state = 'rendered')"
        ).bindparams(no=False)
    )
    op.create_index(
        _INDEX,
        "ensora_mapping",
        ["account_id", "kind"],
        sqlite_where=sa.text("unrendered = 1"),
        postgresql_where=sa.text("unrendered"),
    )


def downgrade() -> None:
    op.drop_index(_INDEX, table_name="ensora_mapping")
    op.drop_column("ensora_mapping", "unrendered")
