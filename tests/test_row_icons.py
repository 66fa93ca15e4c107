"""The icons of the Action column over kind, state and permission: which are active, and why the
others are not.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ensora_plugin.access import Scope
from ensora_plugin.host.port import ALL, PERMISSIONS, Actor
from ensora_plugin.kinds import KINDS, NOTE, SITE, STUDENT, USER, Kind
from ensora_plugin.listing.row_icons import icons_of

EVERYTHING = frozenset(PERMISSIONS)
NO_MAP = "You do not have the permission to map"
NOTHING = "Nothing to delete"
IGNORED = "This record is ignored; there is no mapping to delete"
ELSEWHERE = "It is mapped in another agency"
MAPPED = "It is mapped already"
NO_PAGE = "There is no page for this"


def automatic(noun: str) -> str:
    return f"Automatic mappings can't be deleted; choose another {noun} to replace it"


def reasons(
    kind: Kind,
    state: str | None,
    *,
    lacking: frozenset[str] = frozenset(),
    dependents: int = 0,
    within: bool = True,
    hidden: bool = False,
    pages: tuple[str, ...] = ("edit", "create"),
) -> dict[str, str | None]:
    """Symbol -> why the icon is disabled, None where it is active."""
    actor = Actor("1", "ada", ALL, EVERYTHING - lacking)
    host_id = "7" if state in ("auto", "user") else None
    row = SimpleNamespace(state=state, host_id=host_id, dependents=dependents, within=within)
    icons = icons_of(row, Scope.of(1, "a", actor), kind, pages, hidden=hidden)
    assert all(icon.enabled is (icon.reason is None) for icon in icons)
    return {icon.symbol: icon.reason for icon in icons}


@pytest.mark.parametrize("kind", [SITE, STUDENT, USER], ids=lambda kind: kind.name)
@pytest.mark.parametrize("lacks", ["", "map", "edit", "create", "page"])
@pytest.mark.parametrize("state", [None, "auto", "user", "ignored"])
def test_three_icons_of_a_named_kind(kind: Kind, state: str | None, lacks: str) -> None:
    noun = kind.entity_noun.lower()
    permission = {"map": "map", "": ""}.get(lacks, f"{lacks}_{kind.entity}")
    mapped = state in ("auto", "user")
    delete = {None: NOTHING, "auto": automatic(noun), "user": None, "ignored": IGNORED}[state]
    edit = None if mapped else f"There is no {noun} to edit yet"
    create = MAPPED if mapped else None
    if lacks == "map":
        delete = NO_MAP
    if lacks == "edit" and mapped:
        edit = f"You do not have the permission to edit {noun}"
    if lacks == "create" and not mapped:
        create = f"You do not have the permission to create {noun}"
    if lacks == "page":
        edit, create = edit or NO_PAGE, create or NO_PAGE
    told = reasons(
        kind,
        state,
        lacking=frozenset({permission}),
        pages=() if lacks == "page" else ("edit", "create"),
    )
    assert told == {"delete": delete, "edit": edit, "create": create}


@pytest.mark.parametrize(
    ("state", "lacking", "reason"),
    [
        (None, frozenset(), NOTHING),
        ("auto", frozenset(), automatic("appointment")),
        ("user", frozenset(), None),
        ("ignored", frozenset(), IGNORED),
        ("user", EVERYTHING - {"map"}, None),
        ("user", frozenset({"map"}), NO_MAP),
    ],
)
def test_a_session_note_has_delete_alone(
    state: str | None, lacking: frozenset[str], reason: str | None
) -> None:
    assert reasons(NOTE, state, lacking=lacking) == {"delete": reason}


@pytest.mark.parametrize(
    ("kind", "one", "more"),
    [
        (
            SITE,
            "1 client, staff or appointment is mapped from this agency",
            "31 clients, staff or appointments are mapped from this agency",
        ),
        (
            STUDENT,
            "1 appointment is mapped for this client",
            "31 appointments are mapped for this client",
        ),
        (
            USER,
            "1 appointment is mapped for this staff",
            "31 appointments are mapped for this staff",
        ),
    ],
    ids=["site", "student", "user"],
)
def test_what_depends_on_a_mapping_keeps_it(kind: Kind, one: str, more: str) -> None:
    assert reasons(kind, "user", dependents=1)["delete"] == one
    assert reasons(kind, "user", dependents=31)["delete"] == more
    # The rule about automatic ones comes before it.
    assert reasons(kind, "auto", dependents=31)["delete"] == automatic(kind.entity_noun.lower())


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("state", ["auto", "user"])
def test_a_mapping_of_another_agency_is_not_the_persons(kind: Kind, state: str) -> None:
    told = reasons(kind, state, within=False, hidden=True)
    assert told["delete"] == ELSEWHERE
    if kind is not NOTE:
        noun = kind.entity_noun.lower()
        assert told["edit"] == f"This {noun} is not yours to edit, or is gone"
        assert told["create"] == MAPPED
