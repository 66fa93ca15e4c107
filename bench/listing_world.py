"""The world of the list pages: a practice with many clients and as many session notes, one in nine
clients not mapped yet, and the same rows once more as a peer's own table would have them.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, delete, func, select, text, update
from werkzeug.security import generate_password_hash

from demo.host.models import Base as HostBase
from ensora_plugin.migrating import upgrade
from ensora_plugin.models import Base, Mapping, RenderingRow, Student

from .databases import engine_for, settle
from .sessions import Size, make_sessions, truth_of
from .worlds import ACCOUNT, AGENCIES, make_people, mapping, put

PASSWORD = "bench"  # noqa: S105 - of a made person in a made world
#: Whoever sees all agencies, and whoever sees one of them.
EVERYWHERE, BOUND = "everywhere", "bound"
PERMISSIONS = "admin view map render report audit create_client edit_client edit_agency edit_staff"
#: The agency that the bound person has, and its site.
SEEN_AGENCY = AGENCIES // 2
SEEN = f"si{SEEN_AGENCY}"
#: So many entities a peer's row chooses among; ours are chosen among all clients.
CHOICES = 834
#: One client in so many is not mapped, in each agency.
UNMAPPED = AGENCIES + 1
#: Of a note by its number's last two digits.
_WHY = {
    "outside_the_grace": and_(
        text("CAST(substr(vendor_id, 3) AS INTEGER) % 100 >= 90"),
        text("CAST(substr(vendor_id, 3) AS INTEGER) % 100 < 94"),
    ),
    "no_appointment_that_day": and_(
        text("CAST(substr(vendor_id, 3) AS INTEGER) % 100 >= 94"),
        text("CAST(substr(vendor_id, 3) AS INTEGER) % 100 < 96"),
    ),
}
_MEMBERS = (
    "INSERT INTO ensora_membership (account_id, kind, vendor_id, site_id) "
    "SELECT account_id, 'student', vendor_id, site_id FROM ensora_student",
    "INSERT INTO ensora_membership (account_id, kind, vendor_id, site_id) "
    f"SELECT account_id, 'user', vendor_id, 'si' || (id % {AGENCIES} + 1) FROM ensora_user",
    f"INSERT INTO staff_agency (staff_id, agency_id) SELECT id, id % {AGENCIES} + 1 FROM staff",
    *(
        "INSERT INTO ensora_directory_agency (account_id, entity, host_id, agency_id) "
        f"SELECT 1, '{entity}', CAST({id} AS VARCHAR), CAST(agency_id AS VARCHAR) FROM {table}"
        for entity, id, table in (("client", "id", "client"), ("staff", "staff_id", "staff_agency"))
    ),
    *(
        "INSERT INTO ensora_directory (account_id, entity, host_id, match_key, name_key, sort_key, "
        f"active, facts, checksum) SELECT 1, '{entity}', substr(vendor_id, 3), match_key, "
        f"name_key, sort_key, active, '[]', checksum FROM {records}"
        for entity, records in (("client", "ensora_student"), ("staff", "ensora_user"))
    ),
)
_RENDERED = (
    "INSERT INTO ensora_rendering (account_id, note_id, version, appointment_id, state, applied, "
    "refusals, signatures, run_id, at) SELECT account_id, vendor_id, 1, host_id, 'rendered', :yes, "
    "'[]', '{}', 1, at FROM ensora_mapping WHERE kind = 'note' AND id % 20 > 0"
)
_REFUSALS = [
    {"code": "no_authorization", "text": "No authorization on that date."},
    {"code": "therapist_signature_missing", "text": "The therapist did not sign."},
]
_HOST, _OURS = HostBase.metadata.tables, Base.metadata.tables


def build(url: str, rows: int, seed: int) -> None:
    """Make both sides, the people who sign in, and the peers' tables."""
    engine = engine_for(url)
    HostBase.metadata.create_all(engine)
    upgrade(engine)
    numbers = range(1, rows + 1)
    with engine.begin() as connection:
        make_people(connection, students=rows, users=max(8, rows // 500))
        make_sessions(connection, Size.of(rows), numbers, seed)
        made = (mapping("note", f"no{n}", n) for n in numbers if truth_of(n) is None)
        put(connection, _OURS["ensora_mapping"], made)
        for why, which in _WHY.items():
            connection.execute(update(_OURS["ensora_note"]).where(which).values(why=why))
        for members in _MEMBERS:
            connection.execute(text(members))
        _render_most(connection)
        _unmap_some(connection)
        _make_logins(connection)
        _make_peers_tables(connection)
    settle(engine)
    engine.dispose()


def _render_most(connection: Any) -> None:
    """Of twenty mapped notes 18 are rendered, one is refused for two reasons, and one waits."""
    connection.execute(text(_RENDERED), {"yes": True})
    refused = update(RenderingRow.__table__).values(state="refused", refusals=_REFUSALS)
    connection.execute(refused.where(RenderingRow.id % 19 == 0))
    rendered = select(RenderingRow.note_id).where(RenderingRow.state == "rendered")
    connection.execute(
        update(Mapping.__table__)
        .where(Mapping.kind == "note", Mapping.vendor_id.in_(rendered))
        .values(unrendered=False)
    )


def _unmap_some(connection: Any) -> None:
    """Let some students wait for a person; the nearest client is their own."""
    waiting = Student.id % UNMAPPED == 0
    ids = select(Student.vendor_id).where(waiting)
    connection.execute(delete(Mapping).where(Mapping.kind == "student", Mapping.vendor_id.in_(ids)))
    connection.execute(
        update(Student.__table__)
        .where(waiting)
        .values(why="no_such_client", nearest=func.substr(Student.vendor_id, 3))
    )


def _make_logins(connection: Any) -> None:
    hashed = generate_password_hash(PASSWORD)
    whoever = {"account_id": ACCOUNT, "password_hash": hashed, "permissions": PERMISSIONS}
    whoever |= {"active": True, "epoch": 0}
    logins = [
        {"id": 1, "name": EVERYWHERE, "all_agencies": True} | whoever,
        {"id": 2, "name": BOUND, "all_agencies": False} | whoever,
    ]
    put(connection, _HOST["login"], logins)
    put(connection, _HOST["login_agency"], [{"login_id": 2, "agency_id": SEEN_AGENCY}])


def _make_peers_tables(connection: Any) -> None:
    """Write the students once more, each with a foreign key to one of some entities."""
    for statement in _PEERS_TABLES:
        connection.execute(text(statement), {"choices": CHOICES} if ":" in statement else {})


_PEERS_TABLES = (
    "CREATE TABLE bench_choice (id INTEGER PRIMARY KEY, name VARCHAR(255) NOT NULL)",
    "INSERT INTO bench_choice SELECT id, first_name || ' ' || last_name FROM client "
    "WHERE id <= :choices",
    "CREATE TABLE bench_row (id INTEGER PRIMARY KEY, first_name VARCHAR(255) NOT NULL, "
    "last_name VARCHAR(255) NOT NULL, date_of_birth DATE NOT NULL, site VARCHAR(64) NOT NULL, "
    "state VARCHAR(8), choice_id INTEGER REFERENCES bench_choice (id))",
    "INSERT INTO bench_row SELECT s.id, s.first_name, s.last_name, s.date_of_birth, s.site_id, "
    "m.state, CASE WHEN m.id IS NULL THEN NULL ELSE "
    "1 + s.id % (SELECT count(*) FROM bench_choice) END FROM ensora_student s "
    "LEFT JOIN ensora_mapping m ON m.account_id = s.account_id AND m.kind = 'student' "
    "AND m.vendor_id = s.vendor_id",
    "CREATE INDEX bench_row_name ON bench_row (last_name, first_name, id)",
    "CREATE INDEX bench_row_choice ON bench_row (choice_id)",
)
