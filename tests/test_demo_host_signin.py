"""Signing in and out of the demo host, its headers, and who is let in."""

from __future__ import annotations

import pytest
from flask import Flask

from demo.host.access import own_path, with_value
from demo.host.models import Login, db
from tests.practice import Browser, open_practice


@pytest.fixture
def app() -> Flask:
    return open_practice()


def cookie(browser: Browser) -> str:
    found = browser.http.get_cookie("practice_admin")
    assert found is not None
    return found.value


def test_a_stranger_is_led_to_the_sign_in_page_and_then_to_the_page_asked_for(app: Flask) -> None:
    browser = Browser(app)
    answer = browser.get("/clients/?search=Amir")
    assert answer.headers["Location"] == "/login?next=/clients/?search%3DAmir"
    answer = browser.post("/login", page="/login", name="ada", password="demo", next="/staff/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/staff/")


@pytest.mark.parametrize(("name", "password"), [("ada", "wrong"), ("nobody", "demo"), ("", "")])
def test_a_wrong_name_or_password_reads_alike(app: Flask, name: str, password: str) -> None:
    answer = Browser(app).sign_in(name, password)
    assert answer.status_code == 401
    assert "Name or password is wrong." in answer.text


def test_a_form_without_a_token_is_refused(app: Flask) -> None:
    browser = Browser(app, "ada")
    for path in ("/login", "/logout", "/clients/new/", "/appointments/1/cancel"):
        assert browser.http.post(path, data={"name": "ada"}).status_code == 400
    assert browser.get("/clients/").status_code == 200


def test_the_session_of_before_the_sign_in_is_dropped(app: Flask) -> None:
    browser = Browser(app)
    with browser.http.session_transaction() as session:
        session["planted"] = "by a stranger"
    browser.sign_in("ada")
    with browser.http.session_transaction() as session:
        assert "planted" not in session
        assert session["_user_id"] == "1.0"


def test_a_copied_cookie_is_dead_after_the_sign_out(app: Flask) -> None:
    browser, thief = Browser(app, "ada"), Browser(app)
    thief.http.set_cookie("practice_admin", cookie(browser))
    assert thief.get("/clients/").status_code == 200
    assert browser.post("/logout").headers["Location"] == "/login"
    for one in (browser, thief):
        assert one.get("/clients/").status_code == 302


def test_a_disabled_login_is_out_at_once_and_cannot_come_back(app: Flask) -> None:
    browser = Browser(app, "ada")
    with app.app_context():
        db.session.get_one(Login, 1).active = False
        db.session.commit()
    assert browser.get("/clients/").status_code == 302
    assert Browser(app).sign_in("ada").status_code == 401


@pytest.mark.parametrize("id", ["1", "1.", "x.0", "1.1", "77.0", "1.0.0", "-1.0"])
def test_a_made_up_identity_is_nobody(app: Flask, id: str) -> None:
    browser = Browser(app)
    with browser.http.session_transaction() as session:
        session["_user_id"] = id
    assert browser.get("/clients/").status_code == 302


STRANGE = [
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https://evil.example",
    "https:evil.example",
    "javascript:alert(1)",
    "evil.example",
    "@evil.example",
    " //evil.example",
    "/\t/evil.example",
    "/clients\r\nX: y",
    "/\x00",
    "",
    "/" + "a" * 3000,
]


@pytest.mark.parametrize("target", STRANGE)
def test_only_own_paths_are_followed(app: Flask, target: str) -> None:
    assert own_path(target) is None
    browser = Browser(app)
    answer = browser.post("/login", page="/login", name="ada", password="demo", next=target)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")


@pytest.mark.parametrize("target", ["/", "/clients/?search=a%2Fb&page=2", "/a/%2f%2fb#c"])
def test_an_own_path_is_followed_as_it_is(target: str) -> None:
    assert own_path(target) == target


def test_a_value_is_put_into_the_query_of_a_path() -> None:
    assert with_value("/a?b=1&created=2&c=#d", "created", "7") == "/a?b=1&c=&created=7#d"


def test_every_response_carries_the_policy_and_the_cookie_is_kept_from_scripts(app: Flask) -> None:
    browser = Browser(app)
    answers = [browser.get(path) for path in ("/login", "/nowhere", "/static/host.css")]
    answers.append(browser.sign_in("ada"))
    for answer in answers:
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        answer.close()
    set_cookie = answers[-1].headers["Set-Cookie"]
    assert "HttpOnly" in set_cookie
    assert "SameSite=Lax" in set_cookie
