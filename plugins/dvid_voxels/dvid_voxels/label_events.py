"""What label datatypes tell those that follow them, and what followers may ask them.

Events say what may have changed, in the order of the edits; a handler looks up the present state with `LabelsAt` and
acts on that, so that handling an event twice, or long after later edits, ends in the same state.  Old voxels are not
kept.  Lists of labels in events are uint64 LE bytes: `pack_labels`, `unpack_labels`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol

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
    mutation: int = 0
    """The request that did it, if it was one."""


class LabelsRewritten(VoxelsWritten, frozen=True):
    """A merge or split of an instance whose voxels hold bodies: within `blocks` voxels of `old` hold `new` now.

    For those that hold a copy of the voxels; for others it is a `VoxelsWritten` like any other.
    """

    old: bytes = b""
    new: int = 0
    partly: bool = False
    """Only the voxels that `RewrittenRuns.runs_of` names; else all of the `old` ones within the blocks."""


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
    """All of them, or none when there are many."""


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
    VoxelsWritten, LabelsRewritten, SupervoxelsMapped, BodiesMerged, BodyCleaved, BodyRenumbered, SupervoxelSplit,
    BodySplit,
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


class LabelBlocks(Protocol):
    """The stored labels of an instance at one version, block by block: `await view.peer(name, LabelBlocks)`.

    For what reads all of a volume, as a conversion does.
    """

    @property
    def block(self) -> Triple:
        """The size of a block, z, y, x."""
        ...

    def pages(self, after: Triple | None = None) -> AsyncIterator[list[tuple[Triple, bytes]]]:
        """The blocks of scale 0 that are stored, those after block `after` if given, in order of z, y, x.

        Each as its block coordinates z, y, x and the compressed label block (`dvid_voxels.labels`), not as gzip; of
        the labels that are seen, which in instances without a mapping are what was written.
        """
        ...

    async def named(self, names: Sequence[Triple]) -> list[tuple[Triple, bytes]]:
        """The same of some dozens of named blocks; those that are not stored are left out."""
        ...


class RewrittenRuns(Protocol):
    """What `LabelsRewritten` events were about: `await view.peer(name, RewrittenRuns)`."""

    async def runs_of(self, mutation: int) -> NDArray[np.int32]:
        """The voxels of a mutation that rewrote some of a label: (n, 4) of x, y, z, length."""
        ...


class Followed(NamedTuple):
    """How far merges and splits were followed.  Edits are logged in another order than their mutation ids may have."""

    last: int
    """The mutation of the last `LabelsRewritten` event that was; 0 for none."""
    since: int
    """Until there was one: events with mutations up to this one are not looked at."""


class CopiedVoxels(Protocol):
    """Voxels that an instance holds a copy of, with merges and splits that are done to both: `await view.peer(...)`."""

    def followed(self, source: int) -> Followed | None:
        """What of the edits of the instance with this id the voxels hold now; None when it is not followed."""
        ...

    def last_written(self) -> int:
        """The mutation of the last `VoxelsWritten` event of a request; 0 for none."""
        ...
