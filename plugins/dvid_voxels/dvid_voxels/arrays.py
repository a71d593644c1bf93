"""Kernels between stored blocks and arrays.  Blocking; they release the GIL in their copies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .codecs import Codec
from .geometry import Box, Triple

Array = NDArray[Any]


def gather(out: Array, box: Box, codec: Codec, found: Iterable[tuple[Triple, bytes]]) -> None:
    """Copy stored blocks (block coordinates z, y, x and value) into `out`, the voxels of `box` (z, y, x).

    Raises `DamagedBlock`.
    """
    for at, stored in found:
        whole = Box(at, (1, 1, 1)).voxels(codec.shape)
        part = whole.common(box)
        if part is not None:
            block = codec.decode(stored)
            out[part.slices(box)] = block if part == whole else block[part.slices(whole)]


def scatter(
    source: Array, box: Box, codec: Codec, blocks: Iterable[Triple], old: Mapping[Triple, bytes | None]
) -> list[bytes]:
    """The stored forms of `blocks` with the voxels of `source`, an array (z, y, x) of `box`, written into them.

    A block that is not wholly inside of `box` keeps its other voxels, which are those of `old`, or 0.
    """
    out = []
    for at in blocks:
        whole = Box(at, (1, 1, 1)).voxels(codec.shape)
        part = whole.common(box)
        if part == whole:
            block = np.ascontiguousarray(source[part.slices(box)])
        else:
            stored = old.get(at)
            block = np.zeros(codec.shape, codec.item) if stored is None else codec.decode(stored).copy()
            if part is not None:
                block[part.slices(whole)] = source[part.slices(box)]
        out.append(codec.encode(block))
    return out


def hide(out: Array, box: Box, block: Triple, mask: Array, fill: int) -> None:
    """Fill the voxels of `out` (of `box`) whose block is not in `mask` with the byte `fill`.

    `mask` is an array (z, y, x) of booleans, one for each block that `box` touches.
    """
    first = box.blocks(block).low
    places = [np.arange(o, o + s) // b - f for o, s, b, f in zip(box.low, box.size, block, first)]
    out.view(np.uint8).reshape(*box.size, out.itemsize)[~mask[np.ix_(*places)]] = fill
