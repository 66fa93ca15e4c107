"""Small practices in the demo host, and what a person or an accident does to them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
from sqlalchemy import delete

from ensora_plugin.automap.trying import groups_of, notes_of, touch
from ensora_plugin.clock import utcnow
from ensora_plugin.host.port import HostAdapter
from ensora_plugin.kinds import BY_NAME, NOTE, Kind
from ensora_plugin.models import Mapping, Rejected
from tests.practices import ADMINS, Practice, open_demo, open_other
from tests.small import ACCOUNT, TODAY, Small


class SmallWorld:
    """What `open_demo` reads of a world."""

    def __init__(self, smalls: tuple[Small, ...]) -> None:
        self.today = TODAY
        names = [small.account for small in smalls]
        given = {small.account: small for small in smalls}
        self.host: dict[str, list[dict[str, Any]]] = {
            "account": [{"id": name, "name": name} for name in ADMINS]
        }
        for table in Small().host:
            self.host[table] = [row for name in names for row in _even(given[name].host[table])]
        self.organizations = [
            {
                "id": f"org-{name}",
                "name": name,
                "users": [_admin(name, username)],
                **given.get(name, Small()).vendor,
            }
            for name, username in ADMINS.items()
        ]


def by_person(practice: Practice, kind: str, vendor_id: str, host_id: int | None) -> None:
    """Map a record as a person does; None ignores it."""
    state = "user" if host_id is not None else "ignored"
    key = {"account_id": practice.account_id(ACCOUNT), "kind": kind, "vendor_id": vendor_id}
    told = {"host_id": None if host_id is None else str(host_id), "by": "ada", "at": utcnow()}
    practice.session.add(Mapping(**key, **told, state=state))
    _try_again(practice, kind, vendor_id)


def reject(practice: Practice, kind: str, vendor_id: str, host_id: int) -> None:
    """Undo a pair as a person does."""
    key = {"account_id": practice.account_id(ACCOUNT), "kind": kind, "vendor_id": vendor_id}
    own = [getattr(Mapping, name) == value for name, value in key.items()]
    practice.session.execute(delete(Mapping).where(*own, Mapping.host_id == str(host_id)))
    practice.session.add(Rejected(**key, host_id=str(host_id), by="ada", at=utcnow()))
    _try_again(practice, kind, vendor_id)


def _try_again(practice: Practice, kind: str, vendor_id: str) -> None:
    """What every verb of a person does for the notes that it may let map; commits."""
    account_id = practice.account_id(ACCOUNT)
    notes = groups_of(account_id, [vendor_id])
    touch(
        practice.session,
        account_id,
        notes if kind == NOTE.name else notes_of(BY_NAME[kind], [vendor_id]),
    )
    practice.session.commit()


def outcome(practice: Practice, kind: Kind, account: str = ACCOUNT) -> dict[str, str | None]:
    """What became of every record of a kind: the host's id, or the reason why it does not map."""
    mapped = practice.mapped(account, kind.name)
    whys = practice.whys(account, kind.model)
    assert not [id for id, why in whys.items() if why and mapped.get(id)]
    return whys | mapped


class Mortal(httpx2.BaseTransport):
    """Hands requests on to another transport; the worker dies in the middle of the last one."""

    def __init__(self, inner: httpx2.BaseTransport | None, requests: int) -> None:
        assert inner is not None
        self.inner, self.left = inner, requests

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.left -= 1
        if self.left < 0:
            # As a killed process, nothing of ours catches it.
            raise KeyboardInterrupt
        return self.inner.handle_request(request)


@contextmanager
def open_small(url: str, *smalls: Small, **config: Any) -> Iterator[Practice]:
    """Open the demo host with small practices, both accounts activated and connected."""
    with open_demo(url, SmallWorld(smalls), **config) as practice:  # type: ignore[arg-type]
        yield practice


@contextmanager
def open_small_other(
    url: str, *smalls: Small, host: HostAdapter | None = None, **config: Any
) -> Iterator[Practice]:
    """Open small practices in the second host; their rows have to name every column that it has."""
    world: Any = SmallWorld(smalls)
    with open_other(url, world, host=host, **config) as practice:
        yield practice


def _even(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with the same columns each, as one INSERT wants them; a column left out has its
    default, so what only some rows name is named by all.
    """
    defaults = {
        "active": True,
        "locked": False,
        "status": "scheduled",
        "kind": "service",
        "notes_required": True,
        "guardian_signature_required": False,
    }
    columns = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name, defaults.get(name)) for name in columns} for row in rows]


def _admin(account: str, username: str) -> dict[str, str]:
    login = {"username": username, "email": username, "password": "admin-demo"}
    return {"id": f"admin-{account}", "role": "Admin", **login}
