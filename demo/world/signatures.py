"""Signatures as the vendor sends them: drawn with a pen, left blank, or broken in transit."""

from __future__ import annotations

import base64
import io
import math
from functools import cache
from random import Random

from PIL import Image, ImageDraw

SIZE = (300, 100)
DISTINCT = 12


@cache
def drawn() -> tuple[str, ...]:
    """Return distinct signatures as data: URLs of PNGs; every fourth has a transparent ground."""
    return tuple(_data_url(_png(_scribble(number))) for number in range(DISTINCT))


@cache
def blank() -> str:
    """Return a picture with no ink in it."""
    return _data_url(_png(Image.new("RGB", SIZE, "white")))


@cache
def broken() -> tuple[str, ...]:
    """Return what is no signature: an SVG, a PNG that was cut off, bytes that are no picture, mere
    text.
    """
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 50 L300 60" stroke="black"/></svg>'
    whole = _png(_scribble(0))
    return (
        _data_url(svg, "image/svg+xml"),
        _data_url(whole[: len(whole) // 2]),
        _data_url(b"signed with the clinic's tablet"),
        "signed on paper",
    )


def _scribble(number: int) -> Image.Image:
    """Draw a few strokes that rise and fall like handwriting, others for each number."""
    rng = Random(number)
    see_through = number % 4 == 3
    image = Image.new(
        "RGBA" if see_through else "RGB", SIZE, (0, 0, 0, 0) if see_through else "white"
    )
    pen = ImageDraw.Draw(image)
    ink = rng.choice(((20, 20, 30), (16, 32, 96), (10, 10, 10)))
    left = rng.randint(15, 40)
    for _stroke in range(rng.randint(3, 5)):
        width, height = rng.randint(35, 70), rng.randint(12, 34)
        waves, middle = rng.uniform(1.5, 3.5), rng.randint(40, 62)
        points = [
            (
                left + x,
                middle + height * math.sin(x / width * waves * math.pi) * (1 - x / width / 2),
            )
            for x in range(0, width, 3)
        ]
        pen.line(points, fill=ink, width=rng.randint(2, 3), joint="curve")
        left = min(left + width - rng.randint(5, 15), SIZE[0] - 75)
    return image


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def _data_url(content: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
