"""`flask ensora ...`: the same use cases as the window's, for a terminal and for scripts."""

from __future__ import annotations

import base64
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from datetime import datetime
from functools import wraps
from typing import IO, TYPE_CHECKING, Any, NoReturn, cast
from urllib.parse import parse_qsl

import click
import msgspec
from flask import current_app
from flask.cli import AppGroup
from jinja2 import TemplateNotFound
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from .access import Scope
from .cli_text import numbers_of, rotated_lines, run_lines, status_lines, verified_line
from .clock import utcnow
from .connecting import activate, activated, connect
from .database import sqlstate
from .errors import EnsoraError, NeedsConnection, WrongAdapter
from .history import verify_history
from .host.adapter_check import adapter_faults, has_agencies
from .host.port import ALL, Actor
from .migrating import require_migrated, upgrade
from .models import Connection, Run, RunCount
from .reports.choice import Choice
from .reports.exporting import write_file
from .reports.files import FORMATS
from .reports.sides import Source
from .reports.spec import REPORTS, SIDES
from .rotating import missing_keys, no_key, rotate
from .runs.guard import agree, losses
from .runs.schedule import hasten
from .runs.sync import perform_now
from .window.overview import overview

if TYPE_CHECKING:
    from .plugin import State

#: How the history names a person at the command line.
OPERATOR = "command line"

ensora_cli = AppGroup("ensora", help="Synchronization with Ensora Data Collection.")

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for a script.")


def _state() -> State:
    from .plugin import state_of  # the wiring imports this module

    return state_of(current_app)


def _tell(as_json: bool, data: dict[str, Any], *lines: str) -> None:
    """Print one JSON document, or lines for people."""
    if as_json:
        click.echo(msgspec.json.encode(data).decode())
        return
    for line in lines:
        click.echo(line)


def _command(*, migrated: bool = True) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Say errors in words and end with 1; look first whether the database is migrated."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> None:
            try:
                if migrated:
                    require_migrated(_state().engine)
                function(*args, **kwargs)
            except EnsoraError as error:
                _give_up(kwargs.get("as_json", False), error.code, str(error))
            except DBAPIError as error:
                # Its own message may quote health data.
                text = f"The database failed: {sqlstate(error)}. Look at its address and its log."
                _give_up(kwargs.get("as_json", False), "database", text)

        return wrapped

    return decorate


def _give_up(as_json: bool, code: str, text: str) -> NoReturn:
    """End with 1 and say why, as JSON on standard output or in words on standard error."""
    if as_json:
        _tell(True, {"error": code, "message": text})
        sys.exit(1)
    raise click.ClickException(text) from None


@ensora_cli.command("upgrade")
@_json_option
@_command(migrated=False)
def upgrade_command(as_json: bool) -> None:
    """Bring the plugin's tables to this version."""
    changed = upgrade(_state().engine)
    text = "The plugin's tables were brought up to date." if changed else "Nothing to do."
    _tell(as_json, {"changed": changed}, text)


@ensora_cli.command("make-key")
def make_key_command() -> None:
    """Print a new key for ENSORA_KEYS; put it before the ones that are there."""
    identity = f"k{os.urandom(3).hex()}"
    click.echo(f"{identity}:{base64.b64encode(os.urandom(32)).decode()}")


@ensora_cli.command("rotate-keys")
@_json_option
@_command()
def rotate_keys_command(as_json: bool) -> None:
    """Seal with the first key of ENSORA_KEYS whatever another one sealed."""
    state = _state()
    rotated = rotate(state.session, state.sealer, by=OPERATOR)
    _tell(as_json, {"key": rotated.key, "sealed": rotated.done}, *rotated_lines(rotated))


@ensora_cli.group("audit")
def audit_group() -> None:
    """Look at the history of changes."""


@audit_group.command("verify")
@_json_option
@_command()
def audit_verify_command(as_json: bool) -> None:
    """Say for each account how many rows of its history hold, or which first row does not."""
    found = verify_history(_state().session)
    _tell(as_json, {"accounts": [asdict(one) for one in found]}, *map(verified_line, found))
    if any(one.broken for one in found):
        sys.exit(1)


@ensora_cli.command("activate")
@click.argument("account")
@click.option("--anyway", is_flag=True, help="Although the host has no agency of ACCOUNT yet.")
@_json_option
@_command()
def activate_command(account: str, anyway: bool, as_json: bool) -> None:
    """Give ACCOUNT the Synchronization feature."""
    state = _state()
    if not anyway and not has_agencies(state.host, state.session, account):
        raise NeedsConnection(
            f"The host has no agency of an account {account!r}. Look at the spelling, or add "
            "--anyway where its agencies come later.",
            code="unknown_account",
        )
    changed = activate(state.session, account, by=OPERATOR)
    text = f"Synchronization is activated for {account}." if changed else "It was active already."
    _tell(as_json, {"account": account, "changed": changed}, text)


@ensora_cli.command("connect")
@click.argument("account")
@click.option("--username", required=True, help="An Admin of Ensora Data Collection.")
@_json_option
@_command()
def connect_command(account: str, username: str, as_json: bool) -> None:
    """Connect ACCOUNT; the password is read from standard input and not kept."""
    state = _state()
    activated(state.session, account)
    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\n")
    if not password:
        raise NeedsConnection("No password came on standard input.", code="no_password")
    with state.vendor() as vendor:
        connection = connect(
            state.session,
            account,
            vendor,
            state.sealer,
            username=username,
            password=password,
            by=OPERATOR,
        )
    data = {"account": account, "organization": connection.organization_id}
    _tell(as_json, data, f"{account} is connected to {connection.organization_name}.")


def _run(account: str, step: str, as_json: bool) -> None:
    """Do one step of a run for an account, now, in this process."""
    state = _state()
    session = state.session
    account_id = activated(session, account).id
    done = perform_now(state.services(), account_id, step, by=OPERATOR)
    if not done:
        _tell(as_json, {"taken": True}, "A worker was quicker and does this run.")
        return
    run_id = done[-1]
    run = session.get_one(Run, run_id)
    counts = session.scalars(select(RunCount).where(RunCount.run_id == run_id)).all()
    seconds = (
        (run.ended_at - run.started_at).total_seconds() if run.ended_at and run.started_at else 0
    )
    data = {
        "run": run_id,
        "seconds": seconds,
        "kinds": {row.kind: numbers_of(row, step) for row in counts},
    }
    _tell(as_json, data, *run_lines(data, step))


@ensora_cli.command("pull")
@click.argument("account")
@_json_option
@_command()
def pull_command(account: str, as_json: bool) -> None:
    """Pull sites, students, users and session notes of ACCOUNT."""
    _run(account, "pull", as_json)


@ensora_cli.command("automap")
@click.argument("account")
@_json_option
@_command()
def automap_command(account: str, as_json: bool) -> None:
    """Map what was pulled for ACCOUNT."""
    _run(account, "automap", as_json)


@ensora_cli.command("render")
@click.argument("account")
@_json_option
@_command()
def render_command(account: str, as_json: bool) -> None:
    """Write mapped notes of ACCOUNT into their appointments and render them."""
    _run(account, "render", as_json)


@ensora_cli.command("agree")
@click.argument("account")
@_json_option
@_command()
def agree_command(account: str, as_json: bool) -> None:
    """Let ACCOUNT's mapping and rendering go on, which a pull that took much away holds up."""
    state = _state()
    account_id = activated(state.session, account).id
    found = losses(state.session, account_id, state.settings)
    agree(state.session, account_id, state.settings, by=OPERATOR, seen=None)
    hasten(state.session, account_id)
    state.session.commit()
    words = [loss.words for loss in found]
    _tell(as_json, {"account": account, "agreed": words}, *words, "Agreed; the next run goes on.")


@ensora_cli.command("status")
@click.argument("account", required=False)
@_json_option
@_command()
def status_command(account: str | None, as_json: bool) -> None:
    """Say where ACCOUNT stands, or every account."""
    session = _state().session
    if account is not None:
        activated(session, account)
    statement = select(Connection).order_by(Connection.account)
    if account is not None:
        statement = statement.where(Connection.account == account)
    reports = [_status(session, connection) for connection in session.scalars(statement).all()]
    lines = [line for report in reports for line in status_lines(report)]
    _tell(as_json, {"accounts": reports}, *(lines or ["No account is activated."]))


def _status(session: Any, connection: Connection) -> dict[str, Any]:
    return {
        "account": connection.account,
        "state": connection.state,
        "organization": connection.organization_name,
        "due_at": connection.due_at,
        "failures": connection.failures,
        "failing_since": connection.failing_since,
        "error": connection.error_text,
        "held_at": connection.held_at,
        "held": [loss.words for loss in losses(session, connection.id, _state().settings)]
        if connection.held_at
        else [],
        "kinds": [asdict(kind) for kind in overview(session, connection.id)],
    }


@ensora_cli.command("report")
@click.argument("report", type=click.Choice(list(REPORTS)))
@click.argument("account", required=False)
@click.option("--format", "form", type=click.Choice(list(FORMATS)), help="Default: csv.")
@click.option("--side", type=click.Choice(list(SIDES)), default="vendor", show_default=True)
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="First day of appointments.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="Last day of appointments.")
@click.option(
    "--choice", default="", help="What stands behind the ? in the address of the report's page."
)
@click.option("--output", type=click.Path(dir_okay=False), help="Default: standard output.")
@_json_option
@_command()
def report_command(
    report: str,
    account: str | None,
    form: str | None,
    side: str,
    since: datetime | None,
    until: datetime | None,
    choice: str,
    output: str | None,
    as_json: bool,
) -> None:
    """Write REPORT of ACCOUNT as a file; ACCOUNT may be left out where there is only one."""
    state = _state()
    connection = _one_account(state.session, account)
    actor = Actor("", OPERATOR, ALL, frozenset({"report"}))
    scope = Scope.of(connection.id, connection.account, actor)
    days = {"since": since, "until": until}
    asked = {"side": side} | {name: f"{day:%Y-%m-%d}" for name, day in days.items() if day}
    asked |= dict(parse_qsl(choice.lstrip("?")))
    chosen = Choice.read(REPORTS[report], asked, utcnow().date())
    source = Source(state.session, scope, state.host, chosen.report.kind, chosen.side)
    form = form or ("json" if as_json else "csv")
    with write_file(source, chosen, form, by=OPERATOR) as file, _output(output) as out:
        shutil.copyfileobj(file, out)


def _one_account(session: Any, account: str | None) -> Connection:
    """Return the account that is named, or the only one there is."""
    if account is not None:
        return activated(session, account)
    every = session.scalars(select(Connection).order_by(Connection.account).limit(2)).all()
    if len(every) != 1:
        raise NeedsConnection("Name the account whose report is wanted.", code="unknown_account")
    return cast(Connection, every[0])


def _output(path: str | None) -> AbstractContextManager[IO[bytes]]:
    if path:
        return open(path, "wb")
    return nullcontext(sys.stdout.buffer)


def _has_template(name: str) -> bool:
    try:
        current_app.jinja_env.get_template(name)
    except TemplateNotFound:
        return False
    return True


@ensora_cli.command("check")
@click.option("--account", help="Try the adapter with this account; default: every activated one.")
@_json_option
@_command()
def check_command(account: str | None, as_json: bool) -> None:
    """Try settings, database and host adapter, and list everything that is wrong."""
    state = _state()
    session = state.session
    if account is None:
        accounts = list(session.scalars(select(Connection.account))) or [""]
    else:
        accounts = [account]
    if not state.sealer.ready:
        faults = ["ENSORA_KEYS is not set; `flask ensora make-key` prints a key."]
    else:
        missing = missing_keys(session, state.sealer)
        faults = [no_key(missing)] if missing else []
    if account is not None and not has_agencies(state.host, session, account):
        faults.append(f"The host has no agency of an account {account!r}.")
    for name in accounts:
        found = adapter_faults(state.host, session, name, template_exists=_has_template)
        faults += [fault for fault in found if fault not in faults]
    if faults:
        raise WrongAdapter("The check found:\n- " + "\n- ".join(faults))
    _tell(as_json, {"ok": True}, "Settings, database and host adapter are fine.")
