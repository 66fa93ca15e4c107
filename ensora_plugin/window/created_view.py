"""The host's own pages: the ways to them from a row, and the way back from a create page."""

from __future__ import annotations

from typing import Any

from flask import abort, redirect, request, session, url_for

from ..errors import NotAllowed
from ..host.directory import refresh_some
from ..kinds import Kind
from ..listing.row_icons import values_of
from ..mapping.cases import Case
from ..rendering.withdrawing import Desk
from .forms import RowForm
from .row_views import Done, change_row, map_chosen, row_of
from .views import page_of, views_of
from .way_back import is_way_back, way_back
from .web import ROW, bp, needs, open_kind


@bp.get(f"{ROW}/edit")
def edit_entity(slug: str, record_id: int) -> Any:
    """Lead to the host's page of the entity that a row is mapped to."""
    kind = open_kind(slug)
    row = row_of(kind, record_id)
    return _lead(kind, row, "edit", row.entity_id)


@bp.get(f"{ROW}/create")
def create_entity(slug: str, record_id: int) -> Any:
    """Lead to the host's create page with what the row knows, and the way back."""
    kind = open_kind(slug)
    row = row_of(kind, record_id)
    back = url_for("ensora.created", slug=slug, way=way_back(), row=record_id)
    return _lead(kind, row, "create", None, values=values_of(row, kind), back=back)


def _lead(kind: Kind, row: Any, verb: str, host_id: Any, **told: Any) -> Any:
    """Redirect where the row's icon is active; 403 else."""
    view = views_of(kind, [row])[0]
    if not any(icon.symbol == verb and icon.enabled for icon in view.icons):
        abort(403)
    return redirect(page_of(kind, host_id, verb, **told) or abort(404))


@bp.get("/<slug>/created")
@needs("map")
def created(slug: str) -> Any:
    """Map what the host created to the row that asked for it, and go on with what is to map.

    Only a link that the row handed out does so; its token stands in for that of a form.
    """
    kind = open_kind(slug)
    row = request.args.get("row", "")
    host_id = request.args.get("created", "")[:64]
    if row.isdecimal() and len(row) < 19 and host_id and is_way_back(request.args.get("way", "")):
        _map_created(kind, int(row), host_id)
    return redirect(url_for("ensora.tab", slug=kind.slug, show="to-map"))


def _map_created(kind: Kind, record_id: int, host_id: str) -> None:
    form = RowForm(formdata=None, data={"host_id": host_id, "seen": 0}, meta={"csrf": False})

    def verb(desk: Desk, kind: Kind, case: Case, form: RowForm) -> Done:
        refresh_some(desk.session, desk.account_id, desk.account, desk.host, kind, [host_id])
        return map_chosen(desk, kind, case, form)

    noun = kind.entity_noun
    try:
        change_row(kind, record_id, verb, form)
    except NotAllowed as error:
        said = f"The {noun.lower()} was created, but it is not mapped. {error}"
        session["ensora_notice"] = {"text": said, "bad": True}
    else:
        said = f"{noun} created and mapped."
        session["ensora_notice"] = {"text": said, "bad": False}
