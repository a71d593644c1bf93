"""Planes at any angle, by trilinear interpolation."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from typing import Any, TypeAlias, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from dvid_core import BadRequest, Reply
from dvid_voxels.codecs import Codec
from dvid_voxels.geometry import Triple
from dvid_voxels.images import Format, check_picture, encode
from dvid_voxels.pipeline import pipelined
from dvid_voxels.png import png_rows, png_writer
from dvid_voxels.volume import BATCH, DIRECT, Stored, Volume

PIXELS = 1 << 26
"""Pixels of the largest picture: each costs a look at eight voxels."""

SIDE = 1 << 15

STRIP = 1 << 15
"""Pixels that are worked on at a time; their voxels may lie in 8 times as many blocks."""

Point: TypeAlias = tuple[float, float, float]
Places: TypeAlias = NDArray[np.float64]


class Tilted(msgspec.Struct, frozen=True):
    """A plane in voxel space; vectors are x, y, z.  Its pixels are (ny + 1) rows of (nx + 1)."""

    corner: Point
    right: Point
    down: Point
    nx: int
    ny: int
    voxel_size: Point

    @classmethod
    def through(cls, tl: Point, tr: Point, bl: Point, res: float, voxel_size: Point) -> Tilted:
        """The plane by three corners and the size of a pixel, in the units of `voxel_size`.  Raises `BadRequest`."""
        if res <= 0:
            raise BadRequest(f"res: expected a positive number, got {res}")
        for name, point in (("tl", tl), ("tr", tr), ("bl", bl)):
            if any(not -(2**30) < p / v < 2**30 for p, v in zip(point, voxel_size)):
                raise BadRequest(f"{name}: beyond 32-bit voxel coordinates")
        across, along = math.dist(tl, tr) / res, math.dist(tl, bl) / res
        if (across + 1) * (along + 1) > PIXELS or max(across, along) >= SIDE:
            raise BadRequest(
                f"res: a picture of {across:.0f} x {along:.0f} pixels is too large; at most {PIXELS} pixels and {SIDE} "
                "a side are possible"
            )
        nx, ny = int(across), int(along)
        return cls(tl, _step(tl, tr, nx), _step(tl, bl, ny), nx, ny, voxel_size)

    def strips(self, rows: int) -> Iterator[Places]:
        """Where the pixels lie, in voxels, so many rows at a time: (rows, nx + 1, 3), x, y, z.

        Positions are sums of steps, as the reference makes them.
        """
        start: Places = np.array(self.corner)
        for first in range(0, self.ny + 1, rows):
            count = min(rows, self.ny + 1 - first)
            starts = _walk(start[None], self.down, count + 1)[0]
            start = starts[-1]
            yield np.divide(_walk(starts[:-1], self.right, self.nx + 1), self.voxel_size)


def _step(start: Point, end: Point, n: int) -> Point:
    x, y, z = ((b - a) / n if n else 0.0 for a, b in zip(start, end))
    return x, y, z


def _walk(starts: Places, step: Point, count: int) -> Places:
    """(n, 3) and (3) -> (n, count, 3): start, start + step, (start + step) + step, ..."""
    out = np.empty((len(starts), count, 3))
    out[:] = step
    out[:, 0] = starts
    return cast("Places", np.add.accumulate(out, axis=1))


async def arb_reply(volume: Volume, plane: Tilted, channels: int, form: Format) -> Reply:
    """The picture of a tilted plane; voxels have `channels` bytes, 1 or 4."""
    width, height = plane.nx + 1, plane.ny + 1
    pieces = _pictures(volume, plane, channels)
    if form.kind == "png":
        writer = png_writer((height, width) if channels == 1 else (height, width, 4), np.dtype(np.uint8))

        async def stream() -> AsyncIterator[bytes]:
            yield writer.head()
            async for piece in pieces:
                yield await volume.view.run(lambda piece: writer.rows(png_rows(piece)), piece)
            yield writer.end()

        return Reply(content_type=form.content_type, stream=stream())
    check_picture(form, width, height, channels)
    picture = np.concatenate([piece async for piece in pieces])
    return Reply(await volume.view.run(encode, picture, form), form.content_type)


async def _pictures(volume: Volume, plane: Tilted, channels: int) -> AsyncIterator[NDArray[np.uint8]]:
    for places in plane.strips(max(1, STRIP // (plane.nx + 1))):
        yield await _picture(volume, places, channels)


async def _picture(volume: Volume, places: Places, channels: int) -> NDArray[np.uint8]:
    """Places (h, w, 3) -> (h, w) or (h, w, 4) of u1."""
    height, width, _ = places.shape
    lattice = await volume.view.run(Lattice, places.reshape(-1, 3), volume.block)
    values = np.full((lattice.count, channels), volume.background, np.uint8)
    async for found in pipelined(volume.values(names) for names in _batches(lattice.blocks, volume.codec.nbytes)):
        await volume.view.run(lattice.pick, values, found, volume.codec)
    pixels = await volume.view.run(lattice.blend, values)
    return pixels.reshape((height, width) if channels == 1 else (height, width, channels))


def _batches(names: list[Triple], nbytes: int) -> Iterator[list[Triple]]:
    rest = iter(names)
    while batch := list(islice(rest, max(1, min(DIRECT, BATCH // nbytes)))):
        yield batch


class Lattice:
    """The eight voxels around each of n places, and the blocks they are in.  Methods are kernels."""

    def __init__(self, places: Places, block: Triple) -> None:
        """`places` are (n, 3), x, y, z in voxels."""
        below = np.floor(places)
        self._rest = places - below
        ends = np.stack([below, np.ceil(places)]).astype(np.int64)
        picks = [(ends[c & 1, :, 0], ends[c >> 1 & 1, :, 1], ends[c >> 2, :, 2]) for c in range(8)]
        zyx = np.stack([np.stack(p[::-1], axis=-1) for p in picks]).reshape(-1, 3)
        size = np.array(block)
        at = zyx // size
        inside = zyx - at * size
        self._inside = (inside[:, 0] * size[1] + inside[:, 1]) * size[2] + inside[:, 2]
        low = at.min(axis=0)
        span = at.max(axis=0) - low + 1
        number = ((at[:, 0] - low[0]) * span[1] + at[:, 1] - low[1]) * span[2] + at[:, 2] - low[2]
        order = np.argsort(number, kind="stable")
        firsts = np.flatnonzero(np.diff(number[order], prepend=-1))
        self._members = dict(zip(map(tuple, at[order[firsts]].tolist()), np.split(order, firsts[1:])))
        self.count = len(zyx)

    @property
    def blocks(self) -> list[Triple]:
        """Coordinates of the blocks that are touched, in order."""
        return list(self._members)

    def pick(self, values: NDArray[np.uint8], found: list[Stored], codec: Codec) -> None:
        """Fill the rows of `values` (count, channels) that lie in these blocks."""
        for at, stored in found:
            members = self._members[at]
            voxels: NDArray[Any] = codec.decode(stored).reshape(-1).view(np.uint8).reshape(-1, values.shape[1])
            values[members] = voxels[self._inside[members]]

    def blend(self, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(count, channels) -> (n, channels): interpolated along x, y, z, rounded half up, at most 255."""
        corners = values.reshape(8, -1, values.shape[1]).astype(np.float64)
        for axis in range(3):
            t = self._rest[:, axis, None]
            corners = corners[0::2] * (1 - t) + corners[1::2] * t
        rounded: NDArray[np.uint8] = np.minimum(np.floor(corners[0] + 0.5), 255).astype(np.uint8)
        return rounded
