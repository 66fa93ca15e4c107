"""The pages of clients, staff and agencies."""

from __future__ import annotations

from typing import Any, ClassVar

from flask import abort, flash, redirect, request, url_for
from flask_admin import expose
from flask_login import current_user
from werkzeug.wrappers import Response

from .entities import EntityView, by_active, by_agency
from .forms import AgencyForm, AuthorizationForm, ClientForm, StaffForm
from .models import Agency, Authorization, Client, Staff, db
from .rules import authorized


class ClientsView(EntityView):
    entity, noun = "client", "client"
    create_permission, edit_permission = "create_client", "edit_client"
    list_template, edit_template = "host/clients.html", "host/client.html"
    form = ClientForm
    column_list = ("last_name", "date_of_birth", "agency", "active")
    column_labels: ClassVar = {
        "last_name": "Client",
        "date_of_birth": "Born",
        "active": "Status",
    }
    column_sortable_list = (
        ("last_name", ("last_name", "first_name")),
        "date_of_birth",
        ("agency", "agency.name"),
        "active",
    )
    column_default_sort: ClassVar = [("last_name", False), ("first_name", False)]
    column_searchable_list = ("first_name", "last_name", "date_of_birth")
    narrow = (by_agency(Client.agency_id), by_active(Client.active))
    pages = EntityView.pages | {"authorization"}

    def render(self, template: str, **context: Any) -> str:
        if template == self.edit_template:
            context["authorizations"] = authorized(db.session, context["model"].id)
        return super().render(template, **context)

    @expose("/<int:client_id>/authorizations/", methods=("GET", "POST"))
    @expose("/<int:client_id>/authorizations/<int:id>", methods=("GET", "POST"))
    def authorization(self, client_id: int, id: int | None = None) -> str | Response:
        """Add an authorization, or change one."""
        client = self.get_one(client_id)
        one = db.session.get(Authorization, id) if id is not None else None
        if not self.may_edit:
            abort(403)
        if id is not None and (one is None or one.client_id != client.id):
            abort(404)
        form = AuthorizationForm(request.form if request.method == "POST" else None, obj=one)
        if request.method == "GET" or not form.validate():
            return self.render("host/authorization.html", form=form, client=client, one=one)
        one = one or Authorization(client_id=client.id)
        form.populate_obj(one)
        db.session.add(one)
        db.session.commit()
        flash(f"Authorization {one.number} is saved.", "success")
        return redirect(url_for(".edit_view", id=client.id))


class StaffView(EntityView):
    entity, noun = "staff", "staff member"
    create_permission, edit_permission = "create_staff", "edit_staff"
    list_template = "host/staff.html"
    form = StaffForm
    column_list = ("last_name", "email", "title", "agencies", "active")
    column_labels: ClassVar = {"last_name": "Staff", "active": "Status"}
    column_sortable_list = (("last_name", ("last_name", "first_name")), "email", "title", "active")
    column_default_sort: ClassVar = [("last_name", False), ("first_name", False)]
    column_searchable_list = ("first_name", "last_name", "email")
    narrow = (by_agency(Agency.id, Staff.agencies), by_active(Staff.active))


class AgenciesView(EntityView):
    entity, noun = "agency", "agency"
    create_permission, edit_permission = "create_agency", "edit_agency"
    list_template = "host/agencies.html"
    form = AgencyForm
    column_list = (
        "name",
        "time_zone",
        "guardian_signature_required",
        "payroll_locked_until",
        "billing_locked_until",
    )
    column_labels: ClassVar = {
        "name": "Agency",
        "time_zone": "Time zone",
        "guardian_signature_required": "Guardian signature",
        "payroll_locked_until": "Payroll locked",
        "billing_locked_until": "Billing locked",
    }
    column_sortable_list = ("name", "time_zone")
    column_default_sort = "name"
    column_searchable_list = ("name",)

    def on_model_change(self, form: Any, model: Agency, is_created: bool) -> None:
        super().on_model_change(form, model, is_created)
        if is_created and not current_user.all_agencies:
            # Whoever opens an agency must be able to see it.
            current_user.agencies.append(model)
