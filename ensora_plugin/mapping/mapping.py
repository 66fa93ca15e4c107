"""Map, unmap, ignore: what a person may do to a mapping, by the rules of the Action columns."""

from __future__ import annotations

from ..errors import NotAllowed
from ..kinds import NOTE, SITE, Kind
from ..models import Mapping, Record
from ..rendering.withdrawing import Desk
from .cases import Case, case_of
from .changing import (
    check_entity,
    check_free,
    check_seen,
    forget_reason,
    said,
    sign,
    try_again,
    write_change,
)
from .depending import dependents
from .releasing import Consequences, forget_rejection, release


def map_record(
    desk: Desk, kind: Kind, record: Record, host_id: str, *, seen: int, case: Case | None = None
) -> Consequences:
    """Map a record to a host's entity, in the place of what it was mapped to; the mapping becomes
    User. `case` is how both stand, where the caller has just looked.

    Returns the consequences. Raises `Stale`, `Taken`, and `NotAllowed` where there is no such
    entity.
    """
    case = case or case_of(desk, kind, record, host_id)
    mapping, before = case.mapping, said(case.mapping)
    check_seen(case, seen)
    check_entity(kind, case)
    check_free(kind, case)
    happened = Consequences()
    if mapping is not None and mapping.host_id != host_id:
        # A note that cannot leave its appointment must not go into a second one as well.
        happened = release(desk, kind, record, mapping, must=kind is NOTE)
    if case.rejected:
        forget_rejection(desk, kind, record.vendor_id, host_id)
    if mapping is None:
        mapping = _new(desk, kind, record)
    # The reason of an ignored record stays beside it, for an undo.
    mapping.host_id, mapping.state = host_id, "user"
    sign(desk, mapping, case)
    after = said(mapping) or {}
    write_change(
        desk, "map", mapping, before, after | {"rejected": True} if case.rejected else after
    )
    forget_reason(record)
    try_again(desk, kind, case)
    return happened


def unmap_record(
    desk: Desk, kind: Kind, record: Record, *, seen: int, case: Case | None = None
) -> Consequences:
    """Delete a mapping that a person made and that nothing depends on; the pair counts as rejected.

    Raises `Stale`, and `NotAllowed` with the reason where the Delete icon is disabled.
    """
    case = case or case_of(desk, kind, record)
    check_seen(case, seen)
    mapping, before = case.mapping, said(case.mapping)
    if mapping is None:
        raise NotAllowed("There is no mapping to delete.")
    if reason := why_not_deleted(kind, mapping.state, dependents(desk, kind, record)):
        raise NotAllowed(reason)
    happened = release(desk, kind, record, mapping, must=True)
    mapping.version = case.next_version
    write_change(desk, "unmap", mapping, before, after={})
    desk.session.flush()
    desk.session.delete(mapping)
    desk.session.flush()
    try_again(desk, kind, case)
    return happened


def ignore_record(
    desk: Desk, kind: Kind, record: Record, reason: str, *, seen: int, case: Case | None = None
) -> Consequences:
    """Settle a record as one that needs no mapping; a pair that it stood in counts as rejected.

    Raises `Stale`, and `NotAllowed` without a reason or where the host keeps the note.
    """
    case = case or case_of(desk, kind, record)
    check_seen(case, seen)
    mapping, before = case.mapping, said(case.mapping)
    if not reason.strip():
        raise NotAllowed(f"Say why this {kind.noun.lower()} is ignored.")
    if mapping is not None and mapping.state == "ignored":
        raise NotAllowed(f"This {kind.noun.lower()} is ignored already.")
    happened = Consequences()
    if mapping is None:
        mapping = _new(desk, kind, record)
    else:
        happened = release(desk, kind, record, mapping, must=kind is NOTE)
    mapping.host_id, mapping.state, mapping.reason = None, "ignored", reason.strip()
    sign(desk, mapping, case)
    write_change(desk, "ignore", mapping, before)
    forget_reason(record)
    try_again(desk, kind, case)
    return happened


def unignore_record(
    desk: Desk, kind: Kind, record: Record, *, seen: int, case: Case | None = None
) -> None:
    """Let an ignored record be one to map again. Raises `Stale`, `NotAllowed` where it is none."""
    case = case or case_of(desk, kind, record)
    check_seen(case, seen)
    mapping, before = case.mapping, said(case.mapping)
    if mapping is None or mapping.state != "ignored":
        raise NotAllowed(f"This {kind.noun.lower()} is not ignored.")
    mapping.version = case.next_version
    write_change(desk, "unignore", mapping, before, after={})
    desk.session.delete(mapping)
    desk.session.flush()
    try_again(desk, kind, case)


def _new(desk: Desk, kind: Kind, record: Record) -> Mapping:
    mapping = Mapping(
        account_id=desk.account_id, kind=kind.name, vendor_id=record.vendor_id, version=0
    )
    desk.session.add(mapping)
    return mapping


def why_not_deleted(kind: Kind, state: str | None, depending: int) -> str | None:
    """Return why the Delete icon of a row is disabled, None where it is active (seed)."""
    if state is None:
        return "Nothing to delete"
    if state == "ignored":
        return "This record is ignored; there is no mapping to delete"
    if state == "auto":
        return (
            f"Automatic mappings can't be deleted; choose another {kind.entity_noun.lower()} "
            "to replace it"
        )
    if depending:
        one, many = ("client, staff or appointment", "clients, staff or appointments")
        if kind is not SITE:
            one, many = "appointment", "appointments"
        are = f"1 {one} is" if depending == 1 else f"{depending} {many} are"
        of = "from this agency" if kind is SITE else f"for this {kind.entity_noun.lower()}"
        return f"{are} mapped {of}"
    return None
