"""Whole runs against a vendor who misbehaves over real HTTP: what has to hold holds meanwhile, and
once the fault is over everything is as at the twin that never met it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from demo.emulator import emulator
from demo.vendor.store import Store
from ensora_plugin.clock import utcnow
from ensora_plugin.connecting import connect
from ensora_plugin.runs.jobs import JobFailed, work_run
from ensora_plugin.runs.schedule import make_due_runs, request_run
from tests.canonical import Told, canonical, differences
from tests.chaos.counting import CountingHost, make_table
from tests.meddling import hours
from tests.opened import SmallWorld, open_small
from tests.practices import ADMINS, Practice
from tests.running import connection_of
from tests.small import ACCOUNT
from tests.watch import Watch

Rule = dict[str, Any]
NOTES = "session-notes"
UNREACHABLE, BUSY, BROKE = "vendor_unreachable", "vendor_busy", "vendor_broke_contract"
REFUSED = "token_refused"


def rule(fault: str, feed: str | None = NOTES, times: int | None = None, **args: Any) -> Rule:
    match = {"feed": feed} if feed else {"method": "GET"}
    return {"match": match, "fault": fault, "times": times, "args": args}


def status(code: int, times: int | None = None, **args: Any) -> Rule:
    return rule("status", None, times, code=code, **args)


@dataclass(frozen=True)
class Fault:
    """A row of the list of faults: what the vendor does, and the code of a run that fails by it."""

    name: str
    rules: list[Rule]
    code: str | None = None
    #: Whether what came under the fault is read again only when the feed starts over.
    stays: bool = False
    #: The vendor's address, where it is not the emulator's.
    address: str = ""
    settings: dict[str, Any] = field(default_factory=dict)


def each_feed(fault: str, times: int | None = None, **args: Any) -> list[Rule]:
    return [rule(fault, feed, times, **args) for feed in ("sites", "students", "users", NOTES)]


def elsewhere() -> Rule:
    """The token is of another organization from now on."""
    return {"match": {"path": "/v1/tokens/current"}, "fault": "another_organization"}


SECOND_PAGE = {"match": {"feed": NOTES, "nth": 2}}
FAULTS = [
    Fault("V-01", [status(401)], REFUSED),
    Fault("V-01 later", [rule("status", code=401)], REFUSED),
    Fault("V-02", [status(403)], REFUSED),
    Fault("V-03 seconds", [status(429, retry_after=7)], BUSY),
    Fault("V-03 date", [status(429, retry_at=7200)], BUSY),
    Fault("V-03 negative", [status(429, retry_after=-5)], BUSY),
    Fault("V-03 ten years", [status(503, retry_after=315360000)], BUSY),
    Fault("V-03 missing", [status(429)], BUSY),
    Fault("V-03 text", [status(429, retry_after="soon")], BUSY),
    Fault("V-04", [status(code, 1) for code in (500, 502, 503)] + [status(504)], UNREACHABLE),
    Fault("V-04 passing", [status(502, 1)]),
    Fault("V-05", [], UNREACHABLE, address="http://127.0.0.1:1"),
    Fault("V-06", [rule("hang", seconds=20)], UNREACHABLE),
    Fault("V-07", [rule("drip", pause=0.1, chunk=10)], UNREACHABLE),
    Fault("V-08 cut", [rule("truncated_json") | SECOND_PAGE], None),
    Fault("V-08 always", [rule("truncated_json")], BROKE),
    Fault("V-08 short", [rule("short_body")], UNREACHABLE),
    Fault("V-08 reset", [rule("reset")], UNREACHABLE),
    Fault("V-09 html", [status(200) | {"fault": "html", "args": {}}], UNREACHABLE),
    Fault("V-09 empty", each_feed("empty"), BROKE),
    Fault("V-09 204", each_feed("no_content"), BROKE),
    Fault("V-09 list", each_feed("bare_list"), BROKE),
    Fault("V-09 type", each_feed("wrong_type"), UNREACHABLE),
    Fault("V-10", each_feed("duplicate_page", 1)),
    Fault("V-11 same", [rule("same_cursor")], BROKE),
    Fault("V-11 ring", [rule("looping_cursor")], BROKE),
    Fault("V-11 null", [rule("null_cursor")], BROKE),
    Fault("V-11 endless", [rule("empty_with_more")], BROKE),
    Fault("V-13", each_feed("older_after_newer")),
    Fault("V-14", [rule("same_version_other_content", index=None)], stays=True),
    Fault("V-16", each_feed("empty_feed")),
    Fault("V-19", [rule("gzip_bomb", mebibytes=65)], BROKE),
    Fault("V-20 deep", [rule("deep_json")], BROKE),
    Fault("V-20 long", [rule("huge_integer")], stays=True),
    Fault("V-21", [rule("redirect")], BROKE),
    Fault("V-22 new", each_feed("member", member="mood", value={"a": [1]})),
    Fault("V-22 missing", each_feed("missing_member"), stays=True),
    Fault("V-22 kind", each_feed("unknown_kind"), stays=True),
    Fault("V-22 date", each_feed("impossible_date"), stays=True),
    Fault("V-22 null", each_feed("member", member="modifiedAt", value=None), stays=True),
    Fault("V-22 long", each_feed("long_name"), stays=True),
    Fault("V-22 NUL", each_feed("nul_byte"), stays=True),
    Fault("V-22 surrogate", each_feed("lone_surrogate"), stays=True),
    Fault("V-23", [elsewhere()], REFUSED),
    Fault("V-25", [rule("two_lengths")], UNREACHABLE),
]


@dataclass
class Vendor:
    """The emulator's process: its address, and its file, which is the world's truth."""

    address: str
    file: Path

    def play(self, *rules: Rule) -> None:
        answer = httpx2.put(f"{self.address}/_emulator/scenario", json=list(rules), trust_env=False)
        assert answer.status_code == 204, answer.text


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vendor]:
    folder = tmp_path_factory.mktemp("vendor")
    with closing(Store(folder / "vendor.db")) as store:
        store.fill(SmallWorld((hours(5),)).organizations)
    with emulator(folder) as address:
        yield Vendor(address, folder / "vendor.db")


SETTINGS = {"page_size": 2, "tries": 2, "retry_pause_seconds": 0.0, "request_seconds": 5.0}


@contextmanager
def opened(url: str, vendor: Vendor) -> Iterator[Practice]:
    """Open a small practice that counts what its host does, connected to the emulator."""
    with open_small(url, hours(5), connected=False) as practice:
        practice.state.transport = None
        practice.state.host = CountingHost()
        make_table(practice.state.engine)
        set_up(practice, vendor_url=vendor.address)
        reconnect(practice)
        yield practice


def set_up(practice: Practice, **settings: Any) -> None:
    practice.state.settings = replace(practice.state.settings, **SETTINGS | settings)


def reconnect(practice: Practice) -> None:
    state = practice.state
    hands = {"username": ADMINS[ACCOUNT], "password": "admin-demo", "by": "test"}
    with state.vendor() as handshake:
        connect(state.session, ACCOUNT, handshake, state.sealer, **hands)
    state.session.rollback()


def run(practice: Practice) -> str | None:
    """Pull as a worker does; return the code by which the run failed, or None."""
    run_id = request_run(practice.session, practice.account_id(ACCOUNT), "test")
    practice.session.rollback()
    try:
        work_run(run_id)
    except JobFailed as failed:
        return failed.code
    return None


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory, vendor: Vendor) -> Told:
    """What a practice holds to which nothing ever happened."""
    with opened(f"sqlite:///{tmp_path_factory.mktemp('twin') / 'host.db'}", vendor) as practice:
        assert run(practice) is None
        return told(practice)


def told(practice: Practice) -> Told:
    practice.session.rollback()
    held = canonical(practice.state.engine, practice.state.sealer)
    # Whose account was lost had to connect again, which stands in the history.
    held["history"] = [line for line in held["history"] if "'connect'" not in line]
    return held


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_what_a_vendor_does_is_survived(
    fault: Fault, request: pytest.FixtureRequest, vendor: Vendor, twin: Told
) -> None:
    # Every second one on PostgreSQL.
    url = request.getfixturevalue(("sqlite_url", "postgres_url")[FAULTS.index(fault) % 2])
    vendor.play()
    with opened(url, vendor) as practice:
        watch = Watch(practice.state.engine, vendor.file)
        slow = fault.rules and fault.rules[0]["fault"] in ("hang", "drip")
        set_up(
            practice,
            vendor_url=fault.address or vendor.address,
            request_seconds=0.4 if slow else 5.0,
        )
        vendor.play(*fault.rules)
        assert run(practice) == fault.code
        assert watch.always() == []
        _has_its_end(practice, fault)
        vendor.play()
        set_up(practice, vendor_url=vendor.address)
        if fault.code == REFUSED:
            reconnect(practice)
        if fault.stays:
            vendor.play(*each_feed("status", 1, code=410))
        assert run(practice) is None
        vendor.play()
        assert watch.at_rest() == []
        assert differences(told(practice), twin) == []
        before = practice.changed_rows()
        practice.session.rollback()
        assert run(practice) is None
        assert practice.changed_rows() == before


def _has_its_end(practice: Practice, fault: Fault) -> None:
    """The account is due again within bounds, or waits for a person."""
    connection = connection_of(practice)
    if fault.code == REFUSED:
        assert (connection.state, connection.due_at) == ("lost", None)
        assert "connected again" in (connection.error_text or "")
        # Nobody asks the vendor again.
        assert make_due_runs(practice.session, utcnow() + timedelta(days=1)) == []
        return
    assert connection.state == "connected"
    assert connection.failures == (1 if fault.code else 0)
    assert connection.due_at is not None
    pause = connection.due_at - utcnow()
    assert timedelta(minutes=29) < pause <= timedelta(hours=1)
