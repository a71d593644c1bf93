"""`Region`: what types ask of a region of interest beyond `RoiMask`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .geometry import Box, Triple
from .peers import RoiMask
from .spans import Spans


class Region(RoiMask, Protocol):
    """A region of interest at one version: `await view.peer(name, Region)`; of another version by `view.at(node)`.

    All calls on one object see the same state, also when the region is replaced meanwhile.
    """

    @property
    def block(self) -> Triple:
        """The size of its blocks, z, y, x."""
        ...

    async def has_blocks(self, points: NDArray[Any]) -> NDArray[np.bool_]:
        """For each block, an array (n, 3) of block coordinates z, y, x within int32, whether the region has it."""
        ...

    async def has_voxels(self, points: NDArray[Any]) -> NDArray[np.bool_]:
        """For each voxel, an array (n, 3) of z, y, x within int32, whether the region has it."""
        ...

    async def extents(self) -> Box | None:
        """The least box of blocks that has the region; None when it is empty."""
        ...

    def spans(self, first_z: int = -(2**31), last_z: int = 2**31 - 1) -> AsyncIterator[Spans]:
        """Its normal spans with first_z <= z <= last_z, in order, in arrays of at most some 65,536."""
        ...
