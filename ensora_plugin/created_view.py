"""The way back from a create page of the host."""

from __future__ import annotations

from typing import Any

from flask import redirect, request, session, url_for

from .directory import refresh_entity
from .errors import NotAllowed
from .forms import RowForm
from .kinds import Kind
from .row_views import Done, change_row, map_chosen
from .way_back import is_way_back
from .web import bp, needs, open_kind
from .withdrawing import Desk


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

    def verb(desk: Desk, kind: Kind, record: Any, form: RowForm) -> Done:
        refresh_entity(desk.session, desk.account_id, desk.account, desk.host, kind, host_id)
        return map_chosen(desk, kind, record, form)

    noun = kind.entity_noun
    try:
        change_row(kind, record_id, verb, form)
    except NotAllowed as error:
        said = f"The {noun.lower()} was created, but it is not mapped. {error}"
        session["ensora_notice"] = {"text": said, "bad": True}
    else:
        said = f"{noun} created and mapped."
        session["ensora_notice"] = {"text": said, "bad": False}
