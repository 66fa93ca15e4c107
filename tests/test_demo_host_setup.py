"""Where the demo host keeps its data, how it opens SQLite, and how a world is put into it."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from demo.host import create_app
from demo.host.models import Login, StaffAgency, db
from demo.host.seed import seed
from tests.practice import Browser, World, open_practice
from tests.servers import fresh_database, postgres


def test_data_and_the_key_of_sessions_stay_in_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DATABASE_URL", "SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "data"
    first, second = (create_app({"DATA_FOLDER": folder}) for _ in range(2))
    assert first.config["SECRET_KEY"] == second.config["SECRET_KEY"]
    assert len(first.config["SECRET_KEY"]) == 64
    with first.app_context():
        assert seed(db.session, World()) > 0
        db.engine.dispose()
    assert sorted(path.name for path in folder.iterdir()) == ["host.db", "host.secret"]
    assert (folder / "host.secret").stat().st_mode & 0o777 == 0o600


def test_the_environment_names_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite://")
    app = create_app({"SECRET_KEY": "x"})
    assert app.config["SQLALCHEMY_DATABASE_URI"] == "sqlite://"


def test_sqlite_keeps_foreign_keys_and_waits_for_a_writer() -> None:
    with open_practice().app_context():
        assert db.session.scalar(text("PRAGMA busy_timeout")) == 10_000
        db.session.add(StaffAgency(staff_id=1, agency_id=777))
        with pytest.raises(IntegrityError):
            db.session.flush()


def test_the_site_works_before_the_plugin_is_mounted() -> None:
    app = open_practice()
    assert "ensora" not in app.extensions
    ada = Browser(app, "ada")
    for path in ("/settings/", "/reports/", "/appointments/1"):
        assert ada.get(path).status_code == 200


def test_a_world_is_put_in_once() -> None:
    with open_practice().app_context():
        assert seed(db.session, World()) == 0
        assert len(db.session.scalars(select(Login)).all()) == 5


def test_on_postgresql_new_rows_get_ids_after_those_of_the_world() -> None:
    with postgres() as server, fresh_database(server) as url:
        app = open_practice(url)
        ada = Browser(app, "ada")
        path = "/agencies/new/"
        fields = {"name": "New", "time_zone": "America/Chicago", "back": "/settings/"}
        answer = ada.post(path, page=path, **fields)
        assert answer.headers["Location"] == "/settings/?created=10"
        for listing in ("/clients/?search=a&sort=2&agency=1", "/appointments/?search=jo&sort=1"):
            assert "1–1 of 1" in ada.get(listing).text
        with app.app_context():
            db.engine.dispose()
