"""Who may see and do what on the host's own pages, and which addresses a redirect may lead to."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from flask import has_request_context
from flask_login import current_user
from sqlalchemy import ColumnElement, select

from .models import Agency, Login, Staff, StaffAgency, db


def may(permission: str) -> bool:
    """Say whether the person of this request holds `permission`."""
    if not has_request_context() or not current_user.is_authenticated:
        return False
    return permission in current_user.permissions.split()


def visible(model: Any, login: Login) -> ColumnElement[bool]:
    """Return the condition that keeps a query over `model` within the login's account and agencies.

    A staff member is seen by whoever shares an agency with them; one of no agency by persons of
    all agencies.
    """
    own = model.account_id == login.account_id
    if login.all_agencies:
        return own
    ids = [agency.id for agency in login.agencies]
    if model is Staff:
        colleagues = select(StaffAgency.staff_id).where(StaffAgency.agency_id.in_(ids))
        return own & Staff.id.in_(colleagues)
    return own & (Agency.id if model is Agency else model.agency_id).in_(ids)


def visible_agencies() -> list[Agency]:
    """Return the agencies of the person of this request, by name."""
    query = select(Agency).where(visible(Agency, current_user)).order_by(Agency.name, Agency.id)
    return list(db.session.scalars(query))


def own_path(target: str | None) -> str | None:
    """Return `target` if it is a path of this site, else None.

    Browsers read a backslash as a slash and drop control characters, so either could hide a
    foreign host.
    """
    if not target or len(target) > 2000 or not target.startswith("/"):
        return None
    if "\\" in target or any(ord(char) < 32 or ord(char) == 127 for char in target):
        return None
    parts = urlsplit(target)
    return None if target.startswith("//") or parts.scheme or parts.netloc else target


def with_value(path: str, name: str, value: str) -> str:
    """Return `path` with `name` set to `value` in its query string."""
    parts = urlsplit(path)
    kept = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != name]
    return urlunsplit(parts._replace(query=urlencode([*kept, (name, value)])))
