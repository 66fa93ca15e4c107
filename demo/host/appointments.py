"""The list of appointments, the page of one, its signatures, and what people do to it by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from flask import Response, abort, current_app, flash, make_response, redirect, request, url_for
from flask_admin import expose
from sqlalchemy.orm import contains_eager, joinedload
from werkzeug.wrappers import Response as BaseResponse
from wtforms import ValidationError

from . import clock, signing
from .by_hand import ACTIONS
from .display import KINDS, STATUS, day
from .entities import EntityView, by_agency, by_choice, by_day
from .events import entities_changed
from .forms import AppointmentForm
from .menu import links
from .models import Agency, Appointment, Client, Staff, db
from .rules import RENDERED, SCHEDULED, Refusal, closed_periods, is_closed, locks, validate

BUTTONS = {action.name: action for action in ACTIONS}
#: A picture that a browser shows and does nothing else with.
PICTURE_HEADERS = {
    "Content-Type": "image/png",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Content-Disposition": 'inline; filename="signature.png"',
}


class AppointmentsView(EntityView):
    entity, noun = "appointment", "appointment"
    create_permission = edit_permission = "render"
    list_template, edit_template = "host/appointments.html", "host/appointment_form.html"
    create_template = "host/appointment_form.html"
    form = AppointmentForm
    column_list = ("date", "client", "staff", "agency", "status")
    column_sortable_list = (
        ("date", ("date", "start")),
        ("client", ("client.last_name", "client.first_name")),
        ("staff", ("staff.last_name", "staff.first_name")),
        ("agency", "agency.name"),
        "status",
    )
    column_default_sort: ClassVar = [("date", True), ("start", True)]
    column_searchable_list = (
        "client.first_name",
        "client.last_name",
        "staff.first_name",
        "staff.last_name",
    )
    narrow = (
        by_agency(Appointment.agency_id),
        by_choice(
            "status",
            "Status",
            Appointment.status,
            {name: (name, chip.label) for name, chip in STATUS.items()},
        ),
        by_choice(
            "kind", "Kind", Appointment.kind, {name: (name, words) for name, words in KINDS.items()}
        ),
        by_day("from", "From", lambda first: Appointment.date >= first),
        by_day("to", "To", lambda last: Appointment.date <= last),
    )
    pages = EntityView.pages | {"show", "signature", "act", "sign", "unsign"}

    def saved_url(self, model: Appointment) -> str:
        return url_for(".show", id=model.id)

    def edit_form(self, obj: Appointment | None = None) -> Any:
        form = super().edit_form(obj)
        if obj is not None and obj.signature is not None and obj.signature.source:
            # The words of a session note are the therapist's; only the next version changes them.
            del form.results_notes
        return form

    def shut(self, model: Appointment) -> str | None:
        if refusals := locks(model):
            return " ".join(refusal.text for refusal in refusals)
        if model.status == RENDERED:
            return "The appointment is rendered; un-render it to change it."
        return None

    def on_model_change(self, form: Any, model: Appointment, is_created: bool) -> None:
        super().on_model_change(form, model, is_created)
        if is_created:
            model.status = SCHEDULED
        with db.session.no_autoflush:
            agency = db.session.get_one(Agency, model.agency_id)
        if any(is_closed(model.date, until) for _, until in closed_periods(agency)):
            raise ValidationError(f"{agency} has locked the period of {day(model.date)}.")

    def update_model(self, form: Any, model: Appointment) -> bool | None:
        if reason := self.shut(model):
            flash(reason, "danger")
            return False
        return super().update_model(form, model)

    @expose("/<int:id>")
    def show(self, id: int) -> str:
        """The read view, with everything that stands in the way of rendering just now."""
        appointment = self._loaded(id)
        refusals = []
        if appointment.status != RENDERED:
            refusals = validate(db.session, appointment, now=clock.now())
        return self.render(
            "host/appointment.html",
            appointment=appointment,
            window=appointment.signature,
            locks=locks(appointment),
            refusals=refusals,
            actions=[one for one in ACTIONS if one.offered(appointment)],
            links=links(appointment.id),
        )

    @expose("/<int:id>/<any(guardian, therapist):who>.png")
    def signature(self, id: int, who: Literal["guardian", "therapist"]) -> Response:
        window = self._loaded(id).signature
        picture = getattr(window, f"{who}_signature") if window else None
        if picture is None:
            abort(404)
        response = make_response(picture)
        response.headers.update(PICTURE_HEADERS)
        return response

    @expose(f"/<int:id>/<any({', '.join(BUTTONS)}):verb>", methods=("POST",))
    def act(self, id: int, verb: str) -> BaseResponse:
        """Do what a button of the page says, or tell why not."""
        appointment = self._loaded(id, lock=True)
        action = BUTTONS[verb]
        return self._done(id, action.verb(db.session, appointment, clock.now()), action.done)

    @expose("/<int:id>/sign/<any(guardian, therapist):who>", methods=("POST",))
    def sign(self, id: int, who: Literal["guardian", "therapist"]) -> BaseResponse:
        """Add a picture of what was signed on paper."""
        file = request.files.get("picture")
        if file is None:
            abort(400)
        appointment = self._loaded(id, lock=True)
        refusals = signing.sign(db.session, appointment, who, file.stream, clock.now())
        return self._done(id, refusals, "Signed.")

    @expose("/<int:id>/unsign/<any(guardian, therapist):who>", methods=("POST",))
    def unsign(self, id: int, who: Literal["guardian", "therapist"]) -> BaseResponse:
        """Take a signature away that was added by hand."""
        appointment = self._loaded(id, lock=True)
        return self._done(id, signing.unsign(db.session, appointment, who), "Signature removed.")

    def _done(self, id: int, refusals: Sequence[Refusal], done: str) -> BaseResponse:
        """Commit, say what came of it, and lead back to the page."""
        db.session.commit()
        if refusals:
            flash(" ".join(refusal.text for refusal in refusals), "danger")
        else:
            flash(done, "success")
            entities_changed.send(current_app._get_current_object(), kind=self.entity, ids=[id])
        return redirect(url_for(".show", id=id, back=self.back()))

    def _loaded(self, id: int, *, lock: bool = False) -> Appointment:
        """Load the appointment with what its page shows; `lock` holds its row until the commit, and
        those of its staff and client: what is rendered depends on their other appointments.
        """
        query = self.get_query()
        query = query.join(Appointment.client).join(Appointment.staff)
        query = query.options(
            joinedload(Appointment.agency),
            contains_eager(Appointment.client),
            contains_eager(Appointment.staff),
            joinedload(Appointment.signature),
        )
        if lock:
            query = query.with_for_update(of=(Appointment, Staff, Client), key_share=True)
        return query.filter(Appointment.id == id).first() or abort(404)
