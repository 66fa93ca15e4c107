"""Where an account stands, in numbers: what was pulled, mapped, is still to map and why, rendered
and refused.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy import and_, func, select

from ..database import AnySession
from ..joins import mapping_of, rendering_stands
from ..kinds import KINDS, NOTE, Kind
from ..models import Mapping, RenderingRow, SetAside


@dataclass
class KindOverview:
    """The numbers of one kind; `to_map` is the sum of `reasons`, `refused` counts appointments."""

    kind: str
    pulled: int = 0
    auto: int = 0
    user: int = 0
    ignored: int = 0
    to_map: int = 0
    set_aside: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    rendered: int = 0
    refused: int = 0
    refusals: dict[str, int] = field(default_factory=dict)


def overview(session: AnySession, account_id: int) -> list[KindOverview]:
    """Return the numbers of an account, a kind each in the order of `KINDS`."""
    found = [_of_kind(session, account_id, kind) for kind in KINDS]
    _add_renderings(session, account_id, found[KINDS.index(NOTE)])
    return found


def _of_kind(session: AnySession, account_id: int, kind: Kind) -> KindOverview:
    model = kind.model
    result = KindOverview(kind.name)
    rows = session.execute(
        select(Mapping.state, kind.settled, model.why, func.count())
        .select_from(model)
        .outerjoin(
            Mapping,
            mapping_of(kind),
        )
        .where(model.account_id == account_id, ~kind.outside)
        .group_by(Mapping.state, kind.settled, model.why)
    )
    for state, settled, why, count in rows:
        result.pulled += count
        if state:
            setattr(result, state, getattr(result, state) + count)
        elif not settled:
            result.to_map += count
            result.reasons[why or "not_tried_yet"] = count
    result.set_aside = (
        session.scalar(
            select(func.count()).where(
                SetAside.account_id == account_id, SetAside.kind == kind.name
            )
        )
        or 0
    )
    return result


def _add_renderings(session: AnySession, account_id: int, result: KindOverview) -> None:
    """Count the renderings of the pairs that stand, by the latest version that was tried."""
    latest = (
        select(
            RenderingRow.note_id,
            RenderingRow.appointment_id,
            func.max(RenderingRow.version).label("version"),
        )
        .where(RenderingRow.account_id == account_id)
        .group_by(RenderingRow.note_id, RenderingRow.appointment_id)
        .subquery("latest_rendering")
    )
    rows = session.execute(
        select(RenderingRow.state, RenderingRow.refusals)
        .join(
            latest,
            and_(
                latest.c.note_id == RenderingRow.note_id,
                latest.c.appointment_id == RenderingRow.appointment_id,
                latest.c.version == RenderingRow.version,
            ),
        )
        .join(
            Mapping,
            rendering_stands(),
        )
        .where(RenderingRow.account_id == account_id),
        execution_options={"yield_per": 1000},
    )
    refusals: Counter[str] = Counter()
    for state, told in rows:
        if state == "rendered":
            result.rendered += 1
        elif state in ("refused", "failed"):
            result.refused += 1
            refusals.update(refusal["code"] for refusal in told)
    result.refusals = dict(refusals)
