"""Signature pictures: decoded under limits and encoded anew, so that nothing of the vendor's bytes
is shown or kept.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re

from PIL import Image, ImageOps, UnidentifiedImageError

from ..clock import as_utc
from ..errors import Refused
from ..host.port import Signature
from .picture_end import CutShort, TooManyScans, end_of_jpeg, end_of_png
from .soap import Signed

#: A larger picture is refused before it is decoded.
LONGEST_FILE = 2 * 1024 * 1024
MOST_PIXELS = 4_000_000
#: A picture with fewer pixels than this that stand out from its ground, by more than so many of
#: 255 greys, holds no ink.
_LEAST_INK, _STANDS_OUT = 30, 16

_TOO_LARGE = "The signature's picture has more than 4 megapixels."

_DATA_URL = re.compile(r"data:image/(?:png|jpeg);base64,", re.ASCII | re.IGNORECASE)


class SignatureRefused(Refused):
    """Raised for a picture that is not taken, with the reason in words; the note's text lands all
    the same.
    """

    code = "signature_refused"


def read_signature(signed: Signed) -> Signature:
    """Return the picture of `signed`, encoded anew as a grey PNG with nothing but its pixels.

    Raises `SignatureRefused`: no PNG or JPEG data URL, over 2 MiB, over 4 megapixels, animated, cut
    short, followed by something else.
    """
    source = _decoded(signed.image)
    flat = _flat(source)
    out = io.BytesIO()
    flat.save(out, "PNG")
    png = out.getvalue()
    return Signature(
        png=png,
        width=flat.width,
        height=flat.height,
        signed_at=as_utc(signed.signed_at),
        blank=_is_blank(flat),
        source_sha256=hashlib.sha256(source).hexdigest(),
        stored_sha256=hashlib.sha256(png).hexdigest(),
    )


def _decoded(image: str) -> bytes:
    found = _DATA_URL.match(image)
    if not found:
        raise SignatureRefused("The signature is no PNG or JPEG picture.")
    body = image[found.end() :]
    if len(body) // 4 * 3 > LONGEST_FILE + 2:
        raise SignatureRefused("The signature's picture is larger than 2 MiB.")
    try:
        return base64.b64decode(body, validate=True)
    except ValueError:
        # binascii.Error, or letters beyond ASCII.
        raise SignatureRefused("The signature's picture is damaged (base64).") from None


def _flat(source: bytes) -> Image.Image:
    """Decode a picture and lay it on white, in grey."""
    try:
        picture: Image.Image = Image.open(io.BytesIO(source), formats=("PNG", "JPEG"))
        if picture.width * picture.height > MOST_PIXELS:
            raise SignatureRefused(_TOO_LARGE)
        if getattr(picture, "n_frames", 1) > 1:
            raise SignatureRefused("The signature's picture is animated.")
        _check_end(source, picture.format)
        # As the camera was held; what says so is dropped with all else but the pixels.
        ImageOps.exif_transpose(picture, in_place=True)
        if picture.mode.startswith("I"):
            # 16 bits of grey, which Pillow would cut off at 255 instead of scaling.
            picture = picture.convert("I").point(lambda grey: grey * (1 / 257)).convert("L")
        shape = picture.convert("RGBA")
        flat = Image.new("L", picture.size, "white")
        flat.paste(shape.convert("L"), mask=shape.getchannel("A"))
    except SignatureRefused:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        # Pillow's own bounds lie far above ours.
        raise SignatureRefused(_TOO_LARGE) from None
    except UnidentifiedImageError:
        raise SignatureRefused("The signature is no PNG or JPEG picture.") from None
    except Exception:
        # Pillow raises many kinds of errors for damaged files; each means the same here.
        raise SignatureRefused("The signature's picture is damaged.") from None
    return flat


def _is_blank(flat: Image.Image) -> bool:
    """Tell whether a picture in grey is nothing but its ground; ink may be a small part of it."""
    greys = flat.histogram()
    ground = greys.index(max(greys))
    near = greys[max(0, ground - _STANDS_OUT) : ground + _STANDS_OUT + 1]
    return sum(greys) - sum(near) < _LEAST_INK


def _check_end(source: bytes, form: str | None) -> None:
    """Refuse a picture that was cut, which Pillow may open all the same, that has a tail, or that
    takes minutes to draw.
    """
    try:
        end = end_of_png(source) if form == "PNG" else end_of_jpeg(source)
    except CutShort:
        raise SignatureRefused("The signature's picture is cut short.") from None
    except TooManyScans:
        raise SignatureRefused("The signature's picture is drawn in too many scans.") from None
    # Some cameras fill up with zeros.
    if source[end:].strip(b"\0"):
        raise SignatureRefused("The signature's picture has other content behind it.")
