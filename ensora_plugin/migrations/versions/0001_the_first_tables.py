"""the first tables"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


# The history only grows, and automap never takes a person's mapping: the database holds both.
_TRIGGERS = {
    "sqlite": [
        """CREATE TRIGGER ensora_history_no_update BEFORE UPDATE ON ensora_history
        BEGIN SELECT RAISE(ABORT, 'ensora_history is append-only'); END""",
        """CREATE TRIGGER ensora_history_no_delete BEFORE DELETE ON ensora_history
        BEGIN SELECT RAISE(ABORT, 'ensora_history is append-only'); END""",
        """CREATE TRIGGER ensora_mapping_guard BEFORE UPDATE ON ensora_mapping
        WHEN OLD.state <> 'auto' AND NEW.state = 'auto' AND NEW."by" IS NULL
        BEGIN SELECT RAISE(ABORT, 'automap never changes a mapping of a person'); END""",
    ],
    "postgresql": [
        """CREATE FUNCTION ensora_history_guard() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'ensora_history is append-only'; END $$""",
        """CREATE TRIGGER ensora_history_guard BEFORE UPDATE OR DELETE OR TRUNCATE
        ON ensora_history FOR EACH STATEMENT EXECUTE FUNCTION ensora_history_guard()""",
        """CREATE FUNCTION ensora_mapping_guard() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'automap never changes a mapping of a person'; END $$""",
        """CREATE TRIGGER ensora_mapping_guard BEFORE UPDATE ON ensora_mapping FOR EACH ROW
        WHEN (OLD.state <> 'auto' AND NEW.state = 'auto' AND NEW."by" IS NULL)
        EXECUTE FUNCTION ensora_mapping_guard()""",
    ],
}


def upgrade() -> None:
    op.create_table(
        "ensora_connection",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("organization_id", sa.String(length=64), nullable=True),
        sa.Column("organization_name", sa.String(length=255), nullable=True),
        sa.Column("vendor_user", sa.String(length=255), nullable=True),
        sa.Column("connected_by", sa.String(length=80), nullable=True),
        sa.Column("connected_at", sa.DateTime(), nullable=True),
        sa.Column("token_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("interval_minutes", sa.Integer(), nullable=True),
        sa.Column("grace_minutes", sa.Integer(), nullable=True),
        sa.Column("generation", sa.Integer(), server_default="1", nullable=False),
        sa.Column("due_at", sa.DateTime(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", sa.DateTime(), nullable=True),
        sa.Column("error_code", sa.String(length=40), nullable=True),
        sa.Column("error_text", sa.Text(), nullable=True),
        sa.Column("held_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ensora_connection")),
        sa.UniqueConstraint("account", name=op.f("uq_ensora_connection_account")),
        sa.UniqueConstraint("organization_id", name=op.f("uq_ensora_connection_organization_id")),
    )
    op.create_index(
        op.f("ix_ensora_connection_due_at"), "ensora_connection", ["due_at"], unique=False
    )
    op.create_table(
        "ensora_content",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("note_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["ensora_connection.id"], name=op.f("fk_ensora_content_account_id")
        ),
        sa.PrimaryKeyConstraint("account_id", "note_id", "version", name=op.f("pk_ensora_content")),
    )
    op.create_table(
        "ensora_directory",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("entity", sa.String(length=8), nullable=False),
        sa.Column("host_id", sa.String(length=64), nullable=False),
        sa.Column(
            "match_key",
            sa.String(length=1100).with_variant(
                sa.String(length=1100, collation="C"), "postgresql"
            ),
            nullable=True,
        ),
        sa.Column(
            "name_key",
            sa.String(length=1100).with_variant(
                sa.String(length=1100, collation="C"), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column(
            "sort_key",
            sa.String(length=1100).with_variant(
                sa.String(length=1100, collation="C"), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column(
            "last_fact",
            sa.String(length=1100).with_variant(
                sa.String(length=1100, collation="C"), "postgresql"
            ),
            nullable=True,
        ),
        sa.Column("touched", sa.Integer(), server_default="0", nullable=False),
        sa.Column("checksum", sa.LargeBinary(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["ensora_connection.id"], name=op.f("fk_ensora_directory_account_id")
        ),
        sa.PrimaryKeyConstraint(
            "account_id", "entity", "host_id", name=op.f("pk_ensora_directory")
        ),
    )
    op.create_index(
        op.f("ix_ensora_directory_account_id_entity_last_fact"),
        "ensora_directory",
        ["account_id", "entity", "last_fact"],
        unique=False,
    )
    op.create_index(
        op.f("ix_ensora_directory_account_id_entity_match_key"),
        "ensora_directory",
        ["account_id", "entity", "match_key"],
        unique=False,
    )
    op.create_index(
        op.f("ix_ensora_directory_account_id_entity_name_key"),
        "ensora_directory",
        ["account_id", "entity", "name_key"],
        unique=False,
    )
    op.create_index(
        op.f("ix_ensora_directory_account_id_entity_sort_key"),
        "ensora_directory",
        ["account_id", "entity", "sort_key"],
        unique=False,
    )
    op.create_table(
        "ensora_directory_agency",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("entity", sa.String(length=8), nullable=False),
        sa.Column("host_id", sa.String(length=64), nullable=False),
        sa.Column("agency_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["ensora_connection.id"],
            name=op.f("fk_ensora_directory_agency_account_id"),
        ),
        sa.PrimaryKeyConstraint(
            "account_id", "entity", "host_id", "agency_id", name=op.f("pk_ensora_directory_agency")
        ),
    )
    op.create_table(
        "ensora_feed",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("cursor", sa.String(length=512), nullable=True),
        sa.Column("moved_at", sa.DateTime(), nullable=False),
        sa.Column("gone", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["ensora_connection.id"], name=op.f("fk_ensora_feed_account_id")
        ),
        sa.PrimaryKeyConstraint("account_id", "kind", name=op.f("pk_ensora_feed")),
    )
    op.create_table(
        "ensora_history",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("by", sa.String(length=80), nullable=True),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("action", sa.String(length=20), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=True),
        sa.Column("vendor_id", sa.String(length=64), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("before", sa.JSON(), nullable=True),
        sa.Column("after", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["ensora_connection.id"], name=op.f("fk_ensora_history_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ensora_history")),
    )
    op.create_index(
        op.f("ix_ensora_history_account_id_id"),
        "ensora_history",
        ["account_id", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_ensora_history_account_id_kind_vendor_id"),
        "ensora_history",
        ["account_id", "kind", "vendor_id"],
        unique=False,
    )
    op.create_table(
        "ensora_host_mark",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("entity", sa.String(length=12), nullable=False),
        sa.Column("seen", sa.String(length=40), nullable=True),
        sa.Column("moved_at", sa.DateTime(), nullable=True),
        sa.Column("settled", sa.Boolean(), nullable=False),
        sa.Column("whole_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["ensora_connection.id"], name=op.f("fk_ensora_host_mark_account_id")
        ),
        sa.PrimaryKeyConstraint("account_id", "entity", name=op.f("pk_ensora_host_mark")),
    )
    op.create_table(
        "ensora_mapping",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("vendor_id", sa.String(length=64), nullable=False),
        sa.Column("host_id", sa.String(length=64), nullable=True),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=255), nullable=True),
        sa.Column("by", sa.String(length=80), nullable=True),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.CheckConstraint(
            "(host_id IS NULL) = (state = 'ignored')",
            name=op.f("ck_ensora_mapping_ignored_has_no_host"),
        ),
        sa.CheckConstraint(
            "state IN ('auto', 'user', 'ignored')", name=op.f("ck_ensora_mapping_state")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["ensora_connection.id"], name=op.f("fk_ensora_mapping_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ensora_mapping")),
        sa.UniqueConstraint(
            "account_id", "kind", "host_id", name=op.f("uq_ensora_mapping_account_id_kind_host_id")
        ),
        sa.UniqueConstraint(
            "account_id",
            "kind",
            "vendor_id",
            name=op.f("uq_ensora_mapping_account_id_kind_vendor_id"),
        ),
    )
    op.create_index(
        op.f("ix_ensora_mapping_run_id_kind"), "ensora_mapping", ["run_id", "kind"], unique=False
    )
    op.create_table(
        "ensora_membership",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("vendor_id", sa.String(length=64), nullable=False),
        sa.Column("site_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["ensora_connection.id"], name=op.f("fk_ensora_membership_account_id")
        ),
        sa.PrimaryKeyConstraint(
            "account_id", "kind", "vendor_id", "site_id", name=op.f("pk_ensora_membership")
        ),
    )
    op.create_table(
        "ensora_note",
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("site_id", sa.String(length=64), nullable=False),
        sa.Column("student_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("picked", sa.String(length=64), nullable=True),
        sa.Column("template", sa.String(length=255), nullable=False),
        sa.Column("published_at", sa.DateTime(), nullable=True),
        sa.Column("date", sa.Date(), nullable=True),
        sa.Column("start", sa.SmallInteger(), nullable=True),
        sa.Column("end", sa.SmallInteger(), nullable=True),
        sa.Column("touched", sa.Integer(), server_default="0", nullable=False),
        sa.Column("seen", sa.Text(), nullable=True),
        sa.Column("therapist_signed", sa.Boolean(), nullable=False),
        sa.Column("guardian_signed", sa.Boolean(), nullable=False),
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("vendor_id", sa.String(length=64), nullable=False),
        sa.Column("modified_at", sa.DateTime(), nullable=False),
        sa.Column(
            "sort_key",
            sa.String(length=1100).with_variant(
                sa.String(length=1100, collation="C"), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("checksum", sa.LargeBinary(length=16), nullable=False),
        sa.Column("why", sa.String(length=40), nullable=True),
        sa.Column("why_minutes", sa.Integer(), nullable=True),
        sa.Column("nearest", sa.String(length=64), nullable=True),
        sa.Column("rival", sa.String(length=64), nullable=True),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["ensora_connection.id"], name=op.f("fk_ensora_note_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ensora_note")),
        sa.UniqueConstraint(
            "account_id", "vendor_id", name=op.f("uq_ensora_note_account_id_vendor_id")
        ),
    )
    op.create_index(
        op.f("ix_ensora_note_account_id_sort_key_id"),
        "ensora_note",
        ["account_id", "sort_key", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_ensora_note_account_id_student_id_user_id_date"),
        "ensora_note",
        ["account_id", "student_id", "user_id", "date"],
        unique=False,
    )
    op.create_index(
        op.f("ix_ensora_note_account_id_touched"),
        "ensora_note",
        ["account_id", "touched"],
        unique=False,
    )
    op.create_index(
        op.f("ix_ensora_note_account_id_user_id"),
        "ensora_note",
        ["account_id", "user_id"],
        unique=False,
    )
    op.create_index(
        "ix_ensora_note_nearest",
        "ensora_note",
        ["account_id", "nearest"],
        unique=False,
        sqlite_where=sa.text("nearest IS NOT NULL"),
        postgresql_where=sa.text("nearest IS NOT NULL"),
    )
    op.create_index(
        "ix_ensora_note_unmapped",
        "ensora_note",
        ["account_id", "why", "date"],
        unique=False,
        sqlite_where=sa.text("why IS NOT NULL"),
        postgresql_where=sa.text("why IS NOT NULL"),
    )
    op.create_table(
        "ensora_rejected",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("vendor_id", sa.String(length=64), nullable=False),
        sa.Column("host_id", sa.String(length=64), nullable=False),
        sa.Column("by", sa.String(length=80), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["ensora_connection.id"], name=op.f("fk_ensora_rejected_account_id")
        ),
        sa.PrimaryKeyConstraint(
            "account_id", "kind", "vendor_id", "host_id", name=op.f("pk_ensora_rejected")
        ),
    )
    op.create_table(
        "ensora_rendering",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("note_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("appointment_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("applied", sa.Boolean(), nullable=False),
        sa.Column("refusals", sa.JSON(), nullable=False),
        sa.Column("signatures", sa.JSON(), nullable=False),
        sa.Column("applied_at", sa.DateTime(), nullable=True),
        sa.Column("applied_run_id", sa.Integer(), nullable=True),
        sa.Column("applied_by", sa.String(length=80), nullable=True),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("by", sa.String(length=80), nullable=True),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.CheckConstraint(
            "state IN ('rendered', 'refused', 'failed', 'withdrawn', 'replaced')",
            name=op.f("ck_ensora_rendering_state"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["ensora_connection.id"], name=op.f("fk_ensora_rendering_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ensora_rendering")),
        sa.UniqueConstraint(
            "account_id",
            "note_id",
            "version",
            "appointment_id",
            name=op.f("uq_ensora_rendering_account_id_note_id_version_appointment_id"),
        ),
    )
    op.create_index(
        op.f("ix_ensora_rendering_account_id_appointment_id"),
        "ensora_rendering",
        ["account_id", "appointment_id"],
        unique=False,
    )
    op.create_table(
        "ensora_replaced_content",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("note_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["ensora_connection.id"],
            name=op.f("fk_ensora_replaced_content_account_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ensora_replaced_content")),
    )
    op.create_index(
        op.f("ix_ensora_replaced_content_account_id_note_id"),
        "ensora_replaced_content",
        ["account_id", "note_id"],
        unique=False,
    )
    op.create_table(
        "ensora_run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("cause", sa.String(length=10), nullable=False),
        sa.Column("by", sa.String(length=80), nullable=True),
        sa.Column("steps", sa.String(length=24), nullable=False),
        sa.Column("step", sa.String(length=8), nullable=True),
        sa.Column("owner", sa.String(length=80), nullable=True),
        sa.Column("lease_until", sa.DateTime(), nullable=True),
        sa.Column("stop_by", sa.String(length=80), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=True),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.Column("error_code", sa.String(length=40), nullable=True),
        sa.Column("error_text", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('due', 'running', 'done', 'failed', 'stopped', 'held')",
            name=op.f("ck_ensora_run_state"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["ensora_connection.id"], name=op.f("fk_ensora_run_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ensora_run")),
    )
    op.create_index(
        op.f("ix_ensora_run_account_id_id"), "ensora_run", ["account_id", "id"], unique=False
    )
    op.create_index(
        "uq_ensora_run_live",
        "ensora_run",
        ["account_id"],
        unique=True,
        sqlite_where=sa.text("state IN ('due', 'running')"),
        postgresql_where=sa.text("state IN ('due', 'running')"),
    )
    op.create_table(
        "ensora_set_aside",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("vendor_id", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=255), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["ensora_connection.id"], name=op.f("fk_ensora_set_aside_account_id")
        ),
        sa.PrimaryKeyConstraint(
            "account_id", "kind", "vendor_id", name=op.f("pk_ensora_set_aside")
        ),
    )
    op.create_table(
        "ensora_site",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column(
            "match_key",
            sa.String(length=1100).with_variant(
                sa.String(length=1100, collation="C"), "postgresql"
            ),
            nullable=True,
        ),
        sa.Column(
            "name_key",
            sa.String(length=1100).with_variant(
                sa.String(length=1100, collation="C"), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("suggested_by", sa.LargeBinary(length=16), nullable=True),
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("vendor_id", sa.String(length=64), nullable=False),
        sa.Column("modified_at", sa.DateTime(), nullable=False),
        sa.Column(
            "sort_key",
            sa.String(length=1100).with_variant(
                sa.String(length=1100, collation="C"), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("checksum", sa.LargeBinary(length=16), nullable=False),
        sa.Column("why", sa.String(length=40), nullable=True),
        sa.Column("why_minutes", sa.Integer(), nullable=True),
        sa.Column("nearest", sa.String(length=64), nullable=True),
        sa.Column("rival", sa.String(length=64), nullable=True),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["ensora_connection.id"], name=op.f("fk_ensora_site_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ensora_site")),
        sa.UniqueConstraint(
            "account_id", "vendor_id", name=op.f("uq_ensora_site_account_id_vendor_id")
        ),
    )
    op.create_index(
        op.f("ix_ensora_site_account_id_match_key"),
        "ensora_site",
        ["account_id", "match_key"],
        unique=False,
    )
    op.create_index(
        op.f("ix_ensora_site_account_id_name_key_id"),
        "ensora_site",
        ["account_id", "name_key", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_ensora_site_account_id_sort_key_id"),
        "ensora_site",
        ["account_id", "sort_key", "id"],
        unique=False,
    )
    op.create_table(
        "ensora_student",
        sa.Column("site_id", sa.String(length=64), nullable=False),
        sa.Column("first_name", sa.String(length=255), nullable=False),
        sa.Column("last_name", sa.String(length=255), nullable=False),
        sa.Column("date_of_birth", sa.Date(), nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column(
            "match_key",
            sa.String(length=1100).with_variant(
                sa.String(length=1100, collation="C"), "postgresql"
            ),
            nullable=True,
        ),
        sa.Column(
            "name_key",
            sa.String(length=1100).with_variant(
                sa.String(length=1100, collation="C"), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("suggested_by", sa.LargeBinary(length=16), nullable=True),
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("vendor_id", sa.String(length=64), nullable=False),
        sa.Column("modified_at", sa.DateTime(), nullable=False),
        sa.Column(
            "sort_key",
            sa.String(length=1100).with_variant(
                sa.String(length=1100, collation="C"), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("checksum", sa.LargeBinary(length=16), nullable=False),
        sa.Column("why", sa.String(length=40), nullable=True),
        sa.Column("why_minutes", sa.Integer(), nullable=True),
        sa.Column("nearest", sa.String(length=64), nullable=True),
        sa.Column("rival", sa.String(length=64), nullable=True),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["ensora_connection.id"], name=op.f("fk_ensora_student_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ensora_student")),
        sa.UniqueConstraint(
            "account_id", "vendor_id", name=op.f("uq_ensora_student_account_id_vendor_id")
        ),
    )
    op.create_index(
        op.f("ix_ensora_student_account_id_date_of_birth"),
        "ensora_student",
        ["account_id", "date_of_birth"],
        unique=False,
    )
    op.create_index(
        op.f("ix_ensora_student_account_id_match_key"),
        "ensora_student",
        ["account_id", "match_key"],
        unique=False,
    )
    op.create_index(
        op.f("ix_ensora_student_account_id_name_key_id"),
        "ensora_student",
        ["account_id", "name_key", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_ensora_student_account_id_sort_key_id"),
        "ensora_student",
        ["account_id", "sort_key", "id"],
        unique=False,
    )
    op.create_table(
        "ensora_user",
        sa.Column("type", sa.String(length=12), nullable=False),
        sa.Column("first_name", sa.String(length=255), nullable=False),
        sa.Column("last_name", sa.String(length=255), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column(
            "email_key",
            sa.String(length=1100).with_variant(
                sa.String(length=1100, collation="C"), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("title", sa.String(length=255), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column(
            "match_key",
            sa.String(length=1100).with_variant(
                sa.String(length=1100, collation="C"), "postgresql"
            ),
            nullable=True,
        ),
        sa.Column(
            "name_key",
            sa.String(length=1100).with_variant(
                sa.String(length=1100, collation="C"), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("suggested_by", sa.LargeBinary(length=16), nullable=True),
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("vendor_id", sa.String(length=64), nullable=False),
        sa.Column("modified_at", sa.DateTime(), nullable=False),
        sa.Column(
            "sort_key",
            sa.String(length=1100).with_variant(
                sa.String(length=1100, collation="C"), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("checksum", sa.LargeBinary(length=16), nullable=False),
        sa.Column("why", sa.String(length=40), nullable=True),
        sa.Column("why_minutes", sa.Integer(), nullable=True),
        sa.Column("nearest", sa.String(length=64), nullable=True),
        sa.Column("rival", sa.String(length=64), nullable=True),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["ensora_connection.id"], name=op.f("fk_ensora_user_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ensora_user")),
        sa.UniqueConstraint(
            "account_id", "vendor_id", name=op.f("uq_ensora_user_account_id_vendor_id")
        ),
    )
    op.create_index(
        op.f("ix_ensora_user_account_id_email_key"),
        "ensora_user",
        ["account_id", "email_key"],
        unique=False,
    )
    op.create_index(
        op.f("ix_ensora_user_account_id_match_key"),
        "ensora_user",
        ["account_id", "match_key"],
        unique=False,
    )
    op.create_index(
        op.f("ix_ensora_user_account_id_name_key_id"),
        "ensora_user",
        ["account_id", "name_key", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_ensora_user_account_id_sort_key_id"),
        "ensora_user",
        ["account_id", "sort_key", "id"],
        unique=False,
    )
    op.create_table(
        "ensora_run_count",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("fetched", sa.Integer(), nullable=False),
        sa.Column("new", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("unchanged", sa.Integer(), nullable=False),
        sa.Column("set_aside", sa.Integer(), nullable=False),
        sa.Column("mapped", sa.Integer(), nullable=False),
        sa.Column("ambiguous", sa.Integer(), nullable=False),
        sa.Column("rendered", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["ensora_connection.id"], name=op.f("fk_ensora_run_count_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["ensora_run.id"], name=op.f("fk_ensora_run_count_run_id")
        ),
        sa.PrimaryKeyConstraint("run_id", "kind", name=op.f("pk_ensora_run_count")),
    )
    for statement in _TRIGGERS[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in ("ensora_history", "ensora_mapping"):
            op.execute(f"DROP TRIGGER {table}_guard ON {table}")
            op.execute(f"DROP FUNCTION {table}_guard()")
    op.drop_table("ensora_run_count")
    op.drop_index(op.f("ix_ensora_user_account_id_sort_key_id"), table_name="ensora_user")
    op.drop_index(op.f("ix_ensora_user_account_id_name_key_id"), table_name="ensora_user")
    op.drop_index(op.f("ix_ensora_user_account_id_match_key"), table_name="ensora_user")
    op.drop_index(op.f("ix_ensora_user_account_id_email_key"), table_name="ensora_user")
    op.drop_table("ensora_user")
    op.drop_index(op.f("ix_ensora_student_account_id_sort_key_id"), table_name="ensora_student")
    op.drop_index(op.f("ix_ensora_student_account_id_name_key_id"), table_name="ensora_student")
    op.drop_index(op.f("ix_ensora_student_account_id_match_key"), table_name="ensora_student")
    op.drop_index(op.f("ix_ensora_student_account_id_date_of_birth"), table_name="ensora_student")
    op.drop_table("ensora_student")
    op.drop_index(op.f("ix_ensora_site_account_id_sort_key_id"), table_name="ensora_site")
    op.drop_index(op.f("ix_ensora_site_account_id_name_key_id"), table_name="ensora_site")
    op.drop_index(op.f("ix_ensora_site_account_id_match_key"), table_name="ensora_site")
    op.drop_table("ensora_site")
    op.drop_table("ensora_set_aside")
    op.drop_index(
        "uq_ensora_run_live",
        table_name="ensora_run",
        sqlite_where=sa.text("state IN ('due', 'running')"),
        postgresql_where=sa.text("state IN ('due', 'running')"),
    )
    op.drop_index(op.f("ix_ensora_run_account_id_id"), table_name="ensora_run")
    op.drop_table("ensora_run")
    op.drop_index(
        op.f("ix_ensora_replaced_content_account_id_note_id"), table_name="ensora_replaced_content"
    )
    op.drop_table("ensora_replaced_content")
    op.drop_index(
        op.f("ix_ensora_rendering_account_id_appointment_id"), table_name="ensora_rendering"
    )
    op.drop_table("ensora_rendering")
    op.drop_table("ensora_rejected")
    op.drop_index(
        "ix_ensora_note_unmapped",
        table_name="ensora_note",
        sqlite_where=sa.text("why IS NOT NULL"),
        postgresql_where=sa.text("why IS NOT NULL"),
    )
    op.drop_index(
        "ix_ensora_note_nearest",
        table_name="ensora_note",
        sqlite_where=sa.text("nearest IS NOT NULL"),
        postgresql_where=sa.text("nearest IS NOT NULL"),
    )
    op.drop_index(op.f("ix_ensora_note_account_id_user_id"), table_name="ensora_note")
    op.drop_index(op.f("ix_ensora_note_account_id_touched"), table_name="ensora_note")
    op.drop_index(
        op.f("ix_ensora_note_account_id_student_id_user_id_date"), table_name="ensora_note"
    )
    op.drop_index(op.f("ix_ensora_note_account_id_sort_key_id"), table_name="ensora_note")
    op.drop_table("ensora_note")
    op.drop_table("ensora_membership")
    op.drop_index(op.f("ix_ensora_mapping_run_id_kind"), table_name="ensora_mapping")
    op.drop_table("ensora_mapping")
    op.drop_table("ensora_host_mark")
    op.drop_index(op.f("ix_ensora_history_account_id_kind_vendor_id"), table_name="ensora_history")
    op.drop_index(op.f("ix_ensora_history_account_id_id"), table_name="ensora_history")
    op.drop_table("ensora_history")
    op.drop_table("ensora_feed")
    op.drop_table("ensora_directory_agency")
    op.drop_index(
        op.f("ix_ensora_directory_account_id_entity_sort_key"), table_name="ensora_directory"
    )
    op.drop_index(
        op.f("ix_ensora_directory_account_id_entity_name_key"), table_name="ensora_directory"
    )
    op.drop_index(
        op.f("ix_ensora_directory_account_id_entity_match_key"), table_name="ensora_directory"
    )
    op.drop_index(
        op.f("ix_ensora_directory_account_id_entity_last_fact"), table_name="ensora_directory"
    )
    op.drop_table("ensora_directory")
    op.drop_table("ensora_content")
    op.drop_index(op.f("ix_ensora_connection_due_at"), table_name="ensora_connection")
    op.drop_table("ensora_connection")
