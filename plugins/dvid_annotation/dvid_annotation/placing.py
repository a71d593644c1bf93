"""Which lists of labels elements belong to: supervoxels and bodies under them, looked up in what is followed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from dvid_core import BadRequest, Instance, Mutation, View
from dvid_voxels.geometry import Triple
from dvid_voxels.label_events import LabelsAt

from .filing import Labels
from .keys import FILED
from .rows import Item

T = TypeVar("T")

INLINE = 200
"""Elements that are worked on without a hop to a thread."""


TRIES = 5
"""How often a position is looked up again whose supervoxel is split meanwhile."""


async def followed_labels(view: View) -> LabelsAt | None:
    """The labels that the instance follows, at this version; None when it follows none."""
    for source in _followed(view.instance):
        try:
            return Moment(await view.peer(source.name, LabelsAt))
        except BadRequest:
            continue
    return None


class Moment:
    """The labels that are followed, as one edit sees them: a supervoxel keeps the body that it was first found in.

    They may change while an edit looks at them more than once, and what it stages must not rest on two answers; the
    event of the change is still to come.
    """

    def __init__(self, peer: LabelsAt) -> None:
        self._peer = peer
        self._bodies: dict[int, int] = {}

    @property
    def block(self) -> Triple:
        """As of the labels."""
        return self._peer.block

    async def labels_at(self, points: NDArray[np.int64], *, supervoxels: bool = False) -> Labels:
        """As of the labels, now."""
        return await self._peer.labels_at(points, supervoxels=supervoxels)

    async def bodies_of(self, supervoxels: Labels) -> Labels:
        """As of the labels, when each supervoxel was first asked for."""
        asked = supervoxels.tolist()
        new = [s for s in asked if s not in self._bodies]
        if new:
            for s, body in zip(new, (await self._peer.bodies_of(np.array(new, np.uint64))).tolist()):
                self._bodies.setdefault(s, body)
        return np.array([self._bodies[s] for s in asked], np.uint64)

    async def supervoxels_of(self, body: int) -> Labels | None:
        """As of the labels, now."""
        return await self._peer.supervoxels_of(body)

    async def mapped_by(self, mutation: int) -> Labels:
        """As of the labels."""
        return await self._peer.mapped_by(mutation)


def _followed(instance: Instance) -> list[Instance]:
    """The followed instances, those that hold voxels first."""
    found = [s for s in map(instance.repo.by_id, instance.record.syncs) if s is not None]
    return sorted(found, key=lambda s: s.typename == "labelvol")


class Place(msgspec.Struct):
    """Where elements are: columns of equal length."""

    supervoxels: Labels
    labels: Labels
    """Bodies; 0 for none."""


async def look_up(peer: LabelsAt, positions: NDArray[Any]) -> Place:
    """The supervoxels and bodies at positions."""
    points = positions.astype(np.int64)
    supervoxels = np.array(await peer.labels_at(points, supervoxels=True), np.uint64)
    labels = await bodies_of(peer, supervoxels)
    for _ in range(TRIES):
        # A supervoxel without a body may have been split since it was read.
        split = np.flatnonzero((supervoxels != 0) & (labels == 0))
        if not len(split):
            break
        now = await peer.labels_at(points[split], supervoxels=True)
        if (now == supervoxels[split]).all():
            break
        supervoxels[split] = now
        labels[split] = await bodies_of(peer, now)
    return Place(supervoxels, labels)


async def bodies_of(peer: LabelsAt, supervoxels: Labels) -> Labels:
    """The body of each supervoxel now; 0 of 0."""
    distinct, which = np.unique(supervoxels, return_inverse=True)
    bodies = np.where(distinct == 0, np.uint64(0), await peer.bodies_of(distinct))
    out: Labels = bodies[which.ravel()]
    return out


async def filed(m: Mutation, supervoxels: Iterable[int]) -> dict[int, int]:
    """The labels under which the elements on these supervoxels are listed."""
    wanted = [s for s in dict.fromkeys(supervoxels) if s]
    values = await m.get_many([FILED.key(s) for s in wanted])
    return {s: int.from_bytes(v, "little") for s, v in zip(wanted, values) if v is not None}


def columns(items: Sequence[Item]) -> tuple[NDArray[np.int32], list[bytes]]:
    """The positions of elements, and their texts as lists show them."""
    return np.array([i.position for i in items], np.int32).reshape(-1, 3), [i.shown for i in items]
