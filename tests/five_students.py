"""Five students on one site, pulled two a page, and what a test asks of them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from ensora_plugin.models import (
    Feed,
    Student,
)
from tests.practices import Practice
from tests.small import Small

NAMES = [f"Child {number}" for number in range(5)]


def five() -> Small:
    """Five students on one site; with two records a page their feed has three pages."""
    small = Small()
    small.agency()
    small.site()
    for name in NAMES:
        small.client(name)
        small.student(name)
    small.staff()
    small.user()
    small.note()
    return small


def play(practice: Practice, fault: str, feed: str = "students", **rule: Any) -> None:
    match = {"feed": feed, **rule.pop("match", {})}
    times = rule.pop("times", None)
    rules = [{"fault": fault, "match": match, "times": times, "args": rule}]
    practice.emulator.extensions["emulator"].scenario.play(rules)


def calm(practice: Practice) -> None:
    practice.emulator.extensions["emulator"].scenario.clear()


def forget_cursors(practice: Practice) -> None:
    """As an operator does who wants everything to be read again."""
    practice.session.execute(Feed.__table__.delete())
    practice.session.commit()


def students(practice: Practice) -> list[str]:
    rows = practice.session.scalars(select(Student.first_name + " " + Student.last_name))
    return sorted(rows)
