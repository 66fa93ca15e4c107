"""`flask ensora ...`: what each command does and says, with and without --json, and its errors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import httpx2
import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import select, text

from demo.data import World
from demo.host import create_app as create_demo
from demo.host.adapter import DemoHost
from demo.host.models import Appointment, Client, Staff, db
from demo.host.seed import seed
from demo.settings import write_settings_file
from demo.vendor.app import create_app as create_emulator
from demo.vendor.store import Store
from ensora_plugin import Ensora
from ensora_plugin.cli import ensora_cli
from ensora_plugin.connecting import activated, token_of
from ensora_plugin.plugin import state_of
from ensora_plugin.runs.runs import create_run
from tests.practices import CONFIG

ROOT = Path(__file__).parents[1]
ACCOUNT, ADMIN, PASSWORD = "bright-steps", "admin@brightsteps.example", "admin-demo"
CONNECT = ("connect", ACCOUNT, "--username", ADMIN)


@dataclass
class Desk:
    """A host with the plugin mounted, an emulator in process, and a terminal."""

    folder: Path
    app: Flask
    store: Store

    def __call__(self, *words: str, said: str = "") -> Result:
        return self.app.test_cli_runner().invoke(args=["ensora", *words], input=said)

    def json(self, *words: str, said: str = "") -> dict[str, Any]:
        result = self(*words, "--json", said=said)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def fails(self, *words: str, said: str = "") -> tuple[str, str]:
        """Run a command that has to fail, both ways; return the code and the words."""
        plain, machine = self(*words, said=said), self(*words, "--json", said=said)
        assert (plain.exit_code, machine.exit_code) == (1, 1)
        told = json.loads(machine.stdout)
        assert plain.stdout == ""
        assert plain.stderr == f"Error: {told['message']}\n"
        return told["error"], told["message"]


Open = Callable[..., Desk]


@pytest.fixture
def open_desk(tmp_path: Path, world: World) -> Iterator[Open]:
    store = Store(":memory:")
    store.fill(world.organizations)
    apps: list[Flask] = []

    def open_it(host: Any = None, transport: Any = None, **config: Any) -> Desk:
        url = f"sqlite:///{tmp_path / 'host.db'}"
        app = create_demo({**CONFIG, "SQLALCHEMY_DATABASE_URI": url, **config})
        with app.app_context():
            seed(db.session(), world)
        transport = transport or httpx2.WSGITransport(app=create_emulator(store))
        Ensora().init_app(app, host or DemoHost(), transport=transport)
        apps.append(app)
        return Desk(tmp_path, app, store)

    yield open_it
    for app in apps:
        with app.app_context():
            db.engine.dispose()
    store.close()


@pytest.fixture
def bare(open_desk: Open) -> Desk:
    """The plugin is mounted; its tables are not there yet."""
    return open_desk()


@pytest.fixture
def active(bare: Desk) -> Desk:
    assert bare("upgrade").exit_code == 0
    assert bare("activate", ACCOUNT).exit_code == 0
    return bare


@pytest.fixture
def connected(active: Desk) -> Desk:
    assert active(*CONNECT, said=f"{PASSWORD}\n").exit_code == 0
    return active


def test_upgrade_says_whether_it_did_anything(bare: Desk) -> None:
    assert bare("upgrade").output == "The plugin's tables were brought up to date.\n"
    assert bare("upgrade").output == "Nothing to do.\n"
    assert bare.json("upgrade") == {"changed": False}


def test_make_key_prints_a_key_that_the_settings_take(bare: Desk, open_desk: Open) -> None:
    first, second = (bare("make-key").output.strip() for _ in range(2))
    assert first != second
    assert open_desk(ENSORA_KEYS=f"{first},{second}")("upgrade").exit_code == 0


def test_activate_says_whether_it_did_anything(active: Desk) -> None:
    assert active("activate", ACCOUNT).output == "It was active already.\n"
    assert active("activate", "harbor-kids").output == (
        "Synchronization is activated for harbor-kids.\n"
    )
    assert active.json("activate", ACCOUNT) == {"account": ACCOUNT, "changed": False}


def test_connect_reads_the_password_from_standard_input(active: Desk) -> None:
    result = active(*CONNECT, said=f"{PASSWORD}\n")
    assert result.output == "bright-steps is connected to Bright Steps ABA.\n"
    told = active.json(*CONNECT, said=f"{PASSWORD}\n")
    assert told == {"account": ACCOUNT, "organization": "org-bright-steps"}


def test_password_and_token_stand_nowhere_in_the_database(connected: Desk) -> None:
    with connected.app.app_context():
        state = state_of(connected.app)
        token = token_of(activated(state.session, ACCOUNT), state.sealer)
    held = b"".join(path.read_bytes() for path in connected.folder.iterdir())
    assert ADMIN.encode() in held
    assert PASSWORD.encode() not in held
    assert len(token) > 16
    assert token.encode() not in held


def test_pull_automap_and_render_say_what_they_did(connected: Desk, world: World) -> None:
    notes = len(world.organizations[0]["notes"])
    lines = connected("pull", ACCOUNT).output.splitlines()
    assert lines[0] == "Sites: 6 fetched, 6 new, 0 changed, 0 unchanged, 0 set aside."
    assert lines[3] == f"Session notes: {notes} fetched, {notes} new, 0 changed, 0 unchanged, " + (
        "0 set aside."
    )
    assert lines[4].startswith("Done in ")
    mapped = sum(told.host_id is not None for told in world.truth[ACCOUNT].notes.values())
    assert connected.json("automap", ACCOUNT)["kinds"]["note"]["mapped"] == mapped
    numbers = connected.json("render", ACCOUNT)["kinds"]["note"]
    assert numbers["rendered"] + numbers["refused"] == mapped
    for step in ("pull", "automap", "render"):
        assert connected(step, ACCOUNT).output.splitlines()[-1] == "Nothing changed."


def test_status_tells_where_accounts_stand(bare: Desk) -> None:
    bare("upgrade")
    assert bare("status").output == "No account is activated.\n"
    bare("activate", ACCOUNT)
    bare("activate", "harbor-kids")
    bare(*CONNECT, said=f"{PASSWORD}\n")
    bare("pull", ACCOUNT)
    everything = bare("status").output
    assert "bright-steps: connected to Bright Steps ABA\n" in everything
    assert "harbor-kids: activated\n" in everything
    (one,) = bare.json("status", ACCOUNT)["accounts"]
    assert (one["account"], one["state"], one["failures"]) == (ACCOUNT, "connected", 0)
    site = one["kinds"][0]
    assert (site["kind"], site["pulled"], site["to_map"]) == ("site", 6, 6)


def test_check_finds_nothing_wrong_with_the_demo(active: Desk) -> None:
    assert active("check").output == "Settings, database and host adapter are fine.\n"
    assert active.json("check", "--account", "harbor-kids") == {"ok": True}


def test_every_command_can_speak_to_a_script() -> None:
    groups = [ensora_cli, *(c for c in ensora_cli.commands.values() if isinstance(c, click.Group))]
    without = [
        name
        for group in groups
        for name, command in group.commands.items()
        if not isinstance(command, click.Group)
        and "as_json" not in [parameter.name for parameter in command.params]
    ]
    assert len(groups) == 2
    assert without == ["make-key"]


@pytest.mark.parametrize(
    "words",
    [
        ("activate", ACCOUNT),
        CONNECT,
        ("pull", ACCOUNT),
        ("automap", ACCOUNT),
        ("render", ACCOUNT),
        ("status",),
        ("check",),
        ("audit", "verify"),
    ],
    ids=lambda words: words[0],
)
def test_a_database_that_is_not_migrated_is_told(bare: Desk, words: tuple[str, ...]) -> None:
    code, told = bare.fails(*words)
    assert code == "not_migrated"
    assert told.endswith("Run `flask ensora upgrade`.")


@pytest.mark.parametrize("command", ["connect", "pull", "automap", "render", "status"])
def test_an_account_that_is_not_activated_is_told(active: Desk, command: str) -> None:
    name = ("--username", ADMIN) if command == "connect" else ()
    code, told = active.fails(command, "harbor-kids", *name)
    assert code == "needs_connection"
    assert told == (
        "Synchronization is not activated for the account 'harbor-kids'; "
        "`flask ensora activate` does it."
    )


def test_a_pull_of_an_account_that_is_not_connected_is_told(active: Desk) -> None:
    code, told = active.fails("pull", ACCOUNT)
    assert code == "needs_connection"
    assert told == "The account is not connected to Ensora Data Collection."
    assert "failed, 2 in a row" in active("status").output


def test_a_wrong_password_is_told_and_never_repeated(active: Desk) -> None:
    code, told = active.fails(*CONNECT, said="not-the-password\n")
    assert code == "wrong_credentials"
    assert told == "Ensora Data Collection does not accept this user name and password."
    assert active.json("status", ACCOUNT)["accounts"][0]["state"] == "activated"


def test_a_password_that_is_not_there_is_told_before_the_vendor_is_asked(active: Desk) -> None:
    assert active.fails(*CONNECT) == ("no_password", "No password came on standard input.")


def test_a_vendor_user_who_is_no_admin_is_told(active: Desk) -> None:
    therapist = ("connect", ACCOUNT, "--username", "therapist@brightsteps.example")
    code, told = active.fails(*therapist, said="therapist-demo\n")
    assert code == "not_an_admin"
    assert "needs an Admin of both systems" in told


def test_a_vendor_that_cannot_be_reached_is_told(active: Desk, open_desk: Open) -> None:
    away = open_desk(transport=httpx2.HTTPTransport(), ENSORA_TRIES="1")
    code, told = away.fails(*CONNECT, said=f"{PASSWORD}\n")
    assert code == "vendor_unreachable"
    assert told.startswith("Ensora Data Collection cannot be reached. Look at the network and at")


def test_an_organization_of_another_account_is_told(connected: Desk) -> None:
    connected("activate", "harbor-kids")
    other = ("connect", "harbor-kids", "--username", ADMIN)
    code, told = connected.fails(*other, said=f"{PASSWORD}\n")
    assert code == "organization_taken"
    assert "is connected to another account already" in told


def test_a_token_that_was_revoked_is_told(connected: Desk) -> None:
    with connected.app.app_context():
        state = state_of(connected.app)
        with state.vendor(activated(state.session, ACCOUNT)) as vendor:
            vendor.revoke()
    result = connected("pull", ACCOUNT)
    assert result.exit_code == 1
    assert "refuses the token: the account needs to be connected again" in result.stderr
    assert connected.json("status", ACCOUNT)["accounts"][0]["state"] == "lost"


def test_a_pull_beside_another_one_is_told(connected: Desk) -> None:
    with connected.app.app_context():
        session = state_of(connected.app).session
        account_id = activated(session, ACCOUNT).id
        create_run(session, account_id, cause="person", by="ada")
    code, told = connected.fails("pull", ACCOUNT)
    assert code == "busy"
    assert told.startswith("A pull of this account is under way")


def test_a_missing_key_is_told(active: Desk, open_desk: Open) -> None:
    keyless = open_desk(ENSORA_KEYS="")
    code, told = keyless.fails(*CONNECT, said=f"{PASSWORD}\n")
    assert code == "sealed"
    assert told.startswith("ENSORA_KEYS is not set; `flask ensora make-key` prints a key")
    code, told = keyless.fails("check")
    assert code == "wrong_adapter"
    assert "ENSORA_KEYS is not set" in told


def test_a_database_that_fails_is_told_without_its_message(connected: Desk) -> None:
    with connected.app.app_context():
        refuse = "BEGIN SELECT RAISE(ABORT, 'Ann Example was here'); END"
        db.session.execute(text(f"CREATE TRIGGER refuse BEFORE INSERT ON ensora_site {refuse}"))
        db.session.commit()
    code, told = connected.fails("pull", ACCOUNT)
    assert code == "database"
    assert told.startswith("The database failed: IntegrityError SQLITE_CONSTRAINT_TRIGGER.")


class WrongHost(DemoHost):
    """Everything that a host may get wrong with a SELECT."""

    def agencies(self, account: str) -> Any:
        return super().agencies(account).order_by("name")

    def clients(self, account: str) -> Any:
        return select(Client.id, Client.first_name)

    def staff(self, account: str) -> Any:
        return select(
            *(Staff.id, Staff.first_name, Staff.last_name, Staff.email),
            Staff.last_name.label("active"),
        )

    def staff_agencies(self, account: str) -> Any:
        return "SELECT staff_id, agency_id FROM staff_agency"

    def appointments(self, account: str) -> Any:
        return select(Appointment).limit(5)


def test_everything_that_is_wrong_with_an_adapter_is_told_at_once(
    active: Desk, open_desk: Open
) -> None:
    code, told = open_desk(host=WrongHost()).fails("check")
    assert code == "wrong_adapter"
    for fault in (
        "WrongHost.agencies(): has an ORDER BY",
        "WrongHost.clients(): lacks the labels last_name, date_of_birth, agency_id, active",
        "WrongHost.staff(): active is of type str; it has to be bool",
        "WrongHost.staff_agencies(): returns str; return an SQLAlchemy SELECT",
        "WrongHost.appointments(): has a LIMIT or OFFSET",
        "WrongHost.appointments(): lacks the labels time_zone, eligible, rendered",
    ):
        assert fault in told
    code, told = open_desk(host=object()).fails("check")
    assert "object.agencies() is missing" in told
    assert "object.base_template is missing" in told


def test_the_command_runs_as_a_process_of_its_own(tmp_path: Path, world: World) -> None:
    written = write_settings_file(tmp_path, ENSORA_VENDOR_URL="http://127.0.0.1:1")
    app = create_demo({"SQLALCHEMY_DATABASE_URI": written["SQLALCHEMY_DATABASE_URI"]})
    with app.app_context():
        seed(db.session(), world)
        db.engine.dispose()

    def flask(*words: str, said: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "flask", "--app", "wsgi", "ensora", *words]
        env = {**os.environ, "DEMO_DATA": str(tmp_path)}
        how: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 60}
        return subprocess.run(command, cwd=ROOT, env=env, input=said, check=False, **how)

    assert flask("status").returncode == 1
    assert flask("upgrade").stdout == "The plugin's tables were brought up to date.\n"
    assert flask("activate", ACCOUNT).returncode == 0
    assert flask("check").stdout == "Settings, database and host adapter are fine.\n"
    failed = flask(*CONNECT, said=f"{PASSWORD}\n")
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert failed.stderr.startswith("Error: Ensora Data Collection cannot be reached.")
    assert PASSWORD not in failed.stderr
