"""`flask ensora check` lists everything that is wrong with an adapter, each with the mend."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from demo.host.adapter import DemoHost
from demo.host.models import Agency
from ensora_plugin.host.adapter_check import adapter_faults, has_agencies
from tests.practices import Practice


class Unbounded(DemoHost):
    def agencies(self, account: str) -> Any:
        return select(Agency.id, Agency.name)


class Raising(DemoHost):
    def clients(self, account: str) -> Any:
        raise RuntimeError("oops")


class WrongCalls(DemoHost):
    def render(self, account: str) -> Any:  # type: ignore[override]
        return None

    def url(self, kind: str) -> Any:  # type: ignore[override]
        return None


class Ordered(DemoHost):
    def agencies(self, account: str) -> Any:
        return super().agencies(account).order_by(Agency.name).limit(5)


class WrongTimes(DemoHost):
    def agencies(self, account: str) -> Any:
        return super().agencies(account).add_columns(Agency.name.label("updated_at"))


@pytest.mark.parametrize(
    ("host", "told"),
    [
        (DemoHost(), []),
        (Unbounded(), ["finds rows for an account that does not exist"]),
        (Raising(), ["raised RuntimeError: oops"]),
        (WrongCalls(), ["url() does not take 5 values", "render() does not take 3 values"]),
        (Ordered(), ["has an ORDER BY", "has a LIMIT"]),
        (WrongTimes(), ["updated_at is of type str; it has to be datetime"]),
    ],
)
def test_each_fault_is_told(demo_practice: Practice, host: DemoHost, told: list[str]) -> None:
    faults = adapter_faults(host, demo_practice.session, "bright-steps")
    assert len(faults) == len(told)
    for words in told:
        assert any(words in fault for fault in faults)


def test_a_layout_that_is_not_there_is_told(demo_practice: Practice) -> None:
    faults = adapter_faults(
        DemoHost(), demo_practice.session, "bright-steps", template_exists=lambda _name: False
    )
    assert [fault for fault in faults if "there is no such template" in fault] == faults != []


def test_an_account_that_the_host_does_not_know_is_noticed(demo_practice: Practice) -> None:
    host, session = demo_practice.state.host, demo_practice.session
    assert has_agencies(host, session, "bright-steps")
    assert not has_agencies(host, session, "bright-stepz")
