"""Where a PNG or JPEG ends: what stands behind makes a file that is two things at once. And how
often a JPEG is drawn over until then: each time costs as much as the whole picture.
"""

from __future__ import annotations


class CutShort(Exception):
    """Raised where a picture's file ends before the picture does."""


class TooManyScans(Exception):
    """Raised for a JPEG of more scans than any camera or program makes."""


#: A progressive JPEG has about ten.
MOST_SCANS = 100


def end_of_png(source: bytes) -> int:
    """Return the offset behind the chunk IEND. Raises `CutShort` where there is none."""
    at = 8
    while at + 12 <= len(source):
        length = int.from_bytes(source[at : at + 4])
        name = source[at + 4 : at + 8]
        at += 12 + length
        if name == b"IEND" and at <= len(source):
            return at
    raise CutShort


def end_of_jpeg(source: bytes) -> int:
    """Return the offset behind the marker EOI. Raises `CutShort` where there is none, and
    `TooManyScans`.
    """
    at, scans = 2, 0
    while at + 4 <= len(source):
        marker = source[at + 1]
        if source[at] != 0xFF:
            raise CutShort
        if marker == 0xFF:
            # Fill byte.
            at += 1
            continue
        if marker == 0xD9:
            return at + 2
        at += 2 + int.from_bytes(source[at + 2 : at + 4])
        if marker == 0xDA:
            scans += 1
            if scans > MOST_SCANS:
                raise TooManyScans
            at = _behind_scan(source, at)
    if source[at : at + 2] == b"\xff\xd9":
        return at + 2
    raise CutShort


def _behind_scan(source: bytes, at: int) -> int:
    """Return where the next marker stands: in a scan, 0xFF is followed by 0 or a restart marker."""
    while (at := source.find(b"\xff", at)) >= 0 and at + 1 < len(source):
        follows = source[at + 1]
        if follows != 0 and not 0xD0 <= follows <= 0xD7:
            return at
        at += 2
    raise CutShort
