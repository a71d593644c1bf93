"""What replies of image instances mean: decoders for `dvid_core.testing.replay`."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import lz4.block  # type: ignore[import-untyped]
import numpy as np
from PIL import Image

from dvid_core.testing.meaning import DECODERS, Decoder, Mismatch

from ..images import Array, frames, picture


def rgba(data: bytes) -> Array:
    """An image of any kind of color, as 8-bit RGBA."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


def lz4_with_size(data: bytes) -> bytes:
    """An LZ4 block behind the size of what it holds."""
    (size,) = struct.unpack_from("<I", data)
    return bytes(lz4.block.decompress(data[4:], uncompressed_size=size))


def blocks(form: Callable[[bytes], Any]) -> Decoder:
    """A stream of blocks, each payload read by `form`."""
    return lambda data, _: {at: form(payload) for at, payload in frames(data).items()}


def wide_png(data: bytes) -> Array:
    """A PNG of 16-bit RGBA as (h, w, 8) bytes in the order of the file; RGB stands for an alpha of ffff."""
    at, packed, head = 8, b"", b""
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        body, at = data[at + 8 : at + 8 + size], at + 12 + size
        head = body if kind == b"IHDR" else head
        packed += body if kind == b"IDAT" else b""
    width, height, depth, color, _, _, interlace = struct.unpack(">2I5B", head)
    if depth != 16 or color not in (2, 6) or interlace:
        raise Mismatch(f"a PNG of depth {depth}, color type {color}, interlace {interlace} is no 16-bit RGBA")
    step = 8 if color == 6 else 6
    lines = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, -1)
    out = np.full((height, width, 8), 255, np.uint8)
    above = np.zeros((width + 1, step), int)
    for y, line in enumerate(lines):
        row = np.zeros((width + 1, step), int)
        for x, raw in enumerate(line[1:].reshape(width, step), 1):
            row[x] = (raw + _predicted(int(line[0]), row[x - 1], above[x], above[x - 1])) & 255
        out[y, :, :step] = row[1:]
        above = row
    return out


def _predicted(kind: int, left: Array, up: Array, corner: Array) -> Array:
    if kind == 4:
        a, b, c = np.abs(up - corner), np.abs(left - corner), np.abs(left + up - 2 * corner)
        return np.where((a <= b) & (a <= c), left, np.where(b <= c, up, corner))
    return (np.zeros_like(left), left, up, (left + up) // 2)[kind]


IMAGE_DECODERS: dict[str, Decoder] = {
    **DECODERS,
    "image": lambda data, _: picture(data),
    "rgba": lambda data, _: rgba(data),
    "png-u64": lambda data, _: wide_png(data),
    "raw-blocks": blocks(bytes),
    "gzip-blocks": blocks(gzip.decompress),
    "lz4size-blocks": blocks(lz4_with_size),
    "image-blocks": blocks(picture),
}
