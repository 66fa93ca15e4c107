"""What is mapped and rendered already costs a run nothing: it sends as many statements to the
database in a world of three times as many notes.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import func, select, update

from demo.data import build_world
from ensora_plugin.models import Mapping, Note, RenderingRow
from tests.conftest import TODAY
from tests.plans import statements
from tests.practices import Practice, open_demo

ACCOUNT = "bright-steps"


def mapped_notes(practice: Practice) -> int:
    return practice.session.scalar(select(func.count()).where(Mapping.kind == "note")) or 0


def cost(notes: int, url: str) -> tuple[int, dict[str, int]]:
    """The mapped notes of a world that was worked off, and what each step of a next run sends."""
    with open_demo(url, build_world(notes=notes, today=TODAY)) as practice:
        practice.run(ACCOUNT)
        # What was refused is asked of the host again, one by one; here nothing was.
        practice.session.execute(update(RenderingRow).values(state="rendered"))
        # What was picked for notes that are tried again is looked up, where there are any.
        practice.session.execute(update(Note).values(picked=None))
        practice.session.commit()
        counts = {}
        for step in ("pull", "automap", "render"):
            with statements(practice.state.engine) as sent:
                practice.run(ACCOUNT, step)
            counts[step] = len(sent)
        return mapped_notes(practice), counts


def test_mapped_notes_cost_no_statements(tmp_path: Path) -> None:
    few, small = cost(150, f"sqlite:///{tmp_path / 'small.db'}")
    many, large = cost(450, f"sqlite:///{tmp_path / 'large.db'}")
    assert many > 2.5 * few
    assert large == small
    assert max(small.values()) < 120


def test_automap_maps_any_number_of_notes_with_as_many_statements(tmp_path: Path) -> None:
    sent_for: dict[int, list[str]] = {}
    for notes in (150, 450):
        url = f"sqlite:///{tmp_path / f'{notes}.db'}"
        with open_demo(url, build_world(notes=notes, today=TODAY)) as practice:
            practice.run(ACCOUNT, "pull")
            practice.session.execute(update(Note).values(picked=None))
            practice.session.commit()
            with statements(practice.state.engine) as sent:
                practice.run(ACCOUNT, "automap")
            made = mapped_notes(practice)
        # One UPDATE for each site, student or user that does not map says why; and the marks and
        # mappings of notes that compete or lie apart are sent where there are any.
        apart = (" SET why=", "SET apart=", "VALUES (?, ?, ?, ?, ?, ?, ?)")
        sent_for[made] = [one for one in sent if not any(words in one for words in apart)]
    few, many = sorted(sent_for)
    assert many > 2.5 * few
    assert len(sent_for[many]) == len(sent_for[few])
