"""Decoders of replies with labels, for `dvid_core.testing.replay`: nothing of the code that makes the replies is used.

assert await replay(case, server.url, LABEL_DECODERS) == []
"""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from collections.abc import Callable
from typing import Any, TypeAlias

import lz4.block  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dvid_core.testing.meaning import DECODERS, Decoder, Mismatch

from .blocks import decode

Array: TypeAlias = NDArray[Any]
Frames: TypeAlias = dict[tuple[int, int, int], bytes]


def unlz4(data: bytes, size: int) -> bytes:
    """An LZ4 block of at most so many bytes."""
    return bytes(lz4.block.decompress(data, uncompressed_size=size))


def frames(data: bytes) -> Frames:
    """A stream of blocks: payloads by block coordinates x, y, z."""
    out: Frames = {}
    at = 0
    while at < len(data):
        x, y, z, size = struct.unpack_from("<4i", data, at)
        payload = data[at + 16 : at + 16 + size]
        if (x, y, z) in out or len(payload) != size:
            raise Mismatch(f"block {x}, {y}, {z} is there twice or is cut")
        out[x, y, z] = payload
        at += 16 + size
    return out


def runs(data: bytes) -> set[tuple[int, int, int]]:
    """The voxels x, y, z of a sparse volume."""
    if len(data) < 12 or data[:4] != b"\x00\x03\x00\x00":
        raise Mismatch(f"{data[:12]!r} is no head of a sparse volume")
    number = struct.unpack_from("<I", data, 8)[0]
    if len(data) != 12 + 16 * number:
        raise Mismatch(f"{number} runs in {len(data)} bytes")
    out: set[tuple[int, int, int]] = set()
    for x, y, z, length in np.frombuffer(data, "<i4", 4 * number, 12).reshape(-1, 4).tolist():
        voxels = {(x + n, y, z) for n in range(length)}
        if voxels & out or not voxels:
            raise Mismatch(f"the run of {length} voxels at {x}, {y}, {z} is empty or overlaps another")
        out |= voxels
    return out


def wide_png(data: bytes) -> Array:
    """A PNG of 16-bit RGBA as labels (h, w); RGB stands for an alpha of ffff."""
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
    out = np.full((height, width, 8), 255, np.uint8)
    above = np.zeros((width + 1, step), int)
    for y, line in enumerate(np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, -1)):
        row = np.zeros((width + 1, step), int)
        for x, raw in enumerate(line[1:].reshape(width, step), 1):
            row[x] = (raw + _predicted(int(line[0]), row[x - 1], above[x], above[x - 1])) & 255
        out[y, :, :step] = row[1:]
        above = row
    return out.view("<u8")[..., 0]


def _predicted(kind: int, left: Array, up: Array, corner: Array) -> Array:
    if kind == 4:
        a, b, c = np.abs(up - corner), np.abs(left - corner), np.abs(left + up - 2 * corner)
        return np.where((a <= b) & (a <= c), left, np.where(b <= c, up, corner))
    return (np.zeros_like(left), left, up, (left + up) // 2)[kind]


def google(data: bytes, size: Any) -> Array:
    """Neuroglancer's compressed segmentation of a box of `size` x, y, z."""
    x, y, z = size
    out = np.zeros((z, y, x), np.uint64)
    words = np.frombuffer(data, "<u4")[struct.unpack_from("<I", data)[0] :]
    grid = z // 8, y // 8, x // 8
    for number in range(grid[0] * grid[1] * grid[2]):
        table, values = int(words[2 * number]), int(words[2 * number + 1])
        bits, table = table >> 24, table & 0xFFFFFF
        which = np.zeros(512, int)
        if bits:
            packed = words[values : values + 16 * bits]
            which = (packed[:, None] >> (bits * np.arange(32 // bits)) & ((1 << bits) - 1)).reshape(512)
        names = words[table : table + 2 * (int(which.max()) + 1)].copy().view("<u8")
        a, b, c = (8 * i for i in np.unravel_index(number, grid))
        out[a : a + 8, b : b + 8, c : c + 8] = names[which].reshape(8, 8, 8)
    return out


def _blocks(form: Callable[[bytes, Any], Any]) -> Decoder:
    return lambda data, arg: {at: form(payload, arg) for at, payload in frames(data).items()}


LABEL_DECODERS: dict[str, Decoder] = {
    **DECODERS,
    "gzip": lambda data, _: gzip.decompress(data),
    "lz4": unlz4,
    "google-seg": google,
    "raw-blocks": _blocks(lambda payload, _: payload),
    "gzip-blocks": _blocks(lambda payload, _: gzip.decompress(payload)),
    "label-blocks": _blocks(lambda payload, _: decode(gzip.decompress(payload))),
    "lz4-blocks": _blocks(unlz4),
    "png-u64": lambda data, _: wide_png(data),
    "image-rgb": lambda data, _: np.asarray(Image.open(io.BytesIO(data)).convert("RGB")),
    "sparsevol": lambda data, _: runs(data),
    "sparsevol-gzip": lambda data, _: runs(gzip.decompress(data)),
    "sparsevol-lz4": lambda data, arg: runs(unlz4(data, arg)),
}
