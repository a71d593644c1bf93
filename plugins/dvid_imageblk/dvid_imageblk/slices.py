"""Pictures of slices: cut from a volume, resampled if asked, encoded and sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvid_core import Reply
from dvid_voxels.geometry import Box
from dvid_voxels.images import Format, Picture, Pixels, check_picture, encode, picture_of
from dvid_voxels.paths import Plane
from dvid_voxels.pipeline import pipelined
from dvid_voxels.png import png_rows, png_writer
from dvid_voxels.resample import area_mean
from dvid_voxels.volume import SLAB, Volume


async def slice_reply(volume: Volume, plane: Plane, box: Box, pixels: Pixels, form: Format) -> Reply:
    """The slice `box`, one voxel thick, as an image."""
    height, width = _height_width(plane, box)
    if volume.nbytes(box) > SLAB and form.kind == "png":
        return Reply(content_type=form.content_type, stream=_png_stream(volume, plane, box, pixels))
    check_picture(form, width, height, volume.nbytes(Box((0, 0, 0), (1, 1, 1))))
    voxels = plane.flat(await volume.read(box))
    return Reply(await volume.view.run(_encode, voxels, pixels, form), form.content_type)


async def resampled_reply(
    volume: Volume, plane: Plane, box: Box, size: tuple[int, int], pixels: Pixels, sample: str, form: Format
) -> Reply:
    """The slice `box`, one voxel thick, as an image of `size` (w, h) pixels; `sample` is the dtype of a value."""
    pixel = volume.nbytes(Box((0, 0, 0), (1, 1, 1)))
    height, width = _height_width(plane, box)
    check_picture(form, *size, pixel)
    check_picture(Format(), width, height, pixel)
    voxels = plane.flat(await volume.read(box))
    resized = await volume.view.run(_resize, voxels, size, sample)
    return Reply(await volume.view.run(_encode, resized, pixels, form), form.content_type)


async def tall_reply(volume: Volume, box: Box, pixels: Pixels) -> Reply:
    """The volume `box` as one JPEG with the z planes one below the other."""
    form = Format("jpeg")
    z, y, x = box.size
    check_picture(form, x, y * z, volume.nbytes(Box((0, 0, 0), (1, 1, 1))))
    voxels = (await volume.read(box)).reshape(z * y, x)
    return Reply(await volume.view.run(_encode, voxels, pixels, form), form.content_type)


async def _png_stream(volume: Volume, plane: Plane, box: Box, pixels: Pixels) -> AsyncIterator[bytes]:
    height, width = _height_width(plane, box)
    sample = picture_of(np.zeros((1, 1), volume.codec.item), pixels)
    writer = png_writer((height, width, *sample.shape[2:]), sample.dtype)
    yield writer.head()
    async for rows in pipelined(_rows(volume, plane, strip) for strip in _strips(volume, plane, box)):
        yield await volume.view.run(lambda rows: writer.rows(png_rows(picture_of(rows, pixels))), rows)
    yield writer.end()


def _strips(volume: Volume, plane: Plane, box: Box) -> list[Box]:
    """The slice in strips of whole rows of pixels, about `SLAB` bytes each, cut at the faces of blocks."""
    axis = 2 - plane.axes[1]
    height, _ = _height_width(plane, box)
    row = volume.nbytes(box) // height
    step = volume.block[axis] * max(1, SLAB // (row * volume.block[axis]))
    return list(box.cut(axis, step))


async def _rows(volume: Volume, plane: Plane, strip: Box) -> NDArray[Any]:
    return plane.flat(await volume.read(strip))


def _height_width(plane: Plane, box: Box) -> tuple[int, int]:
    across, down = plane.axes
    return box.size[2 - down], box.size[2 - across]


def _encode(voxels: NDArray[Any], pixels: Pixels, form: Format) -> bytes:
    return encode(picture_of(voxels, pixels), form)


def _resize(voxels: NDArray[Any], size: tuple[int, int], sample: str) -> Picture:
    """Voxels (h, w) as opaque items -> (size[1], size[0]), the means of their values."""
    item = voxels.dtype
    values = np.ascontiguousarray(voxels).view(sample).reshape(*voxels.shape, -1)
    means = area_mean(area_mean(values, 1, size[0]), 0, size[1])
    return np.ascontiguousarray(means).view(item).reshape(size[1], size[0])
