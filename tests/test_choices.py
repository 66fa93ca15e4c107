"""What a row's drop-down offers: twenty at a time, free ones first, found by what people type."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import NamedTuple

import pytest
from werkzeug.security import generate_password_hash

from demo.host.models import Login
from demo.host.seed import PASSWORD
from ensora_plugin.models import Student, User
from tests.opened import open_small
from tests.practices import Practice
from tests.small import ACCOUNT, Small
from tests.window import PREFIX, Person, record

#: Clients who bear the student's last name, more than a list holds.
NAMESAKES = 25
EVERYTHING = "admin view map render report audit create_client edit_client"


class Choice(NamedTuple):
    """An option as a person reads it; `id` is empty where it cannot be chosen."""

    name: str
    sub: str
    id: str


def family() -> Small:
    small = Small()
    small.agency()
    small.site()
    # In alphabet's order the two that map come first.
    for name in ("Aa Stone", "Ab Stone"):
        small.client(name, "2015-05-05")
        small.student(name, "2015-05-05")
    for number in range(NAMESAKES):
        small.client(f"C{number:02} Stone", f"2014-01-{number + 1:02}")
    small.client("Zed Quartz", "2013-03-14")
    small.student("Mina Stone", "2010-10-10")
    small.staff("Jo Keller", "jo@clinic.example")
    small.staff("Sam Ortiz", "s.ortiz@clinic.example")
    small.user("Jo Keller", "jo@clinic.example")
    small.user("Ann Nobody", "ann@clinic.example")
    return small


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Practice]:
    folder: Path = tmp_path_factory.mktemp("choices")
    with open_small(f"sqlite:///{folder / 'host.db'}", family()) as practice:
        ada = Login(account_id=ACCOUNT, name="ada", permissions=EVERYTHING, all_agencies=True)
        ada.password_hash = generate_password_hash(PASSWORD)
        practice.session.add(ada)
        practice.session.commit()
        practice.run()
        with practice.outside():
            yield practice


def offered(practice: Practice, slug: str, row: int, search: str = "") -> list[Choice]:
    answer = Person(practice.app, "ada").http.get(
        f"{PREFIX}/{slug}/{row}/options", query_string={"q": search}
    )
    assert answer.status_code == 200
    found = []
    for option in re.findall(r'<li class="e-option" (.*?)</li>', answer.text, re.S):
        name, sub = (
            unescape(re.sub(r"<[^>]+>", "", re.search(rf'"{part}">(.*?)</span>', option)[1]))
            for part in ("e-who", "e-sub")
        )
        vals = re.search(r'"host_id": "(\d+)"', unescape(option))
        assert (vals is None) == ('aria-disabled="true"' in option)
        found.append(Choice(name, sub, vals[1] if vals else ""))
    return found


@pytest.fixture(scope="module")
def mina(practice: Practice) -> int:
    return record(practice, "clients", Student.first_name == "Mina").id


def test_twenty_are_offered_by_the_records_own_name(practice: Practice, mina: int) -> None:
    found = offered(practice, "clients", mina)
    assert [one.name for one in found] == [f"C{number:02} Stone" for number in range(20)]
    assert all(one.id for one in found)
    assert found[0].sub == "born 1 Jan 2014 · Northside"


def test_free_ones_come_first_and_who_took_the_others_is_said(
    practice: Practice, mina: int
) -> None:
    found = offered(practice, "clients", mina, "a")
    assert [(one.name, one.id) for one in found] == [("Aa Stone", ""), ("Ab Stone", "")]
    assert [one.sub.split(" · ")[-1] for one in found] == ["taken by Aa Stone", "taken by Ab Stone"]
    # The list of a mapped record: its own entity is free for it, and the taken one comes last.
    own = record(practice, "clients", Student.first_name == "Aa").id
    assert [(one.name, bool(one.id)) for one in offered(practice, "clients", own, "a")] == [
        ("Aa Stone", True),
        ("Ab Stone", False),
    ]


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("zed", "Zed Quartz"),
        ("QUARTZ", "Zed Quartz"),
        ("Quartz, Zed", "Zed Quartz"),
        ("zed q", "Zed Quartz"),
        ("14 Mar 2013", "Zed Quartz"),
        ("2013-03-14", "Zed Quartz"),
        (str(3 + NAMESAKES), "Zed Quartz"),
        ("7", "C04 Stone"),
    ],
)
def test_a_client_is_found_by_name_birth_date_and_number(
    practice: Practice, mina: int, typed: str, name: str
) -> None:
    assert [one.name for one in offered(practice, "clients", mina, typed)] == [name]


@pytest.mark.parametrize("typed", ["s.ortiz", "S.ORTIZ@clinic.example", "ortiz", "2"])
def test_staff_are_found_by_email_name_and_number(practice: Practice, typed: str) -> None:
    user = record(practice, "staff", User.first_name == "Ann").id
    assert offered(practice, "staff", user, typed) == [
        Choice("Sam Ortiz", "s.ortiz@clinic.example", "2")
    ]


def test_staff_who_are_taken_say_by_whom(practice: Practice) -> None:
    user = record(practice, "staff", User.first_name == "Ann").id
    assert [(one.name, one.id) for one in offered(practice, "staff", user)] == [
        ("Sam Ortiz", "2"),
        ("Jo Keller", ""),
    ]
    (jo,) = offered(practice, "staff", user, "jo@")
    assert jo.sub == "jo@clinic.example · taken by Jo Keller"


def test_an_option_says_what_it_has_in_common_with_the_record(
    practice: Practice, mina: int
) -> None:
    def said(slug: str, row: int, search: str) -> list[str]:
        query = {"q": search}
        address = f"{PREFIX}/{slug}/{row}/options"
        page = Person(practice.app, "ada").http.get(address, query_string=query).text
        return re.findall(r'e-agrees">(.*?)</span>', page)

    assert said("clients", mina, "zed") == []
    assert said("clients", mina, "aa") == ["last name agrees"]
    jo = record(practice, "staff", User.first_name == "Jo").id
    assert said("staff", jo, "jo@") == ["first name, last name and email agree"]


@pytest.mark.parametrize("typed", ["nobody at all", "999", "%", "_"])
def test_what_nobody_bears_offers_nobody(practice: Practice, mina: int, typed: str) -> None:
    assert offered(practice, "clients", mina, typed) == []


def test_what_may_be_done_instead_stands_below_and_to_create_last(
    practice: Practice, mina: int
) -> None:
    page = Person(practice.app, "ada").get(f"{PREFIX}/clients/{mina}/options").text
    verbs = re.findall(r'e-verb".*?>([^<]+)</li>', page)
    assert verbs == ["Ignore this student…", "Create a client from this student…"]
    assert page.rindex("e-who") < page.index("e-verb")
