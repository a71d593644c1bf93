"""Kernels between stored blocks and arrays.  Blocking; they release the GIL in their copies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dvid_core import Piece

from .codecs import Codec
from .geometry import Box, Triple

Array: TypeAlias = NDArray[Any]
Slices: TypeAlias = tuple[slice, slice, slice]


def overlap(at: Triple, block: Triple, box: Box) -> tuple[Slices, Slices | None] | None:
    """Where the block at `at` lies in an array of `box`, and which part of the block that is: None for all of it.

    None when they have nothing in common.  The same as `Box.common` and `Box.slices`, in a fourth of the time: it is
    done for each block of each request.
    """
    (dz, dy, dx), (oz, oy, ox), (sz, sy, sx) = block, box.low, box.size
    z, y, x = at[0] * dz - oz, at[1] * dy - oy, at[2] * dx - ox
    if 0 <= z <= sz - dz and 0 <= y <= sy - dy and 0 <= x <= sx - dx:
        return (slice(z, z + dz), slice(y, y + dy), slice(x, x + dx)), None
    z0, z1, y0, y1, x0, x1 = max(z, 0), min(z + dz, sz), max(y, 0), min(y + dy, sy), max(x, 0), min(x + dx, sx)
    if z0 >= z1 or y0 >= y1 or x0 >= x1:
        return None
    inside = (slice(z0 - z, z1 - z), slice(y0 - y, y1 - y), slice(x0 - x, x1 - x))
    return (slice(z0, z1), slice(y0, y1), slice(x0, x1)), inside


def gather(out: Array, box: Box, codec: Codec, found: Iterable[tuple[Triple, Piece]]) -> None:
    """Copy stored blocks (block coordinates z, y, x and value) into `out`, the voxels of `box` (z, y, x).

    Raises `DamagedBlock`.
    """
    for at, stored in found:
        shared = overlap(at, codec.shape, box)
        if shared is not None:
            place, part = shared
            block = codec.decode(stored)
            out[place] = block if part is None else block[part]


def scatter(
    source: Array, box: Box, codec: Codec, blocks: Iterable[Triple], old: Mapping[Triple, bytes | None]
) -> list[bytes]:
    """The stored forms of `blocks` with the voxels of `source`, an array (z, y, x) of `box`, written into them.

    A block that is not wholly inside of `box` keeps its other voxels, which are those of `old`, or 0.
    """
    out = []
    for at in blocks:
        shared = overlap(at, codec.shape, box)
        if shared is not None and shared[1] is None:
            block = np.ascontiguousarray(source[shared[0]])
        else:
            stored = old.get(at)
            block = np.zeros(codec.shape, codec.item) if stored is None else codec.decode(stored).copy()
            if shared is not None and shared[1] is not None:
                block[shared[1]] = source[shared[0]]
        out.append(codec.encode(block))
    return out


def cover(out: Array, box: Box, block: Triple, blocks: Iterable[Triple], fill: int) -> None:
    """Fill the voxels of `blocks` in `out`, an array (z, y, x) of `box`, with the byte `fill`."""
    value = np.full(out.itemsize, fill, np.uint8).view(out.dtype)[0]
    for at in blocks:
        shared = overlap(at, block, box)
        if shared is not None:
            out[shared[0]] = value
