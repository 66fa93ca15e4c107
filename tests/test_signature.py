"""Signature pictures: which are taken, what becomes of them, and which are refused in words."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import struct
import warnings
import zlib
from datetime import datetime
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageDraw
from PIL.JpegImagePlugin import JpegImageFile

from ensora_plugin.host.port import Signature
from ensora_plugin.rendering.signature import LONGEST_FILE, SignatureRefused, read_signature
from ensora_plugin.rendering.soap import Signed

SIZE = (60, 30)


def drawn(mode: str, ground: Any, ink: Any) -> Image.Image:
    """A picture of a mode with one stroke of ink."""
    picture = Image.new(mode, SIZE, ground)
    ImageDraw.Draw(picture).line((5, 5, 50, 25), fill=ink, width=3)
    return picture


def encoded(picture: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def data_url(content: bytes, form: str = "png") -> str:
    return f"data:image/{form};base64,{base64.b64encode(content).decode()}"


def read(content: bytes, form: str = "png") -> Signature:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read_signature(Signed(data_url(content, form), None))


def pixels(signature: Signature) -> Image.Image:
    picture = Image.open(io.BytesIO(signature.png))
    picture.load()
    return picture


def refused(image: str) -> str:
    with pytest.raises(SignatureRefused) as raised:
        read_signature(Signed(image, None))
    return str(raised.value)


WHITE = drawn("L", 255, 0)
FORMS = {
    "one bit": (drawn("1", 1, 0), "PNG", {}),
    "grey": (WHITE, "PNG", {}),
    "grey with alpha": (drawn("LA", (0, 0), (0, 255)), "PNG", {}),
    "RGB": (drawn("RGB", "white", "black"), "PNG", {}),
    "RGBA on nothing": (drawn("RGBA", (0, 0, 0, 0), (0, 0, 0, 255)), "PNG", {}),
    "palette": (drawn("RGB", "white", "black").quantize(4), "PNG", {}),
    "palette on nothing": (drawn("P", 0, 1), "PNG", {"transparency": b"\x00\xff"}),
    "16 bit": (drawn("I", 65535, 0).convert("I;16"), "PNG", {}),
    "JPEG": (drawn("RGB", "white", "black"), "JPEG", {"quality": 95}),
    "grey JPEG": (WHITE, "JPEG", {"quality": 95}),
    "CMYK JPEG": (drawn("CMYK", (0, 0, 0, 0), (0, 0, 0, 255)), "JPEG", {"quality": 95}),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_picture_of_any_kind_becomes_the_same_strokes_on_white(name: str) -> None:
    picture, form, options = FORMS[name]
    if name.startswith("palette on"):
        picture.putpalette([0, 0, 0, 0, 0, 0])
    signature = read(encoded(picture, form, **options), form.lower())
    got = pixels(signature)
    assert (got.mode, got.size, (signature.width, signature.height)) == ("L", SIZE, SIZE)
    assert not signature.blank
    # A JPEG's edges ring, so whole pixels are compared as ink or ground.
    ink, expected = (one.point(lambda grey: 255 if grey > 128 else 0) for one in (got, WHITE))
    assert ImageChops.difference(ink, expected).getbbox() is None


@pytest.mark.parametrize("ink", [0, 20000, 40000])
def test_faint_ink_of_a_16_bit_picture_is_not_lost(ink: int) -> None:
    signature = read(encoded(drawn("I", 65535, ink).convert("I;16")))
    assert not signature.blank
    assert pixels(signature).getpixel((27, 15)) == ink // 257


def test_nothing_but_pixels_is_stored() -> None:
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    signature = read(encoded(WHITE, exif=exif.tobytes()))
    assert b"taken at home" not in signature.png
    assert signature.png.endswith(b"IEND\xaeB`\x82")
    assert read(encoded(WHITE)).png == signature.png


def test_checksums_are_of_what_came_and_of_what_is_stored() -> None:
    content = encoded(WHITE)
    signature = read(content)
    assert signature.source_sha256 == hashlib.sha256(content).hexdigest()
    assert signature.stored_sha256 == hashlib.sha256(signature.png).hexdigest()


def test_the_moment_of_signing_is_kept() -> None:
    moment = datetime(2026, 11, 19, 19, 5)  # noqa: DTZ001 - UTC without a zone, as stored
    assert read_signature(Signed(data_url(encoded(WHITE)), moment)).signed_at == moment


@pytest.mark.parametrize(
    "picture",
    [
        Image.new("L", SIZE, 255),
        Image.new("RGB", SIZE, "black"),
        Image.new("RGBA", SIZE, (0, 0, 0, 0)),
        # Invisible ink: black strokes that are wholly transparent.
        drawn("RGBA", (255, 255, 255, 0), (0, 0, 0, 0)),
        drawn("RGBA", "white", "white"),
    ],
)
def test_a_picture_without_ink_is_marked_blank(picture: Image.Image) -> None:
    assert read(encoded(picture)).blank


@pytest.mark.parametrize(
    ("size", "stroke", "ink"),
    [
        # An X for a name.
        ((2000, 1000), [(500, 300, 540, 340), (540, 300, 500, 340)], "black"),
        ((1200, 600), [(300, 300, 700, 340), (700, 340, 900, 250)], (100, 150, 255)),
        ((2000, 2000), [(300, 300, 700, 340)], "black"),
        ((2000, 2000), [(300, 300, 700, 340)], (230, 230, 230)),
    ],
)
def test_a_small_or_faint_stroke_on_a_large_picture_is_ink(
    size: tuple[int, int], stroke: list[tuple[int, int, int, int]], ink: Any
) -> None:
    picture = Image.new("RGB", size, "white")
    for line in stroke:
        ImageDraw.Draw(picture).line(line, fill=ink, width=2)
    assert not read(encoded(picture)).blank


def test_a_dot_is_no_ink() -> None:
    picture = Image.new("L", (600, 300), 255)
    ImageDraw.Draw(picture).rectangle((10, 10, 14, 14), fill=0)
    assert read(encoded(picture)).blank


@pytest.mark.parametrize(
    "image",
    [
        "signed on paper",
        "https://vendor.example/signature.png",
        "data:image/png,plain",
        "data:image/gif;base64,R0lGODlhAQABAAAAACw=",
        "data:text/html;base64,PGI+",
        "data:image/svg+xml;base64," + base64.b64encode(b"<svg/>").decode(),
    ],
)
def test_what_is_no_png_or_jpeg_data_url_is_refused(image: str) -> None:
    assert refused(image) == "The signature is no PNG or JPEG picture."


@pytest.mark.parametrize("body", ["====", "AAA", "A-_A", "AA AA", "é", "\ud800"])
def test_wrong_base64_is_refused(body: str) -> None:
    assert "damaged (base64)" in refused("data:image/png;base64," + body)


def svg() -> bytes:
    return b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def animated() -> bytes:
    return encoded(WHITE, save_all=True, append_images=[Image.new("L", SIZE, 0)])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (svg(), "no PNG or JPEG"),
        (b"", "no PNG or JPEG"),
        (encoded(WHITE, "GIF"), "no PNG or JPEG"),
        (encoded(WHITE, "BMP"), "no PNG or JPEG"),
        (animated(), "animated"),
        (encoded(WHITE)[:-12], "cut short"),
        (encoded(WHITE)[:60], "damaged|cut short"),
        (encoded(WHITE, "JPEG")[:-2], "cut short"),
        (encoded(WHITE, "JPEG")[:200], "damaged|cut short"),
    ],
)
def test_other_pictures_in_disguise_and_damaged_ones_are_refused(
    content: bytes, words: str
) -> None:
    with pytest.raises(SignatureRefused, match=words):
        read(content)


SCRIPT = b"<script>alert(1)</script>"


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.parametrize("tail", [SCRIPT, b"PK\x03\x04", b"\0\0" + SCRIPT])
def test_a_picture_that_is_something_else_as_well_is_refused(form: str, tail: bytes) -> None:
    whole = encoded(WHITE, form)
    ends = {"PNG": whole[-12:], "JPEG": b"\xff\xd9"}
    # Also one that ends again as a picture does.
    for content in (whole + tail, whole + tail + ends[form]):
        with pytest.raises(SignatureRefused, match="other content behind it"):
            read(content)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
def test_every_way_of_writing_a_jpeg_ends_where_it_ends(options: dict[str, object]) -> None:
    content = encoded(drawn("RGB", "white", "black"), "JPEG", **options)
    assert not read(content).blank
    assert not read(content + bytes(9)).blank


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_a_picture_taken_with_a_turned_camera_stands_upright(form: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = WHITE.rotate(90, expand=True)
    signature = read(encoded(turned, form, exif=exif.tobytes()))
    assert (signature.width, signature.height) == SIZE
    ink, expected = (
        one.point(lambda grey: 255 if grey > 128 else 0) for one in (pixels(signature), WHITE)
    )
    assert ImageChops.difference(ink, expected).getbbox() is None


def test_no_part_of_a_picture_may_be_cut_off_unnoticed() -> None:
    for content in (encoded(WHITE), encoded(WHITE, "JPEG")):
        for length in range(0, len(content) - 12, 7):
            with pytest.raises(SignatureRefused):
                read(content[:length])


def test_a_flipped_bit_is_refused_or_changes_nothing_but_pixels() -> None:
    content = encoded(WHITE)
    for place in range(0, len(content), 5):
        changed = content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :]
        try:
            signature = read(changed)
        except SignatureRefused:
            continue
        assert pixels(signature).size == (signature.width, signature.height)


def bomb(width: int, height: int) -> bytes:
    """A PNG of so many pixels in a few bytes; its header alone says how large it would be."""

    def chunk(name: bytes, body: bytes) -> bytes:
        check = zlib.crc32(name + body)
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"\0")), chunk(b"IEND", b""))
    )


@pytest.mark.parametrize("size", [(2001, 2000), (11_000, 11_000), (60_000, 60_000), (4_000_001, 1)])
def test_a_picture_of_more_than_4_megapixels_is_refused_before_it_is_decoded(
    size: tuple[int, int],
) -> None:
    with pytest.raises(SignatureRefused, match="4 megapixels"):
        read(bomb(*size))


def scans(content: bytes) -> list[bytes]:
    """Cut a JPEG before each of its scans."""
    first, *others = re.split(b"(?=\xff\xda)", content)
    return [first, *others[:-1], others[-1].removesuffix(b"\xff\xd9")]


def test_a_jpeg_that_is_drawn_over_and_over_is_refused_before_it_is_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = encoded(Image.new("L", (800, 400), 255), "JPEG", progressive=True)
    head, first, again, *others = scans(content)

    def of(count: int) -> bytes:
        more = again * (count - 2 - len(others))
        return head + first + again + more + b"".join(others) + b"\xff\xd9"

    assert read(of(100), "jpeg").width == 800
    monkeypatch.setattr(JpegImageFile, "load", lambda _: pytest.fail("decoded"))
    with pytest.raises(SignatureRefused, match="too many scans"):
        read(of(101), "jpeg")


def test_warnings_are_meanwhile_what_they_were_for_all_other_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    warnings.simplefilter("ignore")
    image, before, seen = Signed(data_url(encoded(WHITE)), None), list(warnings.filters), []

    def look(*given: Any, **options: Any) -> Any:
        seen.append(list(warnings.filters))
        return opened(*given, **options)

    opened = Image.open
    monkeypatch.setattr(Image, "open", look)
    read_signature(image)
    assert seen == [before]


def test_a_picture_of_exactly_4_megapixels_is_taken() -> None:
    assert read(encoded(Image.new("1", (2000, 2000)))).width == 2000


def test_a_file_over_2_mib_is_refused_and_one_of_2_mib_is_looked_at() -> None:
    whole = encoded(WHITE)
    assert "larger than 2 MiB" in refused(data_url(whole + b"\0" * LONGEST_FILE))
    behind = b"1" * (LONGEST_FILE - len(whole))
    assert "other content behind it" in refused(data_url(whole + behind))
