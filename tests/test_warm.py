"""The children of a worker find the statements of a run built, and nothing tells of how."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.sql.compiler import SQLCompiler

from ensora_plugin.models import Base
from ensora_plugin.runs.warm import warm_up
from ensora_plugin.signals import run_ended
from tests.practices import Practice
from tests.small import ACCOUNT, OTHER

#: A first run builds so many statements by itself.
MANY = 70
#: A run with nothing new builds so many in a warm process, the test's own two among them, and what
#: asks for appointments that were picked: those of the warming run's own are of nobody.
FEW = 11


@contextmanager
def built(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Collect the statements that SQLAlchemy builds."""
    found: list[str] = []
    build = SQLCompiler.__init__

    def keep(self: Any, *args: Any, **kw: Any) -> None:
        build(self, *args, **kw)
        found.append(self.string)

    with monkeypatch.context() as patch:
        patch.setattr(SQLCompiler, "__init__", keep)
        yield found


def warm(practice: Practice) -> bool:
    state = practice.state
    with state.engine.connect() as link:
        return warm_up(link, state.host, state.settings, state.sealer)


def rows(engine: Engine) -> dict[str, list[str]]:
    with engine.connect() as connection:
        return {
            name: sorted(map(repr, connection.execute(select(table)).all()))
            for name, table in Base.metadata.tables.items()
        }


def test_a_run_in_a_warm_process_builds_next_to_nothing(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    practice.state.engine.clear_compiled_cache()
    with built(monkeypatch) as cold:
        practice.run(OTHER, "pull", "automap")
    assert len(cold) > MANY
    practice.state.engine.clear_compiled_cache()
    assert warm(practice)
    with built(monkeypatch) as first:
        practice.run(ACCOUNT, "pull", "automap")
    assert len(first) < len(cold) / 3


def test_a_run_with_nothing_new_builds_nothing_in_a_warm_process(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        practice.run(ACCOUNT, "pull", "automap")
    practice.state.engine.clear_compiled_cache()
    assert warm(practice)
    with built(monkeypatch) as idle:
        practice.run(ACCOUNT, "pull", "automap")
    assert len(idle) <= FEW


def test_warming_up_leaves_nothing_behind_and_tells_nobody(practice: Practice) -> None:
    practice.run(ACCOUNT, "pull")
    practice.session.rollback()
    heard: list[Any] = []
    before = rows(practice.state.engine)
    with run_ended.connected_to(lambda *_, **told: heard.append(told)):
        assert warm(practice)
    assert rows(practice.state.engine) == before
    assert heard == []
