"""What the fields of a SOAP note mean, by their names."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest

from ensora_plugin.rendering.soap import Signed, Soap, content_bytes, content_fields, read_soap
from ensora_plugin.vendor.records import FieldIn

#: UTC without a zone, as it is stored.
SIGNED = datetime(2026, 11, 19, 19, 5)  # noqa: DTZ001
INK = {"image": "data:image/png;base64,AAAA"}
OTHER_INK = {"image": "data:image/png;base64,BBBB"}


def field(name: str, value: Any = None) -> FieldIn:
    return FieldIn(name, "text", value)


def soap(*fields: tuple[str, Any]) -> Soap:
    return read_soap([field(*one) for one in fields])


TABLE = [
    ("Date", "2026-11-19", "date", date(2026, 11, 19)),
    ("Start Time", "13:00", "start", 780),
    ("End Time", "14:05", "end", 845),
    ("Notes", "Went well.", "notes", "Went well."),
    ("Therapist Signature", INK, "therapist_signature", Signed(INK["image"], None)),
    ("Signature", INK, "therapist_signature", Signed(INK["image"], None)),
    ("Guardian Name", "Dana", "guardian_name", "Dana"),
    ("Caregiver Name", "Dana", "guardian_name", "Dana"),
    ("Parent Name", "Dana", "guardian_name", "Dana"),
    ("Guardian Signature", INK, "guardian_signature", Signed(INK["image"], None)),
    ("Caregiver Signature", INK, "guardian_signature", Signed(INK["image"], None)),
    ("Parent Signature", INK, "guardian_signature", Signed(INK["image"], None)),
    ("Relationship", "Mother", "relationship", "Mother"),
    ("Location", "Home", "location", "Home"),
]


@pytest.mark.parametrize(("name", "value", "meaning", "read"), TABLE)
@pytest.mark.parametrize("written", ["{}", " {} ", "{}:", "{} *", "{}*:", "{}："])
def test_every_name_is_known_however_it_is_written(
    name: str, value: Any, meaning: str, read: Any, written: str
) -> None:
    for variant in (name, name.upper(), name.replace(" ", "\u00a0 ")):
        assert getattr(soap((written.format(variant), value)), meaning) == read


def test_no_other_name_means_anything() -> None:
    names = ("Session Date", "Start", "Note", "Therapist", "Guardian", "*", ":Date", "Sig:nature")
    assert soap(*((name, "2026-11-19") for name in names)) == soap()


@pytest.mark.timeout(30)
def test_a_name_of_any_length_is_read_at_once() -> None:
    """In time that grows with its length: with its square, this one would take hours."""
    marks = ": *" * 350_000
    assert soap((marks + "x", "2026-11-19")) == soap()
    assert soap(("Date" + marks, "2026-11-19")).date == date(2026, 11, 19)


@pytest.mark.parametrize(
    ("meaning", "preferred"),
    [
        ("guardian_name", ["Guardian Name", "Caregiver Name", "Parent Name"]),
        (
            "guardian_signature",
            ["Guardian Signature", "Caregiver Signature", "Parent Signature"],
        ),
        ("therapist_signature", ["Therapist Signature", "Signature"]),
    ],
)
def test_names_are_taken_in_the_order_of_preference(meaning: str, preferred: list[str]) -> None:
    signed = meaning.endswith("signature")
    for place, best in enumerate(preferred):
        fields = [
            (name, {"image": name} if signed else name) for name in reversed(preferred[place:])
        ]
        read = getattr(soap(*fields), meaning)
        assert (read.image if signed else read) == best


@pytest.mark.parametrize("nothing", [{"image": ""}, {"image": None}, {"signedAt": "x"}, "signed"])
def test_a_signature_without_a_picture_gives_way(nothing: Any) -> None:
    ink = Signed(INK["image"], None)
    assert soap(("Signature", nothing), ("Signature", INK)).therapist_signature == ink
    assert soap(("Caregiver Signature", nothing), ("Parent Signature", INK)) == soap(
        ("Guardian Signature", INK)
    )


@pytest.mark.parametrize(
    "nowhere", [{"label": ""}, {"latitude": None, "longitude": None}, {"accuracy": 5}]
)
def test_a_location_that_is_no_place_gives_way(nowhere: Any) -> None:
    assert soap(("Location", nowhere), ("Location", "Home")).location == "Home"


def test_a_preferred_name_without_a_value_gives_way() -> None:
    assert soap(("Guardian Name", " "), ("Parent Name", "Dana")).guardian_name == "Dana"


@pytest.mark.parametrize("empty", [None, "", "  ", "\u00a0", [], {}])
def test_where_a_name_comes_twice_the_first_with_a_value_counts(empty: Any) -> None:
    assert soap(("Notes", empty), ("notes:", "first"), ("Notes", "second")).notes == "first"


@pytest.mark.parametrize(
    "empty", [{"label": ""}, {"label": " ", "latitude": None}, {"latitude": 1}, [" "]]
)
def test_a_location_that_says_nothing_gives_way(empty: Any) -> None:
    assert soap(("Location", empty), ("Location", {"label": "Home"})).location == "Home"


def test_a_note_without_fields_is_empty_and_not_readable() -> None:
    nothing = soap()
    assert nothing == Soap(None, None, None, "", "", "", "", None, None)
    assert not nothing.readable


@pytest.mark.parametrize(
    ("value", "minutes"),
    [
        ("00:00", 0),
        ("13:05", 785),
        ("13:05:59", 785),
        (" 23:59 ", 1439),
        ("24:00", None),
        ("9:00", None),
        ("13:60", None),
        ("13:05:60", None),
        ("1 PM", None),
        ("١٣:٠٥", None),
        ("13:05\n14:00", None),
        (1305, None),
        (["13:05"], None),
    ],
)
def test_times_are_minutes_since_midnight_and_seconds_are_dropped(
    value: Any, minutes: int | None
) -> None:
    assert soap(("Start Time", value)).start == minutes


@pytest.mark.parametrize(
    ("value", "readable"),
    [
        ("2024-02-29", True),
        ("2026-02-29", False),
        ("2026-13-01", False),
        ("2026-00-10", False),
        ("1899-12-31", False),
        ("19.11.2026", False),
        ("2026-11-19T00:00:00Z", False),
        ("２０２６-11-19", False),
        (20261119, False),
        ({"date": "2026-11-19"}, False),
    ],
)
def test_impossible_dates_are_not_readable(value: Any, readable: bool) -> None:
    read = soap(("Date", value), ("Start Time", "09:00"), ("End Time", "10:00"))
    assert (read.date is not None, read.readable) == (readable, readable)


@pytest.mark.parametrize(
    ("start", "end", "readable"),
    [
        ("09:00", "09:01", True),
        ("09:00", "09:00", False),
        ("09:00:00", "09:00:59", False),
        ("09:00", "08:00", False),
        ("23:30", "00:30", False),
        ("09:00", "", False),
        ("", "09:00", False),
    ],
)
def test_the_end_has_to_come_after_the_start_on_the_same_day(
    start: str, end: str, readable: bool
) -> None:
    read = soap(("Date", "2026-11-19"), ("Start Time", start), ("End Time", end))
    assert read.readable is readable


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("Home", "Home"),
        ({"label": " Home "}, "Home"),
        ({"latitude": 40.7128, "longitude": -74.006}, "40.71280, -74.00600"),
        ({"latitude": 0, "longitude": 0}, "0.00000, 0.00000"),
        (
            {"latitude": 40.7128, "longitude": -74.006, "accuracy": 12.4, "label": "Clinic"},
            "Clinic · 40.71280, -74.00600 (within 12 m)",
        ),
        ({"latitude": 40.7}, ""),
        ({"latitude": "40.7", "longitude": None}, ""),
        ({"accuracy": 5, "mood": {"of": ["the", "device"]}}, ""),
        (None, ""),
    ],
)
def test_a_location_is_one_line_of_label_and_position(value: Any, line: str) -> None:
    assert soap(("Location", value)).location == line


@pytest.mark.parametrize(
    ("value", "text"), [("a", "a"), (["a", "b"], "a, b"), (1.5, "1.5"), (3, "3"), (True, "true")]
)
def test_notes_of_any_type_become_text(value: Any, text: str) -> None:
    assert soap(("Notes", value)).notes == text


@pytest.mark.parametrize(
    "value", ["signed on paper", {"image": ""}, {"image": None}, {"image": 5}, {"drawn": "x"}, 7]
)
def test_what_holds_no_picture_is_no_signature(value: Any) -> None:
    assert soap(("Signature", value)).therapist_signature is None


@pytest.mark.parametrize(
    ("given", "moment"),
    [
        ("2026-11-19T19:05:00Z", SIGNED),
        ("2026-11-19T14:05:00-05:00", SIGNED),
        ("yesterday", None),
        (None, None),
        ("0001-01-01T00:00:00+14:00", None),
    ],
)
def test_the_moment_of_signing_is_utc_or_unknown(given: Any, moment: datetime | None) -> None:
    read = soap(("Signature", {**INK, "signedAt": given})).therapist_signature
    assert read is not None
    assert read.signed_at == moment


def test_fields_come_back_from_their_bytes_as_they_were() -> None:
    fields = [field("Notes", "Séance"), field("Signature", OTHER_INK), field("Empty")]
    assert content_fields(content_bytes(fields)) == fields
