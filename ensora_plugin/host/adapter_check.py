"""Tries a host adapter against the database and lists everything that is wrong with it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from typing import Any, Final

from sqlalchemy import Select
from sqlalchemy.exc import DBAPIError

from ..database import AnySession, sqlstate

#: Method -> labels that its SELECT must offer, and the Python types of those that have to have one.
SELECTS: Final[dict[str, dict[str, tuple[type, ...]]]] = {
    "agencies": {"id": (), "name": (str,)},
    "clients": {
        "id": (),
        "first_name": (str,),
        "last_name": (str,),
        "date_of_birth": (date,),
        "agency_id": (),
        "active": (bool,),
    },
    "staff": {
        "id": (),
        "first_name": (str,),
        "last_name": (str,),
        "email": (str,),
        "active": (bool,),
    },
    "staff_agencies": {"staff_id": (), "agency_id": ()},
    "appointments": {
        "id": (),
        "client_id": (),
        "staff_id": (),
        "agency_id": (),
        "date": (date,),
        "start": (time,),
        "end": (time,),
        "time_zone": (str,),
        "eligible": (bool,),
        "rendered": (bool,),
        "locked": (bool,),
    },
}


#: Method -> how many values the plugin calls it with.
CALLS: Final = {
    **dict.fromkeys(SELECTS, 1),
    "account": 0,
    "actor": 0,
    "url": 5,
    "render": 3,
    "withdraw": 3,
}
#: No customer is called so: what a SELECT finds for it is not bounded by the account.
NOBODY: Final = "ensora-check-of-no-account"


def adapter_faults(
    host: object,
    session: AnySession,
    account: str,
    *,
    template_exists: Callable[[str], bool] = lambda _name: True,
) -> list[str]:
    """Return everything that is wrong with an adapter, each with the mend.

    `template_exists` tells whether the application has a template of a name.
    """
    name = type(host).__name__
    faults = [
        f"{name}.{fault}"
        for method, count in CALLS.items()
        if (fault := _call_fault(host, method, count))
    ]
    layout = getattr(host, "base_template", None)
    if not isinstance(layout, str):
        faults.append(f"{name}.base_template is missing; name the layout of the host's pages.")
    elif not template_exists(layout):
        faults.append(f"{name}.base_template is {layout!r}, and there is no such template.")
    if faults:
        return faults
    for method, labels in SELECTS.items():
        faults += [
            f"{name}.{method}(): {fault}"
            for fault in _method_faults(getattr(host, method), labels, session, account)
        ]
    return faults


def has_agencies(host: Any, session: AnySession, account: str) -> bool:
    """Tell whether the host knows an agency of an account."""
    found = session.execute(host.agencies(account).limit(1)).first() is not None
    session.rollback()
    return found


def _call_fault(host: object, method: str, count: int) -> str | None:
    function = getattr(host, method, None)
    if not callable(function):
        return f"{method}() is missing; see HostAdapter for what it returns."
    try:
        inspect.signature(function).bind(*[None] * count)
    except TypeError:
        return f"{method}() does not take {count} values; see HostAdapter for how it is called."
    return None


def _method_faults(
    method: Callable[[str], object],
    labels: Mapping[str, tuple[type, ...]],
    session: AnySession,
    account: str,
) -> list[str]:
    try:
        statement, foreign = method(account), method(NOBODY)
    except Exception as error:
        # The host's code may raise anything; the check goes on with the next method.
        return [f"raised {type(error).__name__}: {error}"]
    faults = _select_faults(statement, labels, session)
    if not faults and isinstance(foreign, Select) and session.execute(foreign.limit(1)).first():
        faults.append("finds rows for an account that does not exist; bound it by the account.")
    session.rollback()
    return faults


def _select_faults(
    statement: object, labels: Mapping[str, tuple[type, ...]], session: AnySession
) -> list[str]:
    if not isinstance(statement, Select):
        return [f"returns {type(statement).__name__}; return an SQLAlchemy SELECT, not executed."]
    faults = []
    if statement._order_by_clauses:  # no public accessor
        faults.append("has an ORDER BY; take it away, the plugin sorts.")
    if statement._limit_clause is not None or statement._offset_clause is not None:
        faults.append("has a LIMIT or OFFSET; take it away, the plugin pages.")
    columns = statement.selected_columns
    missing = [label for label in labels if label not in columns]
    if missing:
        faults.append(f"lacks the labels {', '.join(missing)}; add .label(...) to these columns.")
        return faults
    for label, types in labels.items():
        found = getattr(columns[label].type, "python_type", object)
        if types and not issubclass(found, types):
            wanted = types[0].__name__
            faults.append(f"{label} is of type {found.__name__}; it has to be {wanted}.")
    if "updated_at" in columns:
        found = getattr(columns["updated_at"].type, "python_type", object)
        if not issubclass(found, datetime):
            faults.append(f"updated_at is of type {found.__name__}; it has to be datetime.")
    try:
        session.execute(statement.limit(1)).all()
    except DBAPIError as error:
        faults.append(f"does not run: {sqlstate(error)}; run it by hand to see why.")
    session.rollback()
    return faults
