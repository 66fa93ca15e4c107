"""Which SOAP fields each template has: told by the notes that come, shown under Settings."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from html import unescape

import pytest
from sqlalchemy import func, select

from demo.data import build_world
from ensora_plugin.models import TemplateField
from ensora_plugin.pull.templates_seen import Template, templates_seen
from tests.opened import open_small
from tests.practices import Practice
from tests.small import ACCOUNT, DAY, ORGANIZATION, Small, draft
from tests.window import PREFIX, Person, open_window

#: As `draft` has it, and one that names its fields in other ways.
SOAP, GUARDIAN = "SOAP", "مع ولي الأمر " + "x" * 100
BARE = [{"name": "Mood", "type": "text", "value": "fine"}]


def names(*names: str) -> list[dict[str, object]]:
    return [{"name": name, "type": "text", "value": None} for name in names]


@pytest.fixture
def practice(database_url: str) -> Iterator[Practice]:
    small = Small()
    small.trio()
    small.note()
    small.note(template=GUARDIAN, fields=names("DATE:", "parent  name*", "Caregiver Signature"))
    small.note(template="Survey", fields=BARE)
    small.note(template="Never", fields=[], status="deleted")
    with open_small(database_url, small) as practice:
        practice.run(ACCOUNT, "pull")
        yield practice


def seen(practice: Practice) -> dict[str, Template]:
    found = templates_seen(practice.session, practice.account_id(ACCOUNT))
    return {template.name: template for template in found}


def there(template: Template) -> list[str]:
    return [field.words for field in template.fields if field.has]


def test_a_template_has_the_fields_that_its_notes_came_with(practice: Practice) -> None:
    found = seen(practice)
    # Those that miss nothing would come last; of the others the alphabet decides.
    assert [*found] == [SOAP, "Survey", GUARDIAN]
    own = ["Date", "Start Time", "End Time", "Notes", "Therapist Signature or Signature"]
    assert there(found[SOAP]) == [*own, "Location"]
    assert there(found[GUARDIAN]) == [
        "Date",
        "Guardian Name or Caregiver Name or Parent Name",
        "Guardian Signature or Caregiver Signature or Parent Signature",
    ]
    assert there(found["Survey"]) == []
    assert len(found[SOAP].missing) == 3
    assert len(found["Survey"].missing) == 9


def test_what_later_notes_add_is_added_and_nothing_is_kept_twice(practice: Practice) -> None:
    more = {"template": "Survey", "fields": [*BARE, *names("Notes", "Relationship")]}
    late = draft("15:00", "16:00", DAY, **more) | {"id": "note-late"}
    practice.store.publish_note(ORGANIZATION, late)
    practice.run(ACCOUNT, "pull")
    assert there(seen(practice)["Survey"]) == ["Notes", "Relationship"]
    assert len(there(seen(practice)[SOAP])) == 6
    twice = (
        select(TemplateField.template, TemplateField.meaning)
        .group_by(TemplateField.template, TemplateField.meaning)
        .having(func.count() > 1)
    )
    assert practice.session.execute(twice).all() == []


def test_the_page_says_what_is_missing_and_what_for(sqlite_url: str) -> None:
    with open_window(sqlite_url, build_world(notes=60, today=date(2026, 11, 20))) as practice:
        page = unescape(Person(practice.app, "ada").get(f"{PREFIX}/settings/templates").text)
    told = page.split("<article")[1:]
    assert len(told) == 3
    assert "<bdi>ABA Session Note</bdi>" in told[0]
    assert "3 missing" in told[0]
    assert "the guardian's relationship stays empty" in told[0]
    assert "All fields" in told[1]
    assert "All fields" in told[2]
