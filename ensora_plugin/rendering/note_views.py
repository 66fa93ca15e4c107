"""A version of a note as a host reads it, opened and with its signatures encoded anew."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time
from typing import Any

from ..crypto import Sealer
from ..errors import Sealed
from ..host.port import NoteView, Signature
from ..pull.content import content_place
from ..vendor.records import digest
from .signature import SignatureRefused, read_signature
from .soap import Signed, content_fields, read_soap


@dataclass(frozen=True)
class SealedNote:
    """What a note is opened from: a row that was read, one version of it."""

    vendor_id: str
    version: int
    template: str
    published_at: Any
    time_zone: str | None
    sealed: bytes


def note_view(sealer: Sealer, account_id: int, note: SealedNote | Any) -> NoteView:
    """Open a note's content. `note` has the attributes of `SealedNote`.

    Raises `Sealed` where it does not open.
    """
    place = content_place(account_id, note.vendor_id, note.version)
    content = sealer.open(note.sealed, *place)
    soap = read_soap(content_fields(content))
    refused: dict[str, str] = {}
    if soap.date is None or soap.start is None or soap.end is None:
        raise Sealed("The sealed content of a note has no date or times, unlike its record.")
    return NoteView(
        vendor_id=note.vendor_id,
        version=note.version,
        template=note.template,
        published_at=note.published_at,
        session_date=soap.date,
        start=time(*divmod(soap.start, 60)),
        end=time(*divmod(soap.end, 60)),
        time_zone=note.time_zone or "",
        text=soap.notes,
        guardian_name=soap.guardian_name,
        relationship=soap.relationship,
        location=soap.location,
        therapist_signature=_signature(soap.therapist_signature, "therapist", refused),
        guardian_signature=_signature(soap.guardian_signature, "guardian", refused),
        refused_signatures=refused,
        checksum=digest(content).hex(),
    )


def _signature(signed: Signed | None, whose: str, refused: dict[str, str]) -> Signature | None:
    if signed is None:
        return None
    try:
        return read_signature(signed)
    except SignatureRefused as refusal:
        refused[whose] = str(refusal)
        return None


def signature_facts(view: NoteView) -> dict[str, dict[str, Any]]:
    """Return what is written down of the signatures of a version: checksums, or why refused."""
    facts: dict[str, dict[str, Any]] = {}
    for whose in ("therapist", "guardian"):
        signature: Signature | None = getattr(view, f"{whose}_signature")
        if signature is not None:
            facts[whose] = {
                "source_sha256": signature.source_sha256,
                "stored_sha256": signature.stored_sha256,
                "blank": signature.blank,
            }
        elif whose in view.refused_signatures:
            facts[whose] = {"refused": view.refused_signatures[whose]}
    return facts
