"""Pictures and their formats.

A picture is an array (h, w) of u1 or u2, gray, or (h, w, 4) of u1 or u2, RGBA.  All functions but `parse_format` are
kernels.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dvid_core import BadRequest

from .png import png_rows, png_writer

Picture: TypeAlias = NDArray[Any]

JPEG_SIDE = 65_500
PICTURE_BYTES = 64 << 20
"""Bytes of the largest picture that is held in memory."""

Kind: TypeAlias = Literal["png", "jpeg", "tiff", "bmp"]
Pixels: TypeAlias = Literal["gray8", "gray16", "rgba8", "rgba16"]


class Format(msgspec.Struct, frozen=True):
    """How a picture is sent."""

    kind: Kind = "png"
    quality: int = 80

    @property
    def content_type(self) -> str:
        """Its media type."""
        return f"image/{self.kind}"


_NAMES: dict[str, Kind] = {
    "": "png", "png": "png", "jpg": "jpeg", "jpeg": "jpeg", "tif": "tiff", "tiff": "tiff", "bmp": "bmp",
}  # fmt: skip


def parse_format(text: str) -> Format:
    """`png`, `jpg`, `jpg:<quality>`, `jpeg`, `tif`, `tiff`, `bmp`; nothing is `png`.  Raises `BadRequest`."""
    name, _, option = text.lower().partition(":")
    kind = _NAMES.get(name)
    if kind is None:
        raise BadRequest(f"format: expected png, jpg, jpg:<quality>, tif or bmp, got {text[:40]!r}")
    if kind != "jpeg" or not option:
        return Format(kind)
    if not re.fullmatch(r"[+-]?[0-9]{1,9}", option, re.ASCII):
        raise BadRequest(f"format: the quality of a JPEG is a whole number from 1 to 100, got {option[:40]!r}")
    return Format(kind, min(100, max(1, int(option))))


def check_picture(form: Format, width: int, height: int, pixel: int) -> None:
    """Raise `BadRequest` when a picture of so many pixels of `pixel` bytes cannot be made."""
    if form.kind == "jpeg" and max(width, height) > JPEG_SIDE:
        raise BadRequest(f"size: a JPEG has at most {JPEG_SIDE} pixels a side, asked were {width} x {height}")
    if width * height * pixel > PICTURE_BYTES:
        raise BadRequest(f"size: a {form.kind} of {width} x {height} pixels is too large; ask for several, or for png")


def picture_of(voxels: NDArray[Any], pixels: Pixels) -> Picture:
    """The picture of opaque little-endian voxels (h, w): a view where it can be one."""
    if pixels == "gray8" or pixels == "gray16":
        return voxels
    samples = np.ascontiguousarray(voxels).view(np.uint8)
    if pixels == "rgba8":
        return samples.reshape(*voxels.shape, 4)
    # The 8 bytes of a voxel in their order are 4 samples of 16 bits as PNG writes them.
    return samples.view(">u2").reshape(*voxels.shape, 4)


def encode(picture: Picture, form: Format) -> bytes:
    """The bytes of a picture."""
    if form.kind == "png":
        writer = png_writer(picture.shape, picture.dtype)
        return writer.head() + writer.rows(png_rows(picture)) + writer.end()
    if form.kind == "tiff":
        return _tiff(picture)
    small = picture if picture.dtype.itemsize == 1 else (picture >> 8).astype(np.uint8)
    if small.ndim == 3 and form.kind == "jpeg":
        small = small[:, :, :3]
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(small)).save(file, form.kind.upper(), quality=form.quality)
    return file.getvalue()


def _tiff(picture: Picture) -> bytes:
    """TIFF 6.0 with one strip, deflated; little-endian."""
    height, width = picture.shape[:2]
    channels = 1 if picture.ndim == 2 else 4
    depth = picture.dtype.itemsize
    samples = np.ascontiguousarray(picture if depth == 1 else picture.astype("<u2", copy=False))
    strip = zlib.compress(samples.data.cast("B"), 6)
    strip += b"\x00" * (len(strip) % 2)
    bits_at = 8 + len(strip)
    short, long = 3, 4
    bits = struct.pack("<4H", *[8 * depth] * 4) if channels == 4 else b""
    fields = [
        (256, long, 1, width),
        (257, long, 1, height),
        (258, short, channels, bits_at if bits else 8 * depth),
        (259, short, 1, 8),  # deflate
        (262, short, 1, 1 if channels == 1 else 2),  # black is zero; RGB
        (273, long, 1, 8),
        (277, short, 1, channels),
        (278, long, 1, height),
        (279, long, 1, len(strip)),
    ]
    if channels == 4:
        fields.append((338, short, 1, 2))  # the fourth sample is alpha, not premultiplied
    table = struct.pack("<H", len(fields)) + b"".join(struct.pack("<HHII", *f) for f in fields) + b"\x00" * 4
    return struct.pack("<2sHI", b"II", 42, bits_at + len(bits)) + strip + bits + table
