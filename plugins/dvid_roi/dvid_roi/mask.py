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

TOGETHER = 1 << 16
"""Blocks that are looked up at a time, unless a layer has more."""

PIECE = 2 << 20
"""Bytes that are sent at a time."""


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
    down, along = _places(box, region.block)
    slices = PIECE // (rows * width)
    before, slab = np.empty((0, 0), bool), b""
    async for inside, depth in _layers(region, box):
        if not slices:
            step = max(1, PIECE // width)
            for _ in range(depth):
                for at in range(0, rows, step):
                    yield await run(_voxels, inside, down[at : at + step], along, 1)
            continue
        # Often a mask is all inside or all outside, and a slab does for many layers.
        if not np.array_equal(inside, before):
            slab = await run(_voxels, inside, down, along, min(slices, region.block[0], box.size[0]))
            before = inside
        left = depth * rows * width
        while left > 0:
            yield slab if left >= len(slab) else slab[:left]
            left -= len(slab)


async def _layers(region: VersionRegion, box: Box) -> AsyncIterator[tuple[NDArray[np.bool_], int]]:
    """For each layer of blocks which blocks (y, x) are inside, and how many slices of the box it has."""
    _, rows, columns = box.blocks(region.block).size
    for part in box.layers(region.block, max(1, TOGETHER // (rows * columns))):
        inside = await region.inside(part.blocks(region.block))
        for blocks, layer in zip(inside, part.layers(region.block)):
            yield blocks, layer.size[0]


def _places(box: Box, block: Triple) -> list[NDArray[np.int64]]:
    """For each voxel along y and x the place of its block among those that the box touches."""
    first = box.blocks(block).low
    axes = list(zip(box.low, box.size, block, first))[1:]
    return [np.arange(low, low + size) // width - start for low, size, width, start in axes]


def _voxels(inside: NDArray[np.bool_], down: NDArray[np.int64], along: NDArray[np.int64], times: int) -> bytes:
    """A kernel: some rows of a slice, repeated; `inside` are the blocks (y, x), then their places for each voxel."""
    first = down[0]
    rows = inside[first : down[-1] + 1].take(along, axis=1)
    return bytes(rows.take(down - first, axis=0).data) * times
