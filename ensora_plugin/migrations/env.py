"""Alembic environment of the plugin's own tables: own version table, on the host's database."""

from alembic import context

# Set by `migrating.py`; there is no ini file and no other way to run this.
connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=context.config.attributes.get("target_metadata"),
    version_table="ensora_alembic_version",
    include_name=lambda name, kind, _parents: kind != "table" or str(name).startswith("ensora_"),
    compare_type=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
