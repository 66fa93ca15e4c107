"""Records that break the contract: set aside with the reason, and their neighbours are whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from ensora_plugin.clock import utcnow
from ensora_plugin.vendor.client import DataCollection
from ensora_plugin.vendor.pages import place_name
from ensora_plugin.vendor.records import Broken, Whole
from tests.connected_vendor import KINDS, SETTINGS, Vendor


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with closing(Vendor()) as made:
        yield made


SECRET = 'Haddad\' - at `$.x` "secret"'
BROKEN = [
    ("note", "member", {"member": "status", "value": SECRET}),
    ("note", "member", {"member": "status", "value": "O'Secret"}),
    ("note", "member", {"member": "status", "value": "a\nsecret' - b"}),
    ("note", "member", {"member": "version", "value": 0}),
    ("note", "member", {"member": "version", "value": 2**31}),
    ("note", "member", {"member": "version", "value": "secret"}),
    ("note", "member", {"member": "fields", "value": [{"name": "Notes", "type": SECRET}]}),
    ("note", "member", {"member": "fields", "value": [{}]}),
    ("note", "member", {"member": "fields", "value": "secret"}),
    ("note", "member", {"member": "siteId", "value": ""}),
    ("note", "member", {"member": "siteId", "value": "secret" * 11}),
    ("note", "member", {"member": "modifiedAt", "value": "secret"}),
    ("note", "member", {"member": "modifiedAt", "value": "0001-01-01T00:00:00+14:00"}),
    ("note", "member", {"member": "publishedAt", "value": "9999-12-31T23:59:59-14:00"}),
    ("note", "member", {"member": "id", "value": 7}),
    ("student", "member", {"member": "dateOfBirth", "value": "secret"}),
    ("student", "member", {"member": "dateOfBirth", "value": "1066-10-14"}),
    ("student", "member", {"member": "dateOfBirth", "value": "2999-01-01"}),
    ("student", "member", {"member": "firstName", "value": None}),
    ("student", "impossible_date", {}),
    ("user", "member", {"member": "type", "value": SECRET}),
    ("user", "member", {"member": "siteIds", "value": [["secret"]]}),
    ("site", "member", {"member": "active", "value": "secret"}),
] + [
    (kind, fault, {})
    for kind in KINDS
    for fault in (
        "missing_member",
        "long_name",
        "nul_byte",
        "lone_surrogate",
        "invalid_utf8",
        "huge_integer",
    )
]


@pytest.mark.parametrize(("kind", "fault", "args"), BROKEN)
def test_a_broken_record_is_set_aside_and_its_neighbours_are_whole(
    vendor: Vendor, kind: str, fault: str, args: dict[str, Any]
) -> None:
    sound = vendor.client.page(kind, None, 10).items
    vendor.play(fault, **args)
    items = vendor.client.page(kind, None, 10).items
    broken = items[0]
    assert isinstance(broken, Broken)
    # The fault writes its page in other bytes, so records are compared, not their checksums.
    assert [item.record for item in items[1:]] == [item.record for item in sound[1:]]
    assert isinstance(sound[0], Whole)
    assert broken.vendor_id == sound[0].record.id or broken.vendor_id == place_name(None)
    assert 0 < len(broken.reason) <= 255
    assert "secret" not in broken.reason.lower()
    assert "Haddad" not in broken.reason


@pytest.mark.parametrize(
    ("kind", "member", "value", "where"),
    [
        ("note", "status", SECRET, "$.status"),
        ("user", "type", "a - at `$.status`", "$.type"),
        ("note", "fields", [{"name": "Notes", "type": SECRET}], "$.fields[0].type"),
    ],
)
def test_the_reason_names_the_member_and_never_its_value(
    vendor: Vendor, kind: str, member: str, value: Any, where: str
) -> None:
    vendor.play("member", member=member, value=value)
    broken = vendor.client.page(kind, None, 10).items[0]
    assert isinstance(broken, Broken)
    assert broken.reason == f"Unknown value - at `{where}`"


def test_who_is_born_today_is_a_student_wherever_it_is_today(vendor: Vendor) -> None:
    for hours, kept in ((-24, True), (0, True), (13, True), (48, False)):
        day = (utcnow() + timedelta(hours=hours)).date().isoformat()
        vendor.play("member", member="dateOfBirth", value=day)
        item = vendor.client.page("student", None, 10).items[0]
        assert isinstance(item, Whole) is kept


def nested(levels: int) -> Any:
    value: Any = "deep"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [nested(9), nested(450), {"latitude": 10**400, "longitude": 0}, 10**400, [{"a": nested(9)}]],
)
def test_a_field_whose_value_nobody_can_walk_through_is_broken(vendor: Vendor, value: Any) -> None:
    fields = [{"name": "Location", "type": "location", "value": value}]
    vendor.play("member", member="fields", value=fields)
    broken = vendor.client.page("note", None, 10).items[0]
    assert isinstance(broken, Broken)
    assert broken.vendor_id == "note-1"


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (rb"\ud83d\ude00", "\U0001f600"),
        (rb"\\ud800", r"\ud800"),
        (rb"\\\\ud800\"", r"\\ud800" + '"'),
    ],
)
def test_whole_surrogate_pairs_and_what_only_looks_like_half_of_one_are_text(
    written: bytes, name: str
) -> None:
    page = b'{"items":[{"id":"a","name":"%b","active":true,"modifiedAt":"2026-01-01T00:00:00Z"},'
    page += b'{"id":"b","name":"\\uDC00","active":true,"modifiedAt":"2026-01-01T00:00:00Z"}],'
    page += b'"cursor":"next","hasMore":false}'

    def answer(environ: Any, start: Any) -> list[bytes]:
        start("200 OK", [("Content-Type", "application/json")])
        return [page % written]

    with DataCollection(SETTINGS, transport=httpx2.WSGITransport(app=answer)) as client:
        whole, broken = client.page("site", None, 10).items
    assert isinstance(whole, Whole)
    assert whole.record.name == name
    assert broken == Broken("b", "holds a NUL character or half a surrogate pair")


def test_members_that_nobody_knows_are_ignored(vendor: Vendor) -> None:
    for kind in KINDS:
        vendor.play("member", member="mood", value={"of": ["the", "day"]}, index=None)
        assert not any(
            isinstance(item, Broken) for item in vendor.client.page(kind, None, 10).items
        )
