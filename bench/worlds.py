"""The people of a large world, written straight into the tables of both sides, with their mappings.

A world is one account of the demo host; its sessions are made in `sessions.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from itertools import islice
from typing import Any

from sqlalchemy import insert
from sqlalchemy.engine import Connection

from demo.host.models import Base as HostBase
from ensora_plugin.models import Base

ACCOUNT = "bench"
AGENCIES = 8
MODIFIED = datetime(2026, 1, 1)  # noqa: DTZ001 - times in tables are naive UTC
#: Rows that are written at once.
CHUNK = 20_000
_HOST = HostBase.metadata.tables
_OURS = Base.metadata.tables


def make_people(connection: Connection, *, students: int, users: int) -> None:
    """Write account, agencies, clients and staff, their records at the vendor, and the mappings of
    all.
    """
    put(connection, _HOST["account"], [{"id": ACCOUNT, "name": "Bench"}])
    put(
        connection,
        _OURS["ensora_connection"],
        [
            {
                "id": 1,
                "account": ACCOUNT,
                "state": "connected",
                "organization_id": "bench",
                "failures": 0,
                "generation": 1,
            }
        ],
    )
    put(
        connection,
        _HOST["agency"],
        (
            {
                "id": n,
                "account_id": ACCOUNT,
                "name": f"Agency {n}",
                "time_zone": "America/New_York",
                "guardian_signature_required": False,
            }
            for n in range(1, AGENCIES + 1)
        ),
    )
    put(
        connection,
        _OURS["ensora_site"],
        (
            record(n, "si") | named(f"Agency {n}") | {"name": f"Agency {n}"}
            for n in range(1, AGENCIES + 1)
        ),
    )
    put(connection, _HOST["client"], (_client(n) for n in range(1, students + 1)))
    put(connection, _OURS["ensora_student"], (_student(n) for n in range(1, students + 1)))
    put(connection, _HOST["staff"], (_staff(n) for n in range(1, users + 1)))
    put(connection, _OURS["ensora_user"], (_user(n) for n in range(1, users + 1)))
    put(
        connection,
        _OURS["ensora_mapping"],
        (
            mapping(kind, f"{prefix}{n}", n)
            for kind, prefix, many in (
                ("site", "si", AGENCIES),
                ("student", "st", students),
                ("user", "us", users),
            )
            for n in range(1, many + 1)
        ),
    )


def agency_of(student: int) -> int:
    """Return the agency of a client, and the site of a student, by number."""
    return student % AGENCIES + 1


def record(number: int, prefix: str) -> dict[str, Any]:
    """Return the columns that every record has."""
    return {
        "id": number,
        "account_id": 1,
        "vendor_id": f"{prefix}{number}",
        "modified_at": MODIFIED,
        "checksum": number.to_bytes(16, "big"),
    }


def named(name: str) -> dict[str, Any]:
    key = name.casefold()
    return {"match_key": key, "name_key": key, "sort_key": key, "active": True}


def mapping(kind: str, vendor_id: str, host_id: int) -> dict[str, Any]:
    """Return an automatic mapping as automap writes it."""
    return {
        "account_id": 1,
        "kind": kind,
        "vendor_id": vendor_id,
        "host_id": str(host_id),
        "state": "auto",
        "run_id": 1,
        "at": MODIFIED,
        "version": 1,
    }


def _client(n: int) -> dict[str, Any]:
    return {
        "id": n,
        "account_id": ACCOUNT,
        "agency_id": agency_of(n),
        "first_name": f"First{n}",
        "last_name": f"Last{n}",
        "date_of_birth": date(2018, 1, 1),
        "gender": "",
        "active": True,
        "updated_at": MODIFIED,
    }


def _student(n: int) -> dict[str, Any]:
    return (
        record(n, "st")
        | named(f"First{n} Last{n}")
        | {
            "site_id": f"si{agency_of(n)}",
            "first_name": f"First{n}",
            "last_name": f"Last{n}",
            "date_of_birth": date(2018, 1, 1),
            "time_zone": "America/New_York",
        }
    )


def _staff(n: int) -> dict[str, Any]:
    return {
        "id": n,
        "account_id": ACCOUNT,
        "first_name": f"Staff{n}",
        "last_name": f"Name{n}",
        "email": f"s{n}@bench.example",
        "title": "",
        "phone": "",
        "address": "",
        "has_user_account": True,
        "active": True,
        "updated_at": MODIFIED,
    }


def _user(n: int) -> dict[str, Any]:
    return (
        record(n, "us")
        | named(f"Staff{n} Name{n}")
        | {
            "type": "Employee",
            "first_name": f"Staff{n}",
            "last_name": f"Name{n}",
            "email": f"s{n}@bench.example",
            "email_key": f"s{n}@bench.example",
            "title": "",
        }
    )


def put(
    connection: Connection, table: Any, rows: Sequence[dict[str, Any]] | Iterator[dict[str, Any]]
) -> None:
    """Write rows in chunks."""
    rows = iter(rows)
    while chunk := list(islice(rows, CHUNK)):
        connection.execute(insert(table), chunk)
