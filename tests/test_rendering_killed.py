"""Rendering processes killed wherever they are, two at a time: once all the same."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text

from demo.host.models import Appointment, AppointmentSignature
from ensora_plugin.models import RenderingRow
from tests.opened import open_small
from tests.practices import Practice
from tests.small import ACCOUNT, DAY, Small

NOTES, KILLS = 60, 8


def many() -> Small:
    """Notes over many days, each with its appointment."""
    small = Small()
    small.trio()
    for number in range(NOTES):
        day, hour = DAY - timedelta(days=number // 8), 8 + number % 8
        small.note(f"{hour:02}:00", f"{hour:02}:50", day, text=f"Note {number + 1}")
        small.appointment(f"{hour:02}:00", f"{hour:02}:50", day)
    return small


@contextmanager
def renderers(url: str, practice: Practice) -> Iterator[Callable[[int, int], list[int]]]:
    """Let two processes render until each has done so many steps; yields how both ended."""
    account_id = str(practice.account_id(ACCOUNT))
    practice.session.rollback()
    command = [sys.executable, "-m", "tests.render_until_killed", url, account_id, ACCOUNT]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=Path(__file__).parents[1], text=True, **pipes) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def render(*steps: int) -> list[int]:
            print(*steps, file=stdin, flush=True)
            return [int(end) for end in stdout.readline().split()]

        yield render
        stdin.close()
    assert process.returncode == 0


def states(practice: Practice) -> dict[int, tuple[str, str, int]]:
    """Appointment -> text, status, renderings of ours that say so."""
    practice.session.rollback()
    ours = Counter(
        int(id)
        for id in practice.session.scalars(
            select(RenderingRow.appointment_id).where(
                RenderingRow.applied, RenderingRow.state == "rendered"
            )
        )
    )
    rows = practice.session.execute(
        select(Appointment.id, Appointment.results_notes, Appointment.status)
    )
    found = {row.id: (row.results_notes, row.status, ours[row.id]) for row in rows}
    practice.session.rollback()
    return found


@pytest.mark.timeout(300)
def test_killed_anywhere_an_appointment_shows_its_note_once_or_not_at_all(
    database_url: str,
) -> None:
    rng = random.Random(9)
    with open_small(database_url, many()) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        whole = {id: (f"Note {id}", "rendered", 1) for id in range(1, NOTES + 1)}
        done = 0
        with renderers(database_url, practice) as render:
            for _kill in range(KILLS):
                ends = render(rng.randrange(1, 100), rng.randrange(1, 100))
                assert ends == [-signal.SIGALRM, -signal.SIGALRM]
                found = states(practice)
                done = sum(state == whole[id] for id, state in found.items())
                for id, state in found.items():
                    # The host's rows and ours are there together, or neither.
                    assert state in (whole[id], ("", "scheduled", 0)), id
            assert KILLS // 2 < done < NOTES
            assert render(0, 0) == [0, 0]
        assert states(practice) == whole
        assert len(practice.session.scalars(select(AppointmentSignature)).all()) == NOTES
        assert len(practice.session.scalars(select(RenderingRow)).all()) == NOTES
        if database_url.startswith("sqlite"):
            assert practice.session.scalar(text("PRAGMA integrity_check")) == "ok"
