"""The plugin's own Alembic environment, apart from the host's: removing the plugin never breaks the
host.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine
from sqlalchemy.engine import Connection as DatabaseConnection

from .errors import NotMigrated
from .models import TABLE_PREFIX

VERSION_TABLE = "ensora_alembic_version"


def alembic_config(connection: DatabaseConnection | None = None) -> Config:
    """Return Alembic's configuration for the plugin's migrations, on a connection where one is
    given.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def upgrade(engine: Engine) -> bool:
    """Bring the plugin's tables to this version; return False where they are already.

    Raises `NotMigrated` where a later version of the plugin made them.
    """
    with engine.connect() as connection:
        found = current_revision(connection)
        if found == newest_revision():
            return False
        if not _known(found):
            raise NotMigrated(_later(found))
        command.upgrade(alembic_config(connection), "head")
        connection.commit()
    return True


def _known(revision: str | None) -> bool:
    """Tell whether this version of the plugin has a migration to `revision`; None is no tables."""
    scripts = ScriptDirectory.from_config(alembic_config()).walk_revisions()
    return revision is None or revision in {script.revision for script in scripts}


def _later(revision: str | None) -> str:
    return (
        f"The database stands at {revision}, which a later version of the plugin made; "
        f"this version needs {newest_revision()}. Install that later version."
    )


def newest_revision() -> str | None:
    """Return the revision that this version of the plugin needs."""
    return ScriptDirectory.from_config(alembic_config()).get_current_head()


def current_revision(connection: DatabaseConnection) -> str | None:
    """Return the revision of the plugin's tables in a database, None where there are none."""
    return MigrationContext.configure(
        connection, opts={"version_table": VERSION_TABLE}
    ).get_current_revision()


def require_migrated(engine: Engine) -> None:
    """Raise `NotMigrated`, with what to do, unless the tables are of this version."""
    with engine.connect() as connection:
        found = current_revision(connection)
    if not _known(found):
        raise NotMigrated(_later(found))
    if found != newest_revision():
        what = "does not have the plugin's tables" if found is None else f"stands at {found}"
        raise NotMigrated(
            f"The database {what}; this version needs {newest_revision()}. "
            "Run `flask ensora upgrade`."
        )


def include_name(name: str | None, kind: str, _parents: Any) -> bool:
    """Return False for the plugin's tables: the filter that a host's own Alembic needs as
    `include_name`.
    """
    return not (kind == "table" and name is not None and name.startswith(TABLE_PREFIX))
