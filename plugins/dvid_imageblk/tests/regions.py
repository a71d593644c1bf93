"""A datatype that offers `RoiMask`: all blocks whose coordinates add up to an even number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from dvid_core import Instance, View, hookimpl
from dvid_voxels.geometry import Box
from dvid_voxels.peers import RoiMask

P = TypeVar("P")


class Evens:
    async def inside(self, blocks: Box) -> NDArray[np.bool_]:
        z, y, x = np.indices(blocks.size)
        return cast("NDArray[np.bool_]", (z + y + x + sum(blocks.low)) % 2 == 0)


class EvenBlocks(Instance):
    """Every other block."""

    typename = "evenblocks"

    def offer(self, protocol: type[P], view: View) -> P | None:
        return cast("P", Evens()) if protocol is RoiMask else None


@hookimpl
def dvid_datatypes() -> Sequence[type[Instance]]:
    return [EvenBlocks]
