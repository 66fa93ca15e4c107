"""How this host answers the plugin: seven SELECTs and facts, one address book, two verbs.

A host of one's own copies this file and puts its own tables and functions in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from flask import url_for
from flask_login import current_user
from sqlalchemy import Select, and_, bindparam, case, false, or_, select, true
from sqlalchemy.orm import contains_eager, joinedload

from ensora_plugin.host.port import ALL, Actor, Entity, NoteView, Refusal, Rendering

from . import clock, rendering
from .models import Agency, Appointment, Client, Staff, StaffAgency, db
from .rules import CANCELLED, RENDERED, SERVICE

#: The Flask-Admin endpoint that edits and creates each kind of entity.
PAGES: Mapping[Entity, str] = {
    "agency": "agencies",
    "client": "clients",
    "staff": "staff",
    "appointment": "appointments",
}
GONE = Rendering(
    False, False, [Refusal("not_found", "The appointment no longer exists.", "scheduler")]
)


#: An appointment with what its rules read; built once, since that costs as much as asking.
_WHOLE = (
    select(Appointment)
    .join(Appointment.client)
    .join(Appointment.staff)
    .where(Appointment.id == bindparam("one"), Appointment.account_id == bindparam("of_account"))
    .options(
        joinedload(Appointment.agency),
        contains_eager(Appointment.client),
        contains_eager(Appointment.staff),
        joinedload(Appointment.signature),
    )
    .with_for_update(of=Appointment)
    .execution_options(populate_existing=True)
)
#: The same, to render it: no other appointment of its staff or client is rendered meanwhile.
_TO_RENDER = _WHOLE.with_for_update(of=(Appointment, Staff, Client), key_share=True)


class DemoHost:
    """The adapter of Practice Admin; it has the shape of `ensora_plugin.host.HostAdapter`."""

    base_template = "host/base.html"

    def account(self) -> str:
        return current_user.account_id

    def actor(self) -> Actor | None:
        if not current_user.is_authenticated:
            return None
        return Actor(
            id=str(current_user.id),
            name=current_user.name,
            agencies=ALL
            if current_user.all_agencies
            else frozenset(agency.id for agency in current_user.agencies),
            permissions=frozenset(current_user.permissions.split()),
        )

    def agencies(self, account: str) -> Select[Any]:
        return select(Agency.id, Agency.name).where(Agency.account_id == account)

    def clients(self, account: str) -> Select[Any]:
        return select(
            Client.id,
            Client.first_name,
            Client.last_name,
            Client.date_of_birth,
            Client.agency_id,
            Client.active,
            Client.updated_at,
        ).where(Client.account_id == account)

    def staff(self, account: str) -> Select[Any]:
        return select(
            Staff.id,
            Staff.first_name,
            Staff.last_name,
            Staff.email,
            Staff.active,
            Staff.updated_at,
        ).where(Staff.account_id == account)

    def staff_agencies(self, account: str) -> Select[Any]:
        return (
            select(StaffAgency.staff_id, StaffAgency.agency_id)
            .join(Staff, Staff.id == StaffAgency.staff_id)
            .where(Staff.account_id == account)
        )

    def appointments(self, account: str) -> Select[Any]:
        locked = or_(
            Appointment.locked,
            Appointment.date <= Agency.payroll_locked_until,
            Appointment.date <= Agency.billing_locked_until,
        )
        eligible = and_(Appointment.status != CANCELLED, Appointment.kind == SERVICE)
        return (
            select(
                Appointment.id,
                Appointment.client_id,
                Appointment.staff_id,
                Appointment.agency_id,
                Appointment.date,
                Appointment.start,
                Appointment.end,
                Agency.time_zone,
                eligible.label("eligible"),
                (Appointment.status == RENDERED).label("rendered"),
                # Without a locked period it compares with NULL, neither true nor false.
                case((locked, true()), else_=false()).label("locked"),
                Appointment.updated_at,
            )
            .join(Agency, Agency.id == Appointment.agency_id)
            .where(Appointment.account_id == account)
        )

    def url(
        self,
        kind: Entity,
        id: Any,
        verb: Literal["edit", "create"],
        values: Mapping[str, str] | None = None,
        back: str | None = None,
    ) -> str | None:
        if kind == "appointment" and verb == "edit":
            return url_for("appointments.show", id=id, back=back)
        target = {"id": id} if verb == "edit" else dict(values or {})
        return url_for(f"{PAGES[kind]}.{verb}_view", **target, back=back)

    def render(self, account: str, appointment_id: Any, note: NoteView) -> Rendering:
        appointment = self._appointment(_TO_RENDER, account, appointment_id)
        if appointment is None:
            return GONE
        return self._said(rendering.render(db.session, appointment, note, now=clock.now()))

    def withdraw(self, account: str, appointment_id: Any, note: NoteView) -> Rendering:
        appointment = self._appointment(_WHOLE, account, appointment_id)
        if appointment is None:
            return GONE
        return self._said(rendering.withdraw(db.session, appointment, note))

    def _appointment(
        self, statement: Select[Any], account: str, appointment_id: Any
    ) -> Appointment | None:
        """Load it as it stands now, its row locked: it may just have been cancelled."""
        return db.session.scalar(statement, {"one": appointment_id, "of_account": account})

    def _said(self, outcome: rendering.Outcome) -> Rendering:
        """Translate the host's own outcome into the plugin's words."""
        refusals = [Refusal(one.code, one.text, one.mended_by) for one in outcome.refusals]
        return Rendering(outcome.stored, outcome.rendered, refusals)
