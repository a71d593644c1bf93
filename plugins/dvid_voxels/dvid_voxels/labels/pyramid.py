"""Lower scales: a block of scale s + 1 from the eight of scale s that it covers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..geometry import Triple
from .blocks import Blocks
from .form import Buffer, zero
from .loading import KEY, kernels

_OLD: Triple = (2, 0, 0)


def downres(children: Sequence[Buffer | None], size: Triple, old: Buffer | None = None) -> bytes:
    """The block of the next scale; all blocks have `size` (z, y, x) voxels.

    `children` are eight: number 4 * (z & 1) + 2 * (y & 1) + (x & 1) is the child at block (z, y, x), whose parent is
    (z >> 1, y >> 1, x >> 1).  A child that is None was not touched: its octant stays what it is in `old`, the parent as
    it was; without `old` it is 0.  A child that was never written but is to count as zeros is `zero(size)`.

    Each voxel is the vote of eight: zeros have no vote, most votes win, of equals the smallest label; 0 only where all
    are 0.  The result is packed as by `encode`.  Raises `BadBlock`.
    """
    if len(children) != 8:
        raise ValueError(f"a block has eight children, not {len(children)}")
    found = [((n >> 2, n >> 1 & 1, n & 1), child) for n, child in enumerate(children) if child is not None]
    if old is not None and len(found) < 8:
        found.append((_OLD, old))
    if not found:
        return zero(size)
    blocks = Blocks.of(found, size)
    number = np.full(9, -1, np.int64)
    for row, (place, _) in enumerate(sorted(found)):
        z, y, x = place
        number[4 * z + 2 * y + x if place != _OLD else 8] = row
    packed: NDArray[np.uint8] = kernels().downres(*blocks.laid(), *blocks.grid, number, KEY)
    return packed.tobytes()
