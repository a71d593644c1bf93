"""A look at the directories of a TIFF from a stranger, before a library that believes them reads it.

TIFF 6.0 and BigTIFF: https://www.loc.gov/preservation/digital/formats/fdd/fdd000022.shtml
"""

from __future__ import annotations

import math
import os
import struct
from typing import IO, NamedTuple

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
    head = os.pread(file.fileno(), 16, 0)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 16:
        raise BadSource("the body is no TIFF: it ends within its head")
    form = _BIG if struct.unpack(f"{order}H", head[2:4])[0] == 43 else _CLASSIC
    (at,) = struct.unpack_from(order + form.place, head, 8 if form is _BIG else 4)
    seen: set[int] = set()
    while at:
        if at in seen or len(seen) >= IMAGES:
            raise BadSource(f"the TIFF has more than {IMAGES} images, or its directories go round in a circle")
        seen.add(at)
        at = _check_directory(file.fileno(), at, order, form)


class _Form(NamedTuple):
    """A directory for `struct`: the count of its tags, a place, a tag (code, type, count, value or place)."""

    counter: str
    place: str
    tag: str


_CLASSIC, _BIG = _Form("H", "I", "HHII"), _Form("Q", "Q", "HHQQ")


def _check_directory(file: int, at: int, order: str, form: _Form) -> int:
    """Check one directory; the place of the next, 0 behind the last."""
    counter, place, tag = (struct.Struct(order + part) for part in form)
    try:
        (count,) = counter.unpack(os.pread(file, counter.size, at))
        if count > TAGS:
            raise BadSource(f"an image of the TIFF has {count} tags; at most {TAGS} are taken")
        data = os.pread(file, count * tag.size + place.size, at + counter.size)
        tags = [tag.unpack_from(data, n * tag.size) for n in range(count)]
        (following,) = place.unpack_from(data, count * tag.size)
    except (struct.error, OverflowError, OSError):
        raise BadSource("a directory of the TIFF lies beyond its end") from None
    nbytes = sum(_WIDTHS.get(kind, 8) * n for _, kind, n, _ in tags)
    if nbytes > TAG_BYTES:
        raise BadSource(f"the tags of an image of the TIFF have {nbytes} bytes; at most {TAG_BYTES} are taken")
    # A short number stands in the first bytes of what was read as a place.
    sides = [
        struct.unpack_from(order + {1: "B", 3: "H", 4: "I"}.get(kind, form.place), place.pack(value))[0]
        for code, kind, _, value in tags
        if code in (TILE_WIDTH, TILE_LENGTH)
    ]
    if math.prod(sides) > TILE:
        raise BadSource(f"the TIFF has tiles of more than {TILE} pixels")
    return int(following)
