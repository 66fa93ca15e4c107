"""A second host that shares nothing with the demo's: plain Flask, UUID ids, names of its own.

Its visits carry their own time zone and their times without seconds; a visit is `completed`, and
`frozen` once nothing of it may change. It proves that the plugin knows no host.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, time
from typing import Any, Literal

from flask import Flask, g, request
from jinja2 import DictLoader
from sqlalchemy import Select, insert, select
from sqlalchemy.orm import Session

from demo.data import World
from ensora_plugin.host.port import ALL, PERMISSIONS, Actor, Entity, NoteView, Refusal, Rendering
from tests.other_models import Clinic, Helper, HelperClinic, Kid, Visit, other_db

#: Ids are derived from the demo's, so that the world's truth can be told in them.
NAMESPACE = uuid.UUID("6f9c1a52-3a0e-5d0b-8f57-0d5a3c5b7e11")

LAYOUT = """<!doctype html>
<html lang="en"><head><title>{% block title %}{% endblock %}</title>
{% block head %}{% endblock %}</head>
<body>{% block content %}{% endblock %}</body></html>
"""

FROZEN = Refusal("frozen", "The visit is frozen.")
UNSIGNED = Refusal("unsigned", "The therapist did not sign.")


class OtherHost:
    """The plugin's port to this host; a HostAdapter by shape.

    There is no login: a request says in its headers which practice and which person it comes from.
    """

    base_template = "other_base.html"

    def account(self) -> str:
        return g.practice

    def actor(self) -> Actor | None:
        name = g.get("person")
        return Actor(name, name.title(), ALL, PERMISSIONS) if name else None

    def agencies(self, account: str) -> Select[Any]:
        return select(Clinic.key.label("id"), Clinic.called.label("name")).where(
            Clinic.practice == account
        )

    def clients(self, account: str) -> Select[Any]:
        return select(
            Kid.key.label("id"),
            Kid.given.label("first_name"),
            Kid.family.label("last_name"),
            Kid.born.label("date_of_birth"),
            Kid.clinic_key.label("agency_id"),
            (~Kid.gone).label("active"),
        ).where(Kid.practice == account)

    def staff(self, account: str) -> Select[Any]:
        return select(
            Helper.key.label("id"),
            Helper.given.label("first_name"),
            Helper.family.label("last_name"),
            Helper.mail.label("email"),
            (~Helper.gone).label("active"),
        ).where(Helper.practice == account)

    def staff_agencies(self, account: str) -> Select[Any]:
        return (
            select(
                HelperClinic.helper_key.label("staff_id"),
                HelperClinic.clinic_key.label("agency_id"),
            )
            .join(Helper, Helper.key == HelperClinic.helper_key)
            .where(Helper.practice == account)
        )

    def appointments(self, account: str) -> Select[Any]:
        return select(
            Visit.key.label("id"),
            Visit.kid_key.label("client_id"),
            Visit.helper_key.label("staff_id"),
            Visit.clinic_key.label("agency_id"),
            Visit.on_day.label("date"),
            Visit.starts_at.label("start"),
            Visit.ends_at.label("end"),
            Visit.zone.label("time_zone"),
            Visit.counts.label("eligible"),
            Visit.completed.label("rendered"),
            Visit.frozen.label("locked"),
        ).where(Visit.practice == account)

    def url(
        self,
        kind: Entity,
        id: Any,
        verb: Literal["edit", "create"],
        values: Mapping[str, str] | None = None,
        back: str | None = None,
    ) -> str | None:
        """This host has a page for editing each entity, and none for creating one."""
        return f"/{kind}/{id}" if verb == "edit" else None

    def render(self, account: str, appointment_id: Any, note: NoteView) -> Rendering:
        """Keep text and ink on the visit; complete it where the therapist signed."""
        visit = self._visit(account, appointment_id)
        if visit.frozen:
            return Rendering(False, visit.completed, [FROZEN])
        therapist, guardian = note.therapist_signature, note.guardian_signature
        visit.report, visit.report_source = note.text, f"{note.vendor_id} {note.version}"
        visit.helper_ink = therapist.png if therapist else None
        visit.guardian_ink = guardian.png if guardian else None
        visit.completed = therapist is not None
        other_db.session.flush()
        return Rendering(True, visit.completed, () if visit.completed else [UNSIGNED])

    def withdraw(self, account: str, appointment_id: Any, note: NoteView) -> Rendering:
        """Empty the visit of this note and open it again; a report of another source stays."""
        visit = self._visit(account, appointment_id)
        if visit.frozen:
            return Rendering(False, visit.completed, [FROZEN])
        if visit.report_source.rpartition(" ")[0] == note.vendor_id:
            visit.report = visit.report_source = ""
            visit.helper_ink = visit.guardian_ink = None
            visit.completed = False
            other_db.session.flush()
        return Rendering(True, visit.completed)

    @staticmethod
    def _visit(account: str, key: uuid.UUID) -> Visit:
        """Return the account's visit; NoResultFound where it is gone or another's."""
        mine = select(Visit).where(Visit.practice == account, Visit.key == key)
        return other_db.session.scalars(mine).one()


class DatedHost(OtherHost):
    """The same host, whose SELECTs tell when a row changed."""

    def agencies(self, account: str) -> Select[Any]:
        return super().agencies(account).add_columns(Clinic.changed.label("updated_at"))

    def clients(self, account: str) -> Select[Any]:
        return super().clients(account).add_columns(Kid.changed.label("updated_at"))

    def staff(self, account: str) -> Select[Any]:
        return super().staff(account).add_columns(Helper.changed.label("updated_at"))

    def staff_agencies(self, account: str) -> Select[Any]:
        changed = HelperClinic.changed.label("updated_at")
        return super().staff_agencies(account).add_columns(changed)

    def appointments(self, account: str) -> Select[Any]:
        return super().appointments(account).add_columns(Visit.changed.label("updated_at"))


def create_other_host(database_url: str) -> Flask:
    """Return the application on an empty or filled database; its tables are made where they are
    missing.
    """
    app = Flask("tests.other_host")
    app.jinja_loader = DictLoader({"other_base.html": LAYOUT})
    app.config.update(SQLALCHEMY_DATABASE_URI=database_url, SECRET_KEY="other", TESTING=True)
    other_db.init_app(app)
    app.before_request(_who)
    with app.app_context():
        other_db.create_all()
    return app


def _who() -> None:
    g.practice = request.headers.get("X-Practice", "")
    g.person = request.headers.get("X-Person")


def other_id(kind: str, demo_id: int | str) -> str:
    """Return this host's id, as text, for an entity of the demo's: agency, client, staff or
    appointment.
    """
    return str(uuid.uuid5(NAMESPACE, f"{kind} {demo_id}"))


def seed_other(session: Session, world: World) -> None:
    """Load the host's side of the world into this host's tables; flush, never commit."""
    agencies = {row["id"]: row for row in world.host["agency"]}
    staff = {row["id"]: row for row in world.host["staff"]}
    since = datetime.combine(world.today, time())
    session.execute(insert(Clinic), [_clinic(row, since) for row in agencies.values()])
    session.execute(insert(Kid), [_kid(row) for row in world.host["client"]])
    session.execute(insert(Helper), [_helper(row) for row in staff.values()])
    places = [
        {
            "helper_key": _key("staff", row["staff_id"]),
            "clinic_key": _key("agency", row["agency_id"]),
            "changed": staff[row["staff_id"]]["updated_at"],
        }
        for row in world.host["staff_agency"]
    ]
    session.execute(insert(HelperClinic), places)
    visits = [_visit_row(row, agencies[row["agency_id"]]) for row in world.host["appointment"]]
    session.execute(insert(Visit), visits)
    session.flush()


def _key(kind: str, demo_id: int) -> uuid.UUID:
    return uuid.UUID(other_id(kind, demo_id))


def _clinic(row: dict[str, Any], since: datetime) -> dict[str, Any]:
    return {
        "key": _key("agency", row["id"]),
        "practice": row["account_id"],
        "called": row["name"],
        "changed": since,
    }


def _kid(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "key": _key("client", row["id"]),
        "practice": row["account_id"],
        "clinic_key": _key("agency", row["agency_id"]),
        "given": row["first_name"],
        "family": row["last_name"],
        "born": row["date_of_birth"],
        "gone": not row["active"],
        "changed": row["updated_at"],
    }


def _helper(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "key": _key("staff", row["id"]),
        "practice": row["account_id"],
        "given": row["first_name"],
        "family": row["last_name"],
        "mail": row["email"],
        "gone": not row["active"],
        "changed": row["updated_at"],
    }


def _visit_row(row: dict[str, Any], agency: dict[str, Any]) -> dict[str, Any]:
    return {
        "key": _key("appointment", row["id"]),
        "practice": row["account_id"],
        "clinic_key": _key("agency", row["agency_id"]),
        "kid_key": _key("client", row["client_id"]),
        "helper_key": _key("staff", row["staff_id"]),
        "on_day": row["date"],
        "starts_at": row["start"],
        "ends_at": row["end"],
        "zone": agency["time_zone"],
        "counts": row["kind"] == "service" and row["status"] != "cancelled",
        "completed": row["status"] == "rendered",
        "frozen": row["locked"],
        "report": row["results_notes"],
        "report_source": "",
        "changed": row["updated_at"],
    }
