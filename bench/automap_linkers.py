"""Peers of automap from the field of record linkage, where installed (`make bench-peers`).

Both match in memory and write nothing into the application's database: rows go out to them, and the
nearest candidate of each note comes back.
"""

from __future__ import annotations

import logging
import sys
from importlib.util import find_spec
from typing import Any

from sqlalchemy import Integer, cast, select
from sqlalchemy.orm import Session, aliased

from demo.host.models import Appointment
from ensora_plugin.dialect import minute_of_day
from ensora_plugin.models import Mapping, Note

from .automap_peers import GRACE_MINUTES, Way

_SAME = ["client", "staff", "date"]
_TIMES = ("start", "end")


def linkers() -> dict[str, Way]:
    """Return name -> way of matching, of those that are installed; says which ones are not."""
    found = {"splink": with_splink, "recordlinkage": with_recordlinkage}
    for name in [name for name in found if find_spec(name) is None]:
        print(f"{name} is skipped: it is not installed (make bench-peers)", file=sys.stderr)
        del found[name]
    return found


def with_splink(session: Session) -> dict[str, int]:
    """Let splink (on DuckDB) find the pairs of a group whose times are within the grace."""
    from splink import Linker, SettingsCreator
    from splink.internals.duckdb.database_api import DuckDBAPI

    logging.getLogger("splink").setLevel(logging.ERROR)
    same = " AND ".join(f"l.{name} = r.{name}" for name in _SAME)
    near = " AND ".join(f"abs(l.{name} - r.{name}) <= {GRACE_MINUTES}" for name in _TIMES)
    settings = SettingsCreator(
        link_type="link_only",
        blocking_rules_to_generate_predictions=[
            {"blocking_rule": f"{same} AND {near}", "sql_dialect": "duckdb"}
        ],
        additional_columns_to_retain=[*_TIMES],
    )
    api = DuckDBAPI()
    sides = [
        api.register(frame, dataset_display_name=name)
        for name, frame in zip(("a_note", "b_appointment"), _frames(session), strict=True)
    ]
    pairs = Linker(sides, settings).inference.deterministic_link().as_pandas_dataframe()
    apart = sum((pairs[f"{name}_l"] - pairs[f"{name}_r"]).abs() for name in _TIMES)
    return _nearest(pairs["unique_id_l"], pairs["unique_id_r"], apart)


def with_recordlinkage(session: Session) -> dict[str, int]:
    """Let recordlinkage find the pairs of a group, and compare their times."""
    import recordlinkage

    notes, appointments = (frame.set_index("unique_id") for frame in _frames(session))
    pairs = recordlinkage.Index().block(_SAME).index(notes, appointments)
    first, second = pairs.get_level_values(0), pairs.get_level_values(1)
    apart = [
        abs(notes.loc[first, name].to_numpy() - appointments.loc[second, name].to_numpy())
        for name in _TIMES
    ]
    near = (apart[0] <= GRACE_MINUTES) & (apart[1] <= GRACE_MINUTES)
    return _nearest(first[near], second[near], (apart[0] + apart[1])[near])


def _nearest(notes: Any, appointments: Any, apart: Any) -> dict[str, int]:
    import pandas

    pairs = pandas.DataFrame({"note": notes, "appointment": appointments, "apart": apart})
    first = pairs.sort_values("apart").drop_duplicates("note")
    return {
        str(note): int(number)
        for note, number in zip(first["note"], first["appointment"], strict=True)
    }


def _frames(session: Session) -> tuple[Any, Any]:
    """Read both sides with the host's ids of their people."""
    import pandas

    client, staff = aliased(Mapping), aliased(Mapping)
    notes = (
        select(
            Note.vendor_id,
            cast(client.host_id, Integer),
            cast(staff.host_id, Integer),
            Note.date,
            Note.start,
            Note.end,
        )
        .join(client, (client.kind == "student") & (client.vendor_id == Note.student_id))
        .join(staff, (staff.kind == "user") & (staff.vendor_id == Note.user_id))
    )
    a = Appointment
    minutes = minute_of_day(a.__table__.c.start), minute_of_day(a.__table__.c.end)
    appointments = select(a.id, a.client_id, a.staff_id, a.date, *minutes)
    columns = ["unique_id", *_SAME, *_TIMES]
    connection = session.connection()
    read = [connection.execute(one).all() for one in (notes, appointments)]
    frames = [pandas.DataFrame([tuple(row) for row in rows], columns=columns) for rows in read]
    for frame in frames:
        frame["date"] = frame["date"].astype(str)
    return frames[0], frames[1]
