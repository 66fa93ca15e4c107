"""Saved views: what was chosen of a report, under a name, private or for all of the account."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from ..access import Scope
from ..database import begin_write, upsert
from ..errors import NotAllowed
from ..models import DefaultView, SavedView
from .choice import Choice
from .spec import Report

#: So many a person may keep of a report.
MOST = 50
LONGEST = 80


@dataclass(frozen=True)
class View:
    """A saved view as the person of the request sees it."""

    id: int
    name: str
    shared: bool
    #: Who saved it, empty for oneself.
    by: str
    address: dict[str, Any]
    is_default: bool
    may_delete: bool


def views_of(session: Session, scope: Scope, report: Report) -> list[View]:
    """Return the views that a person may choose from, by name."""
    own = SavedView.owner == scope.actor.id
    rows = session.execute(
        select(SavedView, DefaultView.view_id)
        .outerjoin(
            DefaultView,
            (DefaultView.view_id == SavedView.id) & (DefaultView.owner == scope.actor.id),
        )
        .where(
            SavedView.account_id == scope.account_id,
            SavedView.report == report.slug,
            or_(own, SavedView.shared),
        )
        .order_by(SavedView.name, SavedView.id)
    )
    return [
        View(
            view.id,
            view.name,
            view.shared,
            "" if view.owner == scope.actor.id else view.by,
            view.choice | {"view": view.id},
            default is not None,
            _may_delete(scope, view),
        )
        for view, default in rows
    ]


def _may_delete(scope: Scope, view: SavedView) -> bool:
    return view.owner == scope.actor.id or (view.shared and scope.may("admin"))


def save_view(
    session: Session, scope: Scope, choice: Choice, name: str, *, shared: bool, today: date
) -> int:
    """Save what was chosen and return its id; commits. One's own of that name is replaced.

    Raises `NotAllowed` in words.
    """
    name = " ".join(name.split())
    if not 0 < len(name) <= LONGEST or "\0" in name:
        raise NotAllowed(f"Give the view a name of up to {LONGEST} characters.")
    begin_write(session)
    key = {
        "account_id": scope.account_id,
        "report": choice.report.slug,
        "owner": scope.actor.id,
        "name": name,
    }
    own = [getattr(SavedView, column) == value for column, value in key.items()]
    others = select(SavedView.id).where(*own[:3], SavedView.name != name)
    if len(session.scalars(others).all()) >= MOST:
        session.rollback()
        raise NotAllowed(f"You have {MOST} views of this report. Delete one first.")
    kept = choice.kept(today)
    if shared:
        # What was searched for may name somebody whom not all of the account may see.
        kept.pop("q", None)
    row = key | {"by": scope.actor.name, "shared": shared, "choice": kept}
    upsert(session, SavedView.__table__, [row], list(key))
    found = session.scalars(select(SavedView.id).where(*own)).one()
    session.commit()
    return found


def find_view(session: Session, scope: Scope, view_id: int) -> SavedView | None:
    """Return a view that the person may see."""
    return session.scalar(
        select(SavedView).where(
            SavedView.id == view_id,
            SavedView.account_id == scope.account_id,
            or_(SavedView.owner == scope.actor.id, SavedView.shared),
        )
    )


def delete_view(session: Session, scope: Scope, view_id: int) -> SavedView | None:
    """Delete a view of the person's own, or a shared one as administrator; return it; commits."""
    begin_write(session)
    view = find_view(session, scope, view_id)
    if view is None or not _may_delete(scope, view):
        session.rollback()
        return None
    session.execute(delete(DefaultView).where(DefaultView.view_id == view.id))
    session.delete(view)
    session.flush()
    session.expunge_all()
    session.commit()
    return view


def choose_default(session: Session, scope: Scope, report: str, view_id: int | None) -> None:
    """Let a report open with a view from now on, or with none of them; commits."""
    begin_write(session)
    key = {"account_id": scope.account_id, "report": report, "owner": scope.actor.id}
    if view_id is None:
        own = [getattr(DefaultView, column) == value for column, value in key.items()]
        session.execute(delete(DefaultView).where(*own))
    else:
        upsert(session, DefaultView.__table__, [key | {"view_id": view_id}], list(key))
    session.commit()


def default_address(views: list[View]) -> dict[str, Any] | None:
    """Return the address that a report opens with, None where there is no default."""
    return next((view.address for view in views if view.is_default), None)
