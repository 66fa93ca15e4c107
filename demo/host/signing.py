"""Signatures that people add to an appointment by hand: a picture of what was signed on paper."""

from __future__ import annotations

import io
from datetime import datetime
from typing import BinaryIO, Literal

from PIL import Image
from sqlalchemy.orm import Session

from .clock import stored
from .models import Appointment, AppointmentSignature
from .rules import RENDERED, Refusal, locks

Signer = Literal["guardian", "therapist"]
MOST_PIXELS = 4_000_000
#: A picture with fewer pixels than this that stand out from its ground, by more than so many of
#: 255 greys, holds no ink.
LEAST_INK, STANDS_OUT = 30, 16


def sign(
    session: Session, appointment: Appointment, who: Signer, file: BinaryIO, now: datetime
) -> list[Refusal]:
    """Add a signature where there is none, or a blank one; flush. Return why it was not done."""
    window = appointment.signature or AppointmentSignature()
    if refusals := _shut(appointment):
        return refusals
    if getattr(window, f"{who}_signature") and not getattr(window, f"{who}_blank"):
        return [Refusal("signed", "There is a signature already.")]
    picture = _picture(file)
    if picture is None:
        return [Refusal("no_picture", "This is no PNG or JPEG picture of at most 4 megapixels.")]
    out = io.BytesIO()
    picture.save(out, "PNG")
    appointment.signature = window
    setattr(window, f"{who}_signature", out.getvalue())
    setattr(window, f"{who}_blank", _is_blank(picture))
    setattr(window, f"{who}_signed_at", stored(now))
    setattr(window, f"{who}_by_hand", True)
    session.flush()
    return []


def unsign(session: Session, appointment: Appointment, who: Signer) -> list[Refusal]:
    """Take away a signature that was added by hand; flush. Return why it was not done."""
    window = appointment.signature
    if refusals := _shut(appointment):
        return refusals
    if window is None or not getattr(window, f"{who}_by_hand"):
        return [Refusal("not_by_hand", "This signature was not added by hand.")]
    setattr(window, f"{who}_signature", None)
    setattr(window, f"{who}_signed_at", None)
    setattr(window, f"{who}_blank", False)
    setattr(window, f"{who}_by_hand", False)
    session.flush()
    return []


def _shut(appointment: Appointment) -> list[Refusal]:
    if appointment.status == RENDERED:
        return [Refusal("rendered", "The appointment is rendered; un-render it first.")]
    return locks(appointment)


def _picture(file: BinaryIO) -> Image.Image | None:
    """Decode a picture in grey, None where it is none that we take."""
    try:
        picture = Image.open(file, formats=("PNG", "JPEG"))
        if picture.width * picture.height > MOST_PIXELS:
            return None
        shape = picture.convert("RGBA")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    flat = Image.new("L", shape.size, "white")
    flat.paste(shape.convert("L"), mask=shape.getchannel("A"))
    return flat


def _is_blank(flat: Image.Image) -> bool:
    greys = flat.histogram()
    ground = greys.index(max(greys))
    near = greys[max(0, ground - STANDS_OUT) : ground + STANDS_OUT + 1]
    return sum(greys) - sum(near) < LEAST_INK
