"""What voxel datatypes ask of one another: `await view.peer(name, RoiMask)`."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .geometry import Box, Triple
from .paths import Plane


class RoiMask(Protocol):
    """A region of interest at one version, as a set of blocks."""

    async def inside(self, blocks: Box) -> NDArray[np.bool_]:
        """For each block of a box of block coordinates whether the region has it: an array (z, y, x)."""
        ...


class Voxels(Protocol):
    """The voxels of an instance at one version."""

    @property
    def voxel_size(self) -> tuple[float, float, float]:
        """The size of a voxel along x, y, z, in the instance's units."""
        ...

    @property
    def block(self) -> Triple:
        """The size of its blocks, z, y, x; reading a part of one takes as long as all of it."""
        ...

    @property
    def itemsize(self) -> int:
        """Bytes of a voxel."""
        ...

    async def extents(self) -> Box | None:
        """The box that was written; None before anything is."""
        ...

    async def pictures(self, plane: Plane, box: Box) -> NDArray[Any]:
        """The slices of a box in a plane, in order along its normal: pictures as of `picture`, (slices, h, w, ...).

        Raises `BadRequest` when they are too large.
        """
        ...

    async def picture(self, plane: Plane, box: Box) -> NDArray[Any]:
        """The voxels of a box that is one voxel thick, as a picture (see `dvid_voxels.images`).

        Raises `BadRequest` when it is too large.
        """
        ...
