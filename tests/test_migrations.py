"""The plugin's migrations on both databases: they make what the models say, and leave nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import CheckConstraint, Engine, create_engine, delete, inspect, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from demo.host.models import Base as HostBase
from ensora_plugin import configure_engine, include_name
from ensora_plugin.clock import utcnow
from ensora_plugin.errors import NotMigrated
from ensora_plugin.migrating import VERSION_TABLE, alembic_config, require_migrated, upgrade
from ensora_plugin.models import Base, Connection, History, Mapping, Note, RenderingRow


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An empty database."""
    engine = create_engine(database_url)
    configure_engine(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """A migrated database with one account, a mapping of a person and a row of history."""
    upgrade(engine)
    with Session(engine) as session:
        session.add(Connection(id=1, account="bright-steps", state="activated"))
        session.flush()
        key = {"account_id": 1, "kind": "site", "vendor_id": "site-1", "at": utcnow()}
        session.add(Mapping(**key, host_id="7", state="user", by="ada"))
        session.add(History(**key, action="map", by="ada"))
        session.commit()
        yield session


def differences(engine: Engine, metadata: Any, **options: Any) -> list[Any]:
    """What Alembic's autogenerate would write into a new migration."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, **options})
        return compare_metadata(context, metadata)


def test_migrations_make_what_the_models_say(engine: Engine) -> None:
    assert upgrade(engine)
    ours = {"version_table": VERSION_TABLE, "compare_server_default": True}
    assert differences(engine, Base.metadata, **ours) == []
    inspector = inspect(engine)
    for table in Base.metadata.sorted_tables:
        # Autogenerate does not look at CHECK constraints.
        wanted = {c.name for c in table.constraints if isinstance(c, CheckConstraint)}
        held = inspector.get_check_constraints(table.name)
        assert {check["name"] for check in held} == wanted
    assert not upgrade(engine)


def test_a_difference_would_be_seen(engine: Engine) -> None:
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE ensora_site DROP COLUMN name"))
    found = differences(engine, Base.metadata, version_table=VERSION_TABLE)
    assert [change[0] for change in found] == ["add_column"]


def test_down_to_nothing_and_up_again(engine: Engine, session: Session) -> None:
    session.close()
    with engine.connect() as connection:
        command.downgrade(alembic_config(connection), "base")
        connection.commit()
    assert inspect(engine).get_table_names() == [VERSION_TABLE]
    if engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            left = connection.scalar(
                text("SELECT count(*) FROM pg_proc WHERE proname LIKE 'ensora%'")
            )
        assert left == 0
    assert upgrade(engine)
    require_migrated(engine)


def test_what_was_rendered_before_mappings_told_it_is_not_looked_at_again(
    engine: Engine, session: Session
) -> None:
    at = utcnow()
    for number, state in ((1, "rendered"), (2, "refused"), (3, None)):
        key = {"account_id": 1, "vendor_id": f"note-{number}"}
        people = {"site_id": "s", "student_id": "t", "user_id": "u", "template": "SOAP"}
        signed = {"therapist_signed": False, "guardian_signed": False}
        row = {"version": 1, "status": "published", "modified_at": at, "sort_key": "", **people}
        session.add(Note(**key, **row, **signed, checksum=b"0"))
        session.add(Mapping(**key, kind="note", host_id=str(number), state="auto", at=at))
        if state:
            told = {"state": state, "applied": True, "refusals": [], "signatures": {}, "at": at}
            place = {"account_id": 1, "note_id": f"note-{number}", "appointment_id": str(number)}
            session.add(RenderingRow(**place, **told, version=1))
    session.commit()
    with engine.connect() as connection:
        command.downgrade(alembic_config(connection), "0001")
        connection.commit()
    assert upgrade(engine)
    left = session.scalars(select(Mapping.vendor_id).where(Mapping.unrendered))
    assert set(left) == {"note-2", "note-3"}


def test_a_database_without_the_tables_or_of_a_later_version_is_told_in_words(
    engine: Engine,
) -> None:
    with pytest.raises(NotMigrated, match="does not have the plugin's tables"):
        require_migrated(engine)
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE ensora_alembic_version SET version_num = '9999'"))
    with pytest.raises(NotMigrated, match="at 9999, which a later version of the plugin made"):
        require_migrated(engine)
    with pytest.raises(NotMigrated, match="at 9999, which a later version of the plugin made"):
        upgrade(engine)


CHANGES = {
    "update": update(History).values(by="nobody"),
    "delete": delete(History),
    "truncate": text("TRUNCATE ensora_history"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_history_only_grows(session: Session, change: str) -> None:
    if change == "truncate" and session.get_bind().dialect.name == "sqlite":
        return  # the word is unknown to SQLite
    with pytest.raises(DBAPIError, match="append-only"):
        session.execute(CHANGES[change])
    session.rollback()
    assert session.scalars(select(History.by)).all() == ["ada"]


@pytest.mark.parametrize("host_id", ["7", "8"])
def test_automap_cannot_take_a_mapping_of_a_person(session: Session, host_id: str) -> None:
    taking = update(Mapping).values(state="auto", by=None, run_id=1, host_id=host_id)
    with pytest.raises(DBAPIError, match="automap never changes a mapping of a person"):
        session.execute(taking)
    session.rollback()
    assert session.scalars(select(Mapping.state)).all() == ["user"]


def test_a_person_may_change_a_mapping(session: Session) -> None:
    session.execute(update(Mapping).values(state="user", by="bo", host_id="8", version=2))
    session.execute(update(Mapping).values(state="ignored", by="bo", host_id=None, version=3))
    session.commit()
    assert session.scalars(select(Mapping.state)).all() == ["ignored"]


def test_a_hosts_own_autogenerate_does_not_see_the_plugin(engine: Engine) -> None:
    HostBase.metadata.create_all(engine)
    upgrade(engine)
    assert differences(engine, HostBase.metadata, include_name=include_name) == []
    removed = {
        change[1].name
        for change in differences(engine, HostBase.metadata)
        if change[0] == "remove_table"
    }
    assert removed == {*Base.metadata.tables, VERSION_TABLE}
