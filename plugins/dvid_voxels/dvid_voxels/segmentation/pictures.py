"""Slices of labels as images.  Functions are kernels unless they are coroutines."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dvid_core import Reply

from ..geometry import Box
from ..images import Format, Picture, check_picture, encode, picture_of
from ..paths import Plane
from .volume import Array, LabelVolume

BACKGROUND = (99, 133, 42)
"""The colour of label 0."""


async def slice_reply(
    volume: LabelVolume,
    plane: Plane,
    box: Box,
    form: Format,
    *,
    size: tuple[int, int] | None = None,
    colour: bool = False,
) -> Reply:
    """The slice `box`, one voxel thick, as an image of its labels or, with `colour`, of a colour for each.

    `size` (w, h) is that of the image, whose pixels then are the nearest voxels; else the slice's.
    """
    across, down = plane.axes
    width, height = size or (box.size[2 - across], box.size[2 - down])
    check_picture(form, width, height, 8)
    check_picture(Format(), box.size[2 - across], box.size[2 - down], 8)
    voxels = plane.flat(await volume.read(box))
    return Reply(await volume.view.run(_image, voxels, (width, height), form, colour), form.content_type)


def _image(voxels: Array, size: tuple[int, int], form: Format, colour: bool) -> bytes:
    (h, w), (width, height) = voxels.shape, size
    if (h, w) != (height, width):
        voxels = voxels[np.arange(height) * h // height][:, np.arange(width) * w // width]
    if not colour and form.kind != "bmp":
        return encode(picture_of(voxels, "rgba16"), form)
    file = io.BytesIO()
    rgb = colours(np.ascontiguousarray(voxels)) if colour else opaque(picture_of(voxels, "rgba16"))
    Image.fromarray(rgb).save(file, form.kind.upper(), quality=form.quality, **({"dpi": (0, 0)} if not colour else {}))
    return file.getvalue()


def opaque(picture: Picture) -> NDArray[np.uint8]:
    """(h, w, 4) of 16-bit RGBA -> (h, w, 3): as it looks on black, which for labels below 2^48 is black."""
    wide = picture.astype(np.uint32)
    return (wide[:, :, :3] * wide[:, :, 3:] // 65535 >> 8).astype(np.uint8)


def colours(labels: Array) -> NDArray[np.uint8]:
    """(h, w) -> (h, w, 3): the first bytes of the big-endian MurmurHash3 (x86, 32 bits) of each label's 8 bytes.

    https://github.com/aappleby/smhasher/blob/master/src/MurmurHash3.cpp
    """
    words = labels.astype("<u8", copy=False).view("<u4").reshape(*labels.shape, 2)
    h = np.zeros(labels.shape, np.uint32)
    with np.errstate(over="ignore"):
        for i in range(2):
            k = words[..., i] * np.uint32(0xCC9E2D51)
            k = (k << np.uint32(15) | k >> np.uint32(17)) * np.uint32(0x1B873593)
            h ^= k
            h = (h << np.uint32(13) | h >> np.uint32(19)) * np.uint32(5) + np.uint32(0xE6546B64)
        h ^= np.uint32(8)
        h ^= h >> np.uint32(16)
        h *= np.uint32(0x85EBCA6B)
        h ^= h >> np.uint32(13)
        h *= np.uint32(0xC2B2AE35)
        h ^= h >> np.uint32(16)
    return np.stack([(h >> np.uint32(s) & np.uint32(255)).astype(np.uint8) for s in (24, 16, 8)], axis=-1)
