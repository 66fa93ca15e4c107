"""What the window has to do with the host around it: the button that leads to it, the layout that
it stands in, and the way back from the host's create pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from jinja2 import ChoiceLoader, DictLoader
from sqlalchemy import delete, select, update

from demo.data import World
from demo.host.models import Login, db
from ensora_plugin import Ensora
from ensora_plugin.kinds import BY_SLUG
from ensora_plugin.models import Connection, Mapping, Site, User
from tests.practices import Practice
from tests.window import PREFIX, Person, open_window, record

BUTTON = f'href="{PREFIX}/"'


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory, small_world: World) -> Iterator[Practice]:
    folder: Path = tmp_path_factory.mktemp("in_host")
    with open_window(f"sqlite:///{folder / 'host.db'}", small_world) as practice:
        practice.app.extensions["host_menu"]["settings"].append(
            lambda: ("Synchronization", "", f"{PREFIX}/", Ensora().available())
        )
        yield practice


def change(practice: Practice, statement: Any) -> None:
    with practice.app.app_context():
        practice.session.execute(statement)
        practice.session.commit()


def has_button(practice: Practice, name: str) -> bool:
    return BUTTON in Person(practice.app, name).get("/settings/").text


def test_the_button_is_for_who_may_look_or_connect(practice: Practice) -> None:
    eve = Login.name == "eve"
    assert has_button(practice, "ada")
    assert has_button(practice, "cy")
    with practice.app.app_context():
        before = db.session.scalar(select(Login.permissions).where(eve))
    for permissions, shown in (
        ("map render report audit create_client edit_client", False),
        ("view", True),
        ("admin", True),
        ("", False),
        (before, True),
    ):
        change(practice, update(Login).where(eve).values(permissions=permissions))
        assert has_button(practice, "eve") is shown, permissions


def test_an_account_without_the_feature_has_no_button_and_no_window(practice: Practice) -> None:
    account = Connection.account
    change(practice, update(Connection).where(account == "harbor-kids").values(account="other"))
    try:
        assert not has_button(practice, "eve")
        assert has_button(practice, "ada")
        assert Person(practice.app, "eve").get(f"{PREFIX}/clients/").status_code == 404
    finally:
        change(practice, update(Connection).where(account == "other").values(account="harbor-kids"))
    assert has_button(practice, "eve")


def test_nobody_who_is_not_signed_in_has_the_button(practice: Practice) -> None:
    with practice.app.test_request_context("/"):
        assert not Ensora().available()


def test_a_page_holds_no_inline_code_and_lets_none_run(practice: Practice) -> None:
    ada = Person(practice.app, "ada")
    for path in ("/agencies/", "/clients/", "/settings/", "/runs/", "/reports/clients/"):
        answer = ada.get(PREFIX + path)
        assert answer.status_code == 200
        scripts = re.findall(r"<script\b([^>]*)>(.*?)</script>", answer.text, re.S)
        assert scripts
        assert all("src=" in attributes and not code for attributes, code in scripts)
        assert not re.search(r"<style\b|\sstyle=|\son\w+=|javascript:", answer.text)
        assert "script-src 'self';" in answer.headers["Content-Security-Policy"]


def test_a_layout_of_the_host_runs_its_own_code_by_the_nonce_of_the_answer(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = """<!doctype html><title>{% block title %}{% endblock %}</title>
    {% block head %}{% endblock %}<script nonce="{{ csp_nonce() }}">1</script>
    <style nonce="{{ csp_nonce() }}"></style>{% block content %}{% endblock %}"""
    own = DictLoader({"scripted.html": layout})
    loader = ChoiceLoader([own, practice.app.jinja_env.loader])
    monkeypatch.setattr(practice.app.jinja_env, "loader", loader)
    monkeypatch.setattr(type(practice.state.host), "base_template", "scripted.html")
    ada, given = Person(practice.app, "ada"), set()
    for _ in range(2):
        answer = ada.get(f"{PREFIX}/clients/")
        (nonce,) = set(re.findall(r'nonce="([^"]+)"', answer.text))
        policy = answer.headers["Content-Security-Policy"]
        assert f"script-src 'self' 'nonce-{nonce}'" in policy
        assert f"style-src 'self' 'nonce-{nonce}'" in policy
        given.add(nonce)
    assert len(given) == 2


def filled(page: str) -> dict[str, Any]:
    """What a browser would send of a form as it is filled in."""

    def said(tag: str, name: str) -> str:
        found = re.search(rf'\s{name}="([^"]*)"', tag)
        return unescape(found[1]) if found else ""

    form = page.split('<main id="main"')[1]
    sent: dict[str, Any] = {}
    for tag in re.findall(r"<input\b[^>]*>", form):
        if said(tag, "type") != "checkbox" or re.search(r"\schecked\b", tag):
            sent[said(tag, "name")] = said(tag, "value") or ("y" if "checkbox" in tag else "")
    for tag, options in re.findall(r"(<select\b[^>]*>)(.*?)</select>", form, re.S):
        chosen = [
            said(one, "value") for one in re.findall(r"<option\b[^>]*\sselected[^>]*>", options)
        ]
        sent[said(tag, "name")] = chosen
    sent.pop("csrf_token")
    return sent


@pytest.mark.parametrize(
    ("slug", "where", "typed", "said"),
    [
        (
            "agencies",
            Site.name == "Northside Clinic",
            # That name is taken by the agency to which the site was mapped.
            {"name": "Northside Annex", "time_zone": "America/New_York"},
            "Agency created and mapped.",
        ),
        ("staff", User.why == "no_such_staff", {}, "Staff created and mapped."),
    ],
)
def test_what_the_hosts_page_creates_of_a_row_is_mapped_to_it(
    practice: Practice, slug: str, where: Any, typed: dict[str, str], said: str
) -> None:
    ada, row = Person(practice.app, "ada"), record(practice, slug, where)
    kind = BY_SLUG[slug]
    own = (Mapping.kind == kind.name, Mapping.vendor_id == row.vendor_id)
    change(practice, delete(Mapping).where(*own))
    answer = ada.get(f"{PREFIX}/{slug}/{row.id}/create")
    assert answer.status_code == 302, answer.text
    page = answer.headers["Location"]
    form = filled(ada.get(page).text)
    # The host's own page knows what the row knows.
    names = ("name",) if slug == "agencies" else ("first_name", "last_name", "email")
    assert [form[name] for name in names] == [getattr(row, name) for name in names]
    saved = ada.post(page, page=page, **form | typed)
    assert saved.status_code == 302, saved.text
    back = saved.headers["Location"]
    created = re.search(r"[?&]created=(\d+)$", back)
    assert created, back
    assert ada.get(back).headers["Location"] == f"{PREFIX}/{slug}/?show=to-map"
    with practice.app.app_context():
        mapping = practice.session.scalars(select(Mapping).where(*own)).one()
        assert (mapping.host_id, mapping.state, mapping.by) == (created[1], "user", "ada")
    assert said in ada.get(f"{PREFIX}/{slug}/?show=to-map").text
