"""The main job on the made world: what comes of every record is what was planted, in both hosts and
databases.
"""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from demo.world.model import Expected
from ensora_plugin.kinds import KINDS
from ensora_plugin.models import History, Mapping, RenderingRow, SetAside
from tests.practices import ADMINS, Practice

ACCOUNTS = list(ADMINS)


def expected(practice: Practice, account: str, kind: str) -> dict[str, Expected]:
    return getattr(practice.world.truth[account], f"{kind}s")


def test_every_record_maps_as_planted_or_says_why_not(practice: Practice) -> None:
    for account in ACCOUNTS:
        practice.run(account, "pull", "automap")
        for kind in KINDS:
            truth = expected(practice, account, kind.name)
            pairs = {
                vendor_id: practice.host_id(kind.name, told.host_id)
                for vendor_id, told in truth.items()
                if told.host_id is not None
            }
            assert practice.mapped(account, kind.name) == pairs
            # Parents are no staff and are shown to nobody, so nothing is said of them.
            reasons = {
                vendor_id: None if told.reason == "parent" else told.reason
                for vendor_id, told in truth.items()
            }
            assert practice.whys(account, kind.model) == reasons


@pytest.mark.parametrize("account", ACCOUNTS)
def test_every_mapped_note_is_rendered_or_refused_as_planted(
    demo_practice: Practice, account: str
) -> None:
    practice = demo_practice
    practice.run(account)
    rows = practice.session.scalars(
        select(RenderingRow).where(RenderingRow.account_id == practice.account_id(account))
    )
    got = {
        row.note_id: (
            row.state == "rendered",
            {told["code"] for told in row.refusals if not told["code"].endswith("_refused")},
        )
        for row in rows
    }
    truth = expected(practice, account, "note")
    assert got == {
        vendor_id: (told.rendered, told.refusals)
        for vendor_id, told in truth.items()
        if told.host_id is not None
    }


def test_running_again_changes_nothing(practice: Practice) -> None:
    for account in ACCOUNTS:
        practice.run(account)
    before = practice.changed_rows()
    for account in ACCOUNTS:
        run = practice.run(account)
        counts = practice.counts(run)
        for row in counts.values():
            assert (row.fetched, row.new, row.changed, row.set_aside) == (0, 0, 0, 0)
            assert (row.mapped, row.rendered, row.refused) == (0, 0, 0)
    assert practice.changed_rows() == before


def test_nothing_of_one_account_is_matched_in_another(practice: Practice) -> None:
    for account in ACCOUNTS:
        practice.run(account)
    ids = {
        account: {
            practice.host_id(kind, str(row["id"]))
            for kind, table in (("student", "client"), ("user", "staff"), ("note", "appointment"))
            for row in practice.world.host[table]
            if row["account_id"] == account
        }
        for account in ACCOUNTS
    }
    for account, other in zip(ACCOUNTS, reversed(ACCOUNTS), strict=True):
        mapped = {
            host_id
            for kind in ("student", "user", "note")
            for host_id in practice.mapped(account, kind).values()
        }
        assert mapped <= ids[account]
        assert (
            practice.session.scalar(
                select(func.count(Mapping.id)).where(
                    Mapping.account_id == practice.account_id(other),
                    Mapping.run_id.in_(
                        select(RenderingRow.run_id).where(
                            RenderingRow.account_id == practice.account_id(account)
                        )
                    ),
                )
            )
            == 0
        )


def test_a_run_counts_every_record_it_fetched(demo_practice: Practice) -> None:
    run = demo_practice.run("bright-steps", "pull")
    organization = demo_practice.world.organizations[0]
    fetched = {
        "site": len(organization["sites"]),
        "student": len(organization["students"]),
        "user": len(organization["users_feed"]),
        "note": len(organization["notes"]),
    }
    counts = demo_practice.counts(run)
    assert {kind: row.fetched for kind, row in counts.items()} == fetched
    for row in counts.values():
        assert row.fetched == row.new + row.changed + row.unchanged + row.set_aside
    assert demo_practice.session.scalars(select(SetAside)).all() == []


def test_a_run_leaves_one_history_row_a_kind_with_its_count(demo_practice: Practice) -> None:
    run = demo_practice.run("bright-steps", "pull", "automap")
    rows = demo_practice.session.scalars(select(History).where(History.run_id == run.id)).all()
    counts = demo_practice.counts(run)
    assert {row.kind: row.after["count"] for row in rows if row.after} == {
        kind: row.mapped for kind, row in counts.items() if row.mapped
    }
