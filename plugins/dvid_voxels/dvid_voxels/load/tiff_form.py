"""A look at the directories of a TIFF from a stranger, before a library that believes them reads it.

TIFF 6.0 and BigTIFF: https://www.loc.gov/preservation/digital/formats/fdd/fdd000022.shtml
"""

from __future__ import annotations

import os
import struct
from typing import IO

from .source import BadSource

IMAGES = 65_536
TAGS = 256
"""Tags of one image; some 20 are usual."""

TAG_BYTES = 4 << 20
"""Bytes of the values of all tags of one image."""

TILE = 1 << 26
"""Pixels of a tile."""

_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of a value of each type."""

TILE_WIDTH, TILE_LENGTH = 322, 323


def check_tiff(file: IO[bytes]) -> None:
    """Raise `BadSource` when a directory claims more than an image has, or directories go round in a circle."""
    size = os.fstat(file.fileno()).st_size
    head = os.pread(file.fileno(), 16, 0)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 16:
        raise BadSource("the body is no TIFF: it ends within its head")
    big = struct.unpack(f"{order}H", head[2:4])[0] == 43
    # Bytes of the count of tags and of an offset, and the form of a tag: code, type, count, value or its place.
    count_form, place_form, tag_form = ("Q", "Q", "HHQQ") if big else ("H", "I", "HHII")
    (at,) = struct.unpack_from(order + place_form, head, 8 if big else 4)
    seen: set[int] = set()
    while at:
        if at in seen or len(seen) >= IMAGES:
            raise BadSource(f"the TIFF has more than {IMAGES} images, or its directories go round in a circle")
        seen.add(at)
        at = _check_directory(file, at, size, order, count_form, place_form, tag_form)


def _check_directory(
    file: IO[bytes], at: int, size: int, order: str, count_form: str, place_form: str, tag_form: str
) -> int:
    """Check one directory; the place of the next, 0 behind the last."""
    counter, tag, place = (struct.Struct(order + form) for form in (count_form, tag_form, place_form))
    try:
        (count,) = counter.unpack(os.pread(file.fileno(), counter.size, at))
        if count > TAGS:
            raise BadSource(f"an image of the TIFF has {count} tags; at most {TAGS} are taken")
        data = os.pread(file.fileno(), count * tag.size + place.size, at + counter.size)
        tags = [tag.unpack_from(data, n * tag.size) for n in range(count)]
        (following,) = place.unpack_from(data, count * tag.size)
    except (struct.error, OverflowError, OSError):
        raise BadSource("a directory of the TIFF lies beyond its end") from None
    nbytes = sum(_WIDTHS.get(kind, 8) * n for _, kind, n, _ in tags)
    if nbytes > TAG_BYTES:
        raise BadSource(f"the tags of an image of the TIFF have {nbytes} bytes; at most {TAG_BYTES} are taken")
    sides = {
        code: _number(order, kind, value, place) for code, kind, _, value in tags if code in (TILE_WIDTH, TILE_LENGTH)
    }
    if sides.get(TILE_WIDTH, 1) * sides.get(TILE_LENGTH, 1) > TILE:
        raise BadSource(f"the TIFF has tiles of more than {TILE} pixels")
    return int(following) if following < size else 0


def _number(order: str, kind: int, value: int, place: struct.Struct) -> int:
    """A number that was read as wide as a place, but may be shorter."""
    return int(struct.unpack_from(order + {1: "B", 3: "H", 4: "I"}.get(kind, place.format[-1:]), place.pack(value))[0])
