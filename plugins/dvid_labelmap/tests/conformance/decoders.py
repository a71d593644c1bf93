"""What replies of labelmaps mean: decoders for `dvid_core.testing.replay`."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zlib
from collections.abc import Callable
from typing import Any

import lz4.block  # type: ignore[import-untyped]
import numpy as np
from PIL import Image

from dvid_core.testing.meaning import DECODERS, Decoder, Mismatch, protobuf_fields

from ..segmentation import Array, decode, frames


def unlz4(data: bytes, size: int) -> bytes:
    """An LZ4 block of so many bytes."""
    return bytes(lz4.block.decompress(data, uncompressed_size=size))


def blocks(form: Callable[[bytes, Any], Any]) -> Decoder:
    """A stream of blocks, each payload read by `form`."""
    return lambda data, arg: {at: form(payload, arg) for at, payload in frames(data).items()}


def label_index(data: bytes) -> dict[str, Any]:
    """A LabelIndex: its label, and by block and supervoxel the voxels."""
    out: dict[str, Any] = {"label": 0, "blocks": {}}
    for number, _, value in protobuf_fields(data):
        if number == 2:
            out["label"] = value
        elif number == 1:
            entry = {f: v for f, _, v in protobuf_fields(value)}
            pairs = [
                {f: v for f, _, v in protobuf_fields(pair)}
                for kind, _, pair in protobuf_fields(entry.get(2, b""))
                if kind == 1
            ]
            out["blocks"][entry.get(1, 0)] = {p.get(1, 0): p.get(2, 0) for p in pairs}
    return out


def label_indices(data: bytes, arg: Any) -> list[dict[str, Any]]:
    """A LabelIndices message."""
    return [label_index(value) for number, _, value in protobuf_fields(data) if number == 1]


def compressed_indices(data: bytes, arg: Any) -> list[tuple[int, Any]]:
    """The reply of indices-compressed."""
    out: list[tuple[int, Any]] = []
    while data:
        size, label = struct.unpack_from("<2Q", data)
        payload, data = data[16 : 16 + size], data[16 + size :]
        if size and payload[0] != 0x80:
            raise Mismatch(f"the index of {label} begins with {payload[0]}")
        index = label_index(unlz4(payload[5:], struct.unpack_from("<I", payload, 1)[0])) if size else None
        out.append((label, index))
    return out


def wide_png(data: bytes, arg: Any) -> Array:
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


def sizes(data: bytes, arg: Any) -> dict[int, int]:
    """The reply of supervoxel-sizes."""
    found = json.loads(data)
    return dict(zip(found["supervoxels"], found["sizes"], strict=True))


LABEL_DECODERS: dict[str, Decoder] = {
    **DECODERS,
    "u64": lambda data, _: np.frombuffer(data, "<u8"),
    "u64-pairs": lambda data, _: dict(np.frombuffer(data, "<u8").reshape(-1, 2).tolist()),
    "gzip": lambda data, _: gzip.decompress(data),
    "lz4": unlz4,
    "google-seg": google,
    "label-blocks": blocks(lambda payload, _: decode(gzip.decompress(payload))),
    "raw-blocks": blocks(lambda payload, _: payload),
    "gzip-blocks": blocks(lambda payload, _: gzip.decompress(payload)),
    "lz4-blocks": blocks(lambda payload, arg: unlz4(payload, arg or 8 * 64**3)),
    "label-index": lambda data, _: label_index(data),
    "label-indices": label_indices,
    "indices-compressed": compressed_indices,
    "sv-sizes": sizes,
    "png-u64": wide_png,
    "image-rgb": lambda data, _: np.asarray(Image.open(io.BytesIO(data)).convert("RGB")),
}
