"""What a row says about its note's rendering, and whether a person may ask for it now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..rendering.drifting import DRIFTED, drifted


@dataclass(frozen=True)
class RenderingSaid:
    """A chip's word and tone, what stands below it, and whether "Render now" would do something."""

    text: str
    tone: str
    sub: str = ""
    open: bool = False


def rendering_said(row: Any) -> RenderingSaid:
    """Tell the rendering of a mapped note; `row` is one of `listing.py`."""
    stands = "" if row.standing in (None, row.version) else f"Version {row.standing} stands there."
    if row.standing == row.version and row.replaced_id is not None:
        stands = "What came before under this version stands there."
    if row.entity_id is None:
        return RenderingSaid("Gone", "bad")
    if row.rendering == "rendered":
        return _rendered(row)
    if row.status != "published":
        if row.standing is None:
            return RenderingSaid("Not published", "none")
        return RenderingSaid("Rendered" if row.entity_rendered else "Stored", "warn", stands)
    if row.rendering in ("refused", "failed"):
        late = bool(stands and row.entity_locked)
        word = "Changed after lock" if late else row.rendering.capitalize()
        sub = " ".join(filter(None, (stands, refusals_said(row.refusals))))
        return RenderingSaid(word, "warn" if late else "bad", sub, open=True)
    return RenderingSaid("Waiting", "none", stands, open=True)


def _rendered(row: Any) -> RenderingSaid:
    when = f"{row.rendering_at.day} {row.rendering_at:%b, %H:%M} UTC"
    if not row.entity_rendered:
        # Whoever did that meant it: only a person asks again.
        return RenderingSaid("Un-rendered", "warn", f"At the host, after {when}", open=True)
    return RenderingSaid("Rendered", "ok", f"{when}{signatures_said(row.signatures)}")


def refusals_said(refusals: list[dict[str, str]]) -> str:
    """Return the words of refusals, and who can mend them."""
    said = " ".join(told["text"] for told in refusals)
    who = dict.fromkeys(told["mended_by"] for told in refusals if "mended_by" in told)
    return f"{said} To mend by: {', '.join(who)}." if who else said


def signatures_said(signatures: dict[str, dict[str, Any]] | None) -> str:
    """Return what is to be said of signatures that were not taken, or are blank."""
    told = []
    for whose, facts in (signatures or {}).items():
        if "refused" in facts:
            told.append(f"{whose}'s signature not taken: {facts['refused']}")
        elif facts["blank"]:
            told.append(f"{whose}'s signature is blank")
    return "".join(f" · {one}" for one in told)


def drift_said(row: Any) -> list[str]:
    """Tell where the appointment no longer is the note's, and where it was cancelled."""
    now = " now" if row.state == "auto" else ""
    told = [f"{DRIFTED[code][0]}{now}" for code in drifted(row)]
    if not row.entity_eligible:
        told.append("appointment cancelled, or no service")
    return told


def source_said(row: Any) -> str:
    """Tell that the note was unpublished or deleted by those who wrote it."""
    if row.status == "published":
        return ""
    return "not published" if row.standing is None else "withdrawn at the source"
