"""Kernels about the pictures of tiles."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from dvid_voxels.images import Format, Picture, encode
from dvid_voxels.resample import area_mean

SPARE = 4
"""A tile may have so many times the pixels of a full one and is still decoded; what is beyond is cut off."""

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF")


@lru_cache(16)
def blank(width: int, height: int, form: Format) -> bytes:
    """A black 8-bit image."""
    return encode(np.zeros((height, width), np.uint8), form)


def empty_like(sample: Picture, width: int, height: int) -> Picture:
    """A black picture of the kind of `sample`."""
    return np.zeros((height, width, *sample.shape[2:]), sample.dtype)


def decoded(data: bytes, sample: Picture, width: int, height: int) -> Picture | None:
    """The picture of a tile, of the kind of `sample` and at most width x height; None when the bytes are no image."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > SPARE * width * height:
                return None
            return _converted(image, sample)[:height, :width]
    except Exception:
        # Whatever a client posted as a tile may be anything, and decoders fail in many ways.
        return None


def _converted(image: Image.Image, sample: Picture) -> Picture:
    if sample.ndim == 3:
        pixels = np.asarray(image.convert("RGBA"))
        return pixels if sample.dtype.itemsize == 1 else pixels.astype(sample.dtype) * 257
    if sample.dtype.itemsize == 2 and image.mode.startswith("I"):
        return np.asarray(image).astype(sample.dtype)
    gray = np.asarray(image if image.mode == "L" else image.convert("L"))
    return gray if sample.dtype.itemsize == 1 else gray.astype(sample.dtype) * 257


def paste(out: Picture, part: Picture, left: int, top: int) -> None:
    """Copy `part` to the place of `out` where its first pixel is at (left, top), which may be outside."""
    height, width = out.shape[:2]
    rows, columns = part.shape[:2]
    x0, y0, x1, y1 = max(0, left), max(0, top), min(width, left + columns), min(height, top + rows)
    if x0 < x1 and y0 < y1:
        out[y0:y1, x0:x1] = part[y0 - top : y1 - top, x0 - left : x1 - left]


def placeholder(sample: Picture, width: int, height: int, text: str) -> Picture:
    """A picture of the kind of `sample` that shows a text."""
    image = Image.new("L", (width, height))
    ImageDraw.Draw(image).text((4, height // 2 - 6), text, fill=160)
    gray = np.asarray(image).astype(sample.dtype) * (1 if sample.dtype.itemsize == 1 else 257)
    return gray if sample.ndim == 2 else np.repeat(gray[:, :, None], 4, axis=2)


def merged(stack: Picture, wide: int, high: int) -> Picture:
    """Smaller pictures (slices, h, w, ...), each pixel the mean of wide x high ones, rounded down.

    Slices are not mixed; `wide` and `high` divide their size.
    """
    if wide == high == 1:
        return stack
    kind = np.uint32 if stack.dtype.itemsize == 1 else np.uint64
    total: Any = None
    for y in range(high):
        for x in range(wide):
            part = stack[:, y::high, x::wide]
            total = part.astype(kind) if total is None else np.add(total, part, out=total)
    means: Picture = (total // kind(wide * high)).astype(stack.dtype)
    return means


def resized(picture: Picture, width: int, height: int) -> Picture:
    """The picture with another size, each pixel the mean of what it covers, rounded down."""
    return area_mean(area_mean(picture, 1, width), 0, height)


def finished(picture: Picture, size: tuple[int, int] | None, form: Format) -> bytes:
    """The picture as it is sent, with another size (w, h) if one is given."""
    return encode(picture if size is None else resized(picture, *size), form)
