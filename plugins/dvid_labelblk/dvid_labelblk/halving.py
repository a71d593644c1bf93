"""Half resolution by labelblk's rule, which differs from that of other label volumes: background votes like any label,
and of equal counts the larger label wins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dvid_voxels import labels
from dvid_voxels.geometry import Box, Triple
from dvid_voxels.segmentation.volume import Array


def halved(children: Sequence[tuple[Triple, bytes]], mask: int, size: Triple, old: bytes | None) -> bytes:
    """A kernel: the label block over eight others.

    `children` are those of them that exist, by their place (z, y, x), each 0 or 1; `mask` has the bit
    4 z + 2 y + x of each that was written.  The others' octants stay what they are in `old`.
    """
    blocks = labels.Blocks.of(children, size)
    voxels = voted(labels.assemble(blocks, Box((0, 0, 0), (2 * size[0], 2 * size[1], 2 * size[2]))))
    if mask != 255:
        before = np.zeros(size, np.uint64) if old is None else labels.decode(old, size)
        for n in range(8):
            if not mask >> n & 1:
                octant = tuple(
                    slice(side // 2) if not n >> shift & 1 else slice(side // 2, side)
                    for side, shift in zip(size, (2, 1, 0))
                )
                voxels[octant] = before[octant]
    return labels.encode(voxels)


def voted(voxels: Array) -> Array:
    """(2z, 2y, 2x) -> (z, y, x): of each 2 x 2 x 2 voxels the most frequent label, the largest of equals."""
    z, y, x = (side // 2 for side in voxels.shape)
    eights = voxels.reshape(z, 2, y, 2, x, 2).transpose(0, 2, 4, 1, 3, 5).reshape(-1, 8)
    out: NDArray[np.uint64] = eights[:, 0].copy()
    mixed = np.flatnonzero((eights != eights[:, :1]).any(axis=1))
    some = np.sort(eights[mixed], axis=1)
    best, votes, run = some[:, 0].copy(), np.ones(len(some), np.int8), np.ones(len(some), np.int8)
    for n in range(1, 8):
        run = np.where(some[:, n] == some[:, n - 1], run + 1, np.int8(1))
        # Ascending, so that of equals the last one is the largest.
        better = run >= votes
        best[better], votes[better] = some[better, n], run[better]
    out[mixed] = best
    return out.reshape(z, y, x)
