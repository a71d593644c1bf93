"""What replies of image instances mean: decoders for `dvid_core.testing.replay`."""

from __future__ import annotations

import gzip
import io
import struct
from collections.abc import Callable
from typing import Any

import lz4.block  # type: ignore[import-untyped]
import numpy as np
from PIL import Image

from dvid_core.testing.meaning import DECODERS, Decoder
from dvid_voxels.testing.meaning import wide_png

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
