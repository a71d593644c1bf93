"""What label datatypes tell those that follow them, and what followers may ask them.

Events say what may have changed, in the order of the edits; a handler looks up the present state with `LabelsAt` and
acts on that, so that handling an event twice, or long after later edits, ends in the same state.  Old voxels are not
kept.  Lists of labels in events are uint64 LE bytes: `pack_labels`, `unpack_labels`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dvid_core import Event

from .geometry import Triple


def pack_labels(labels: Sequence[int] | NDArray[np.uint64]) -> bytes:
    """Labels as events carry them."""
    return np.asarray(labels, "<u8").tobytes()


def unpack_labels(data: bytes) -> NDArray[np.uint64]:
    """Labels from an event."""
    return np.frombuffer(data, "<u8")


class VoxelsWritten(Event, frozen=True):
    """Voxels of scale 0 were written, for the first time or over others."""

    blocks: tuple[Triple, ...]
    """Block coordinates z, y, x; of the block size that `LabelsAt` says."""


class SupervoxelsMapped(Event, frozen=True):
    """A mapping was posted: these supervoxels may belong to other bodies now."""

    mutation: int
    supervoxels: bytes
    """All of them, or none when there are many: then ask `LabelsAt.mapped_by`."""


class BodiesMerged(Event, frozen=True):
    """All supervoxels of `merged` belong to `target` now; the merged bodies are gone."""

    mutation: int
    target: int
    merged: bytes


class BodyCleaved(Event, frozen=True):
    """Supervoxels left `body` and make up the new body `cleaved`."""

    mutation: int
    body: int
    cleaved: int
    supervoxels: bytes


class BodyRenumbered(Event, frozen=True):
    """The body `old` is called `new` now."""

    mutation: int
    old: int
    new: int


class SupervoxelSplit(Event, frozen=True):
    """The voxels of `supervoxel` are those of `split` and `remain` now, which belong to `body` as it did."""

    mutation: int
    supervoxel: int
    split: int
    remain: int
    body: int
    blocks: tuple[Triple, ...] = ()
    """Those where voxels changed, z, y, x."""


class BodySplit(Event, frozen=True):
    """Voxels left `body` and make up the new body `new`; supervoxels that were cut are told by `SupervoxelSplit`."""

    mutation: int
    body: int
    new: int


LABEL_EVENTS = (
    VoxelsWritten, SupervoxelsMapped, BodiesMerged, BodyCleaved, BodyRenumbered, SupervoxelSplit, BodySplit,
)  # fmt: skip
"""All of them, for `Instance.emits`."""


class LabelsAt(Protocol):
    """The labels of an instance at one version: `await view.peer(name, LabelsAt)`.

    Each call sees the state at the time it is made.
    """

    @property
    def block(self) -> Triple:
        """The size of a block, z, y, x."""
        ...

    async def labels_at(self, points: NDArray[np.int64], *, supervoxels: bool = False) -> NDArray[np.uint64]:
        """The body, or the supervoxel, at each voxel of scale 0: (n, 3) of z, y, x -> (n,); 0 where nothing is."""
        ...

    async def bodies_of(self, supervoxels: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """The body that each supervoxel is mapped to: itself where nothing is mapped, 0 when it is retired."""
        ...

    async def supervoxels_of(self, body: int) -> NDArray[np.uint64] | None:
        """The supervoxels of a body, ascending; None when there is no such body."""
        ...

    async def mapped_by(self, mutation: int) -> NDArray[np.uint64]:
        """The supervoxels that the mapping of a `SupervoxelsMapped` event named."""
        ...
