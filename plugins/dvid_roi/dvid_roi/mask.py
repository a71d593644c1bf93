"""Masks: a byte for each voxel of a box, streamed layer of blocks by layer of blocks."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
from numpy.typing import NDArray

from dvid_core import BadRequest
from dvid_voxels.geometry import Box, Triple

from .region import VersionRegion

WIDEST = 1 << 20
"""Voxels along one axis: a row is made whole."""

LARGEST = 1 << 34
"""Voxels of a mask; it is streamed, so this is a matter of time."""

BLOCKS = 1 << 24
"""Blocks of one layer, which is held in memory."""

PIECE = 1 << 20
QUICK = 64 << 10
"""Bytes that are made in less time than a hop to a thread takes."""


def mask_box(size: tuple[int, int, int], offset: tuple[int, int, int], block: Triple) -> Box:
    """The box of a mask from the size and offset x, y, z of the request.  Raises `BadRequest`."""
    for name, n in zip("xyz", size):
        if not 0 <= n <= WIDEST:
            raise BadRequest(f"size: {name} must be from 0 to {WIDEST} voxels, got {n}")
    box = Box(offset[::-1], size[::-1])
    if box.count > LARGEST:
        raise BadRequest(f"size: {box.count} voxels are more than the {LARGEST} that a mask can have")
    _, rows, columns = box.blocks(block).size
    if rows * columns > BLOCKS:
        raise BadRequest(f"size: a slice touches {rows * columns} blocks; at most {BLOCKS} are possible")
    return box


async def mask_stream(region: VersionRegion, box: Box) -> AsyncIterator[bytes]:
    """The bytes of the mask of a box that is not empty: 1 inside, 0 outside; x fastest, then y, then z."""
    run = region.view.run
    _, rows, width = box.size
    _, down, along = _places(box, region.block)
    for layer in box.layers(region.block):
        inside = (await region.inside(layer.blocks(region.block)))[0]
        depth = layer.size[0]
        if rows * width <= PIECE:
            quick = rows * width <= QUICK
            plane = _voxels(inside, down, along) if quick else await run(_voxels, inside, down, along)
            slices = PIECE // (rows * width)
            for at in range(0, depth, slices):
                yield plane * min(slices, depth - at)
            continue
        step = max(1, PIECE // width)
        for _ in range(depth):
            for at in range(0, rows, step):
                yield await run(_voxels, inside, down[at : at + step], along)


def _places(box: Box, block: Triple) -> list[NDArray[np.int64]]:
    """For each voxel along z, y, x the place of its block among those that the box touches."""
    first = box.blocks(block).low
    return [np.arange(o, o + s) // b - f for o, s, b, f in zip(box.low, box.size, block, first)]


def _voxels(inside: NDArray[np.bool_], down: NDArray[np.int64], along: NDArray[np.int64]) -> bytes:
    """A kernel: some rows of a slice; `inside` are the blocks (y, x), the others their places for each voxel."""
    first = down[0]
    rows = inside[first : down[-1] + 1].take(along, axis=1)
    return rows.take(down - first, axis=0).tobytes()
