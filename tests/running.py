"""Runs by hand: make one, claim it, look at it, hear of its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import time_machine
from sqlalchemy import select

from ensora_plugin.clock import utcnow
from ensora_plugin.models import Connection, Run
from ensora_plugin.runs.runs import STEPS, Claim, claim, create_run
from tests.practices import Practice
from tests.small import ACCOUNT, Small

LEASE = 60


def filled() -> Small:
    small = Small()
    small.trio()
    small.note()
    small.appointment()
    return small


@contextmanager
def later(**pause: float) -> Iterator[None]:
    with time_machine.travel(utcnow() + timedelta(**pause)):
        yield


def due(practice: Practice, account: str = ACCOUNT, steps: tuple[str, ...] = STEPS) -> int:
    account_id = practice.account_id(account)
    return create_run(practice.session, account_id, cause="schedule", by=None, steps=steps)


def claimed(practice: Practice, run_id: int) -> Claim:
    found = claim(practice.session, run_id, LEASE)
    assert found is not None
    return found


def run_of(practice: Practice, run_id: int) -> Run:
    practice.session.rollback()
    return practice.session.get_one(Run, run_id)


def connection_of(practice: Practice, account: str = ACCOUNT) -> Connection:
    practice.session.rollback()
    return practice.session.scalars(select(Connection).where(Connection.account == account)).one()


def play(practice: Practice, fault: str, **args: Any) -> None:
    rules = [{"fault": fault, "args": args}]
    practice.emulator.extensions["emulator"].scenario.play(rules)


@contextmanager
def heard(signal: Any) -> Iterator[list[dict[str, Any]]]:
    told: list[dict[str, Any]] = []

    def hear(account: str, **facts: Any) -> None:
        told.append({"account": account, **facts})

    with signal.connected_to(hear):
        yield told
