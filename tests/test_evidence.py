"""The evidence sheet: what proves a note, who may see it, and what changed between versions."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

import pytest
from flask_login import login_user
from markupsafe import escape
from sqlalchemy import delete, func, select, update

from demo.data import World
from demo.host.models import Appointment, AppointmentSignature, Login
from ensora_plugin import Ensora
from ensora_plugin.models import Content, History, Mapping, Note, RenderingRow
from ensora_plugin.rendering.differences import Piece, text_difference
from tests.practices import Practice
from tests.window import PREFIX, Person, open_window


@pytest.fixture
def practice(sqlite_url: str, small_world: World) -> Iterator[Practice]:
    with open_window(sqlite_url, small_world) as practice:
        yield practice


@pytest.fixture
def ada(practice: Practice) -> Person:
    return Person(practice.app, "ada")


def rendered(practice: Practice, *where: object) -> RenderingRow:
    """A rendering of the first account with a therapist's signature."""
    with practice.app.app_context():
        found = practice.session.scalars(
            select(RenderingRow)
            .where(
                RenderingRow.account_id == practice.account_id("bright-steps"),
                RenderingRow.state == "rendered",
                *where,
            )
            .order_by(RenderingRow.id)
        ).first()
        assert found is not None
        practice.session.expunge(found)
    return found


def sheet(person: Person, row: RenderingRow) -> str:
    answer = person.get(f"{PREFIX}/evidence/{row.appointment_id}")
    assert answer.status_code == 200
    return str(answer.text)


def test_it_tells_note_version_signatures_checksums_and_the_run(
    practice: Practice, ada: Person
) -> None:
    row = rendered(practice)
    page = sheet(ada, row)
    assert f"Session note {row.note_id}, version 1" in page
    assert f"run {row.applied_run_id}" in page
    assert f"{row.applied_at.day} {row.applied_at:%b %Y, %H:%M:%S} UTC" in page
    assert "Auto, by run 1, " in page
    assert "Made for <bdi>ada</bdi>, 20 Nov 2026" in page
    assert f'href="/appointments/{row.appointment_id}"' in page
    [note] = [
        note for note in practice.world.organizations[0]["notes"] if note["id"] == row.note_id
    ]
    for feed, id in (("students", note["studentId"]), ("users_feed", note["userId"])):
        [who] = [one for one in practice.world.organizations[0][feed] if one["id"] == id]
        assert escape(f"{who['firstName']} {who['lastName']}") in page
    assert 'src="data:image/png;base64,' in page
    facts = row.signatures["therapist"]
    assert facts["source_sha256"] in page
    assert facts["stored_sha256"] in page
    assert "The kept version gives both checksums today." in page
    with practice.app.app_context():
        host = practice.session.get_one(Appointment, int(row.appointment_id)).signature
        assert host is not None
        # What the host shows is what was stored.
        stored = hashlib.sha256(host.therapist_signature).hexdigest()
        assert stored == facts["stored_sha256"]


def test_it_tells_who_mapped_it_or_that_nobody_does_any_more(
    practice: Practice, ada: Person
) -> None:
    row = rendered(practice)
    own = (Mapping.kind == "note", Mapping.vendor_id == row.note_id)
    with practice.app.app_context():
        practice.session.execute(update(Mapping).where(*own).values(state="user", by="cy"))
        practice.session.commit()
    assert "User, by cy, 20 Nov 2026" in sheet(ada, row)
    with practice.app.app_context():
        practice.session.execute(delete(Mapping).where(*own))
        practice.session.commit()
    assert "Not mapped to it any more" in sheet(ada, row)


@pytest.mark.parametrize(
    ("which", "words"),
    [
        ("source_sha256", "does not give these checksums today"),
        # Another release of the encoder does that as well.
        ("stored_sha256", "gives the checksum with which it came; encoded anew it gives another"),
    ],
)
def test_a_checksum_that_no_longer_fits_is_told(
    practice: Practice, ada: Person, which: str, words: str
) -> None:
    row = rendered(practice)
    with practice.app.app_context():
        facts = {**row.signatures["therapist"], which: "0" * 64}
        practice.session.execute(
            update(RenderingRow)
            .where(RenderingRow.id == row.id)
            .values(signatures={"therapist": facts})
        )
        practice.session.commit()
    assert words in sheet(ada, row)


def test_content_that_does_not_open_is_told(practice: Practice, ada: Person) -> None:
    row = rendered(practice)
    with practice.app.app_context():
        practice.session.execute(
            update(Content).where(Content.note_id == row.note_id).values(sealed=b"\x04testx")
        )
        practice.session.commit()
    page = sheet(ada, row)
    assert "does not belong to its row" in page
    assert row.signatures["therapist"]["stored_sha256"] in page


def test_every_version_and_its_difference_is_for_who_may_audit(
    practice: Practice, ada: Person
) -> None:
    plain = [
        note["id"]
        for note in practice.world.organizations[0]["notes"]
        if sum("notes" in field["name"].lower() for field in note["fields"]) == 1
        and any(field["name"] == "Notes" for field in note["fields"])
    ]
    row = rendered(practice, RenderingRow.note_id.in_(plain))
    with practice.app.app_context():
        for text in ("He <b>said</b> ten words.", "He <b>said</b> twelve words."):
            practice.store.edit_note("org-bright-steps", row.note_id, {"Notes": text})
            practice.run()
    page = sheet(ada, row)
    assert f"Session note {row.note_id}, version 3" in page
    assert "He &lt;b&gt;said&lt;/b&gt; <del>ten</del><ins>twelve</ins> words." in page
    assert page.count("Replaced") == 2
    assert "Stands there" in page
    bo = Person(practice.app, "bo").get(f"{PREFIX}/evidence/{row.appointment_id}")
    if bo.status_code == 200:
        assert "Every version" not in bo.text
        assert "twelve" not in bo.text


def test_who_looked_is_written_down(practice: Practice, ada: Person) -> None:
    row = rendered(practice)
    sheet(ada, row)
    with practice.app.app_context():
        seen = practice.session.scalars(
            select(History).where(History.action == "view_evidence")
        ).one()
        assert (seen.by, seen.vendor_id) == ("ada", row.note_id)
        assert seen.after == {"appointment_id": row.appointment_id, "version": 1}


def test_another_agency_and_another_account_get_nothing(practice: Practice) -> None:
    with practice.app.app_context():
        northside = select(Appointment.id).where(Appointment.agency_id == 1)
        ids = {str(id) for id in practice.session.scalars(northside)}
    own = rendered(practice, RenderingRow.appointment_id.in_(ids))
    other = rendered(practice, RenderingRow.appointment_id.not_in(ids))
    bo, eve = Person(practice.app, "bo"), Person(practice.app, "eve")
    for person, row, status in ((bo, own, 200), (bo, other, 404), (eve, own, 404)):
        got = person.get(f"{PREFIX}/evidence/{row.appointment_id}")
        assert got.status_code == status
    with practice.app.app_context():
        looked = select(func.count()).select_from(History).where(History.action == "view_evidence")
        assert practice.session.scalar(looked) == 1


def test_of_an_appointment_that_is_gone_only_those_of_all_agencies_see_it(
    practice: Practice, ada: Person
) -> None:
    with practice.app.app_context():
        northside = select(Appointment.id).where(Appointment.agency_id == 1)
        ids = {str(id) for id in practice.session.scalars(northside)}
    row = rendered(practice, RenderingRow.appointment_id.in_(ids))
    with practice.app.app_context():
        id = int(row.appointment_id)
        practice.session.execute(
            delete(AppointmentSignature).where(AppointmentSignature.appointment_id == id)
        )
        practice.session.execute(delete(Appointment).where(Appointment.id == id))
        practice.session.commit()
    assert "which is no longer there" in sheet(ada, row)
    bo = Person(practice.app, "bo")
    assert bo.get(f"{PREFIX}/evidence/{row.appointment_id}").status_code == 404


def test_what_was_never_written_into_has_no_evidence(ada: Person) -> None:
    for id in ("0", "999999", "x", "9" * 40, "%00", "' or 1=1"):
        assert ada.get(f"{PREFIX}/evidence/{id}").status_code == 404, id


def test_rows_lead_to_it(practice: Practice, ada: Person) -> None:
    with practice.app.app_context():
        applied = set(
            practice.session.scalars(
                select(RenderingRow.appointment_id).where(RenderingRow.applied)
            )
        )
    rows = ada.fragment("/appointments/rows?show=auto").text  # type: ignore[attr-defined]
    led = set(re.findall(rf'href="{PREFIX}/evidence/(\d+)"', rows))
    assert led
    assert led <= applied


def test_the_hosts_page_of_an_appointment_leads_to_it(practice: Practice) -> None:
    row = rendered(practice)
    ensora = Ensora()
    with practice.app.test_request_context():
        assert ensora.evidence_url(row.appointment_id) is None  # nobody is signed in
        login_user(practice.session.get_one(Login, 1))
        assert ensora.evidence_url(row.appointment_id) == f"{PREFIX}/evidence/{row.appointment_id}"
        assert ensora.evidence_url("999999") is None


def test_render_now_answers_with_the_row(practice: Practice, ada: Person) -> None:
    with practice.app.app_context():
        refused = practice.session.scalars(
            select(RenderingRow).where(
                RenderingRow.account_id == practice.account_id("bright-steps"),
                RenderingRow.state == "refused",
            )
        ).first()
        assert refused is not None
        note = practice.session.scalars(
            select(Note).where(
                Note.account_id == refused.account_id, Note.vendor_id == refused.note_id
            )
        ).one()
        record_id = note.id
    answer = ada.send(f"/appointments/{record_id}/render")
    assert answer.status_code == 200
    assert "Render now" in answer.text
    assert "Nothing changed" in answer.headers["HX-Trigger"]
    assert ada.send("/clients/1/render").status_code == 404
    cy = Person(practice.app, "cy")
    assert cy.send(f"/appointments/{record_id}/render").status_code == 403
    with practice.app.app_context():
        practice.session.execute(delete(Mapping).where(Mapping.vendor_id == refused.note_id))
        practice.session.commit()
    said = ada.send(f"/appointments/{record_id}/render")
    assert said.status_code == 409
    assert "mapped to no appointment" in said.text


def test_render_now_asks_nobody_for_an_appointment_of_another_client(
    practice: Practice, ada: Person
) -> None:
    row = rendered(practice)
    with practice.app.app_context():
        record_id = practice.session.scalars(
            select(Note.id).where(Note.account_id == row.account_id, Note.vendor_id == row.note_id)
        ).one()
        own = Appointment.id == int(row.appointment_id)
        other = practice.session.scalars(
            select(Appointment.client_id).where(
                Appointment.account_id == "bright-steps",
                Appointment.client_id != select(Appointment.client_id).where(own).scalar_subquery(),
            )
        ).first()
        taken_back = {"status": "scheduled", "rendered_at": None, "client_id": other}
        practice.session.execute(update(Appointment).where(own).values(**taken_back, locked=False))
        practice.session.commit()
    answer = ada.send(f"/appointments/{record_id}/render")
    assert answer.status_code == 200
    assert "Refused; the row says why" in answer.headers["HX-Trigger"]
    assert "The appointment is of another client than" in answer.text
    with practice.app.app_context():
        stands = practice.session.get_one(Appointment, int(row.appointment_id))
        assert stands.status == "scheduled"


@pytest.mark.parametrize(
    ("old", "new", "pieces"),
    [
        ("same", "same", [("same", "same")]),
        ("", "new", [("new", "new")]),
        ("a b c", "a x c", [("same", "a "), ("gone", "b"), ("new", "x"), ("same", " c")]),
        ("gone", "", [("gone", "gone")]),
        (
            "one\ntwo",
            "one\n\ntwo",
            [("same", "one"), ("gone", "\n"), ("new", "\n\n"), ("same", "two")],
        ),
    ],
)
def test_a_difference_tells_what_went_and_what_came(
    old: str, new: str, pieces: list[tuple[str, str]]
) -> None:
    found = text_difference(old, new)
    assert [(piece.kind, piece.text) for piece in found] == pieces


def test_long_texts_are_compared_line_by_line() -> None:
    old = "\n".join(f"line {number} of many" for number in range(1400))
    new = old.replace("line 7 of", "line seven of").replace("line 1399 of", "the last line of")
    changed = [piece for piece in text_difference(old, new) if piece.kind != "same"]
    assert changed == [
        Piece("gone", "line 7 of many\n"),
        Piece("new", "line seven of many\n"),
        Piece("gone", "line 1399 of many"),
        Piece("new", "the last line of many"),
    ]


def test_what_is_alike_at_both_ends_makes_no_text_too_long() -> None:
    old = "word " * 50_000 + "cat" + " word" * 50_000
    changed = [one for one in text_difference(old, old.replace("cat", "dog")) if one.kind != "same"]
    assert changed == [Piece("gone", "cat"), Piece("new", "dog")]


@pytest.mark.parametrize("end", [" ", "\n"])
def test_long_texts_that_differ_all_over_are_not_compared(end: str) -> None:
    old, new = (f"{one}{end}{other}{end}" * 2000 for one, other in ("ab", "ba"))
    assert text_difference(old, new) == [Piece("gone", old), Piece("new", new)]
