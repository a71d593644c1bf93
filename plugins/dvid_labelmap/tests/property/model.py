"""A labelmap as plain arrays and dicts, version by version: what the contract says, with nothing clever in it.

A `Version` of one small volume has the supervoxel of each voxel at each scale, the entries of the mapping, and the
splits that were made at it; all else (bodies, indices, sparse volumes) follows from these.  Arrays are z, y, x.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..segmentation import SIDE, Counts, counts_of, halved

Array: TypeAlias = NDArray[Any]
Triple: TypeAlias = tuple[int, int, int]
Key: TypeAlias = tuple[Any, ...]

SCALES = 3
LOW: Triple = (0, -1, -2)
"""The first block; even numbers of voxels at all scales, and blocks of lower scales on both sides of 0."""
BLOCKS: Triple = (2, 2, 4)
SHAPE: Triple = (2 * SIDE, 2 * SIDE, 4 * SIDE)


def low(scale: int = 0) -> Triple:
    """The first voxel of a scale."""
    z, y, x = (n * SIDE >> scale for n in LOW)
    return z, y, x


@dataclass
class Version:
    """One version."""

    uuid: str
    scales: list[Array]
    mapping: dict[int, int] = field(default_factory=dict)
    splits: list[list[int]] = field(default_factory=list)
    mended: set[int] = field(default_factory=set)
    """Mutation ids of splits that were undone here."""
    parents: list[Version] = field(default_factory=list)
    locked: bool = False
    changed: set[Key] = field(default_factory=set)
    """Stored entries that were changed since the last fork: blocks, bodies, entries of the mapping."""

    # -- what can be seen

    def body(self, supervoxel: int) -> int:
        """The body of a supervoxel; 0 when it is retired."""
        return self.mapping.get(supervoxel, supervoxel) if supervoxel else 0

    def bodies(self, scale: int = 0) -> Array:
        """The body of each voxel."""
        names, places = np.unique(self.scales[scale], return_inverse=True)
        mapped = np.array([self.body(n) for n in names.tolist()], np.uint64)
        return mapped[places].reshape(self.scales[scale].shape)

    def supervoxels(self) -> dict[int, int]:
        """The supervoxels that have voxels, and how many."""
        names, voxels = np.unique(self.scales[0], return_counts=True)
        return {n: v for n, v in zip(names.tolist(), voxels.tolist()) if n}

    def members(self) -> dict[int, dict[int, int]]:
        """By body its supervoxels and their voxels."""
        out: dict[int, dict[int, int]] = {}
        for supervoxel, voxels in self.supervoxels().items():
            out.setdefault(self.body(supervoxel), {})[supervoxel] = voxels
        assert 0 not in out, "the model has a voxel of a retired supervoxel"
        return out

    def indices(self) -> dict[int, Counts]:
        """By body its index."""
        out: dict[int, Counts] = {}
        for supervoxel, found in counts_of(LOW, self.scales[0]).items():
            for at, counts in found.items():
                out.setdefault(self.body(supervoxel), {}).setdefault(at, {}).update(counts)
        return out

    def known_splits(self) -> dict[str, list[list[int]]]:
        """By UUID, the splits up to this version that were not undone."""
        versions = self.history()
        undone = {n for v in versions for n in v.mended}
        found = {v.uuid: [s for s in v.splits if s[0] not in undone] for v in versions}
        return {uuid: splits for uuid, splits in found.items() if splits}

    def history(self) -> list[Version]:
        """This version and all its ancestors."""
        out, todo = [], [self]
        while todo:
            version = todo.pop(0)
            if version not in out:
                out.append(version)
                todo += version.parents
        return out

    # -- what edits do

    def write(self, first: Triple, voxels: Array, downres: bool) -> None:
        """Write whole blocks from block `first` on, counted from the first of the volume."""
        z, y, x = (SIDE * n for n in first)
        dz, dy, dx = voxels.shape
        self.scales[0][z : z + dz, y : y + dy, x : x + dx] = voxels
        blocks = [
            (first[0] + a, first[1] + b, first[2] + c) for a, b, c in np.ndindex(*(s // SIDE for s in voxels.shape))
        ]
        self.changed |= {("block", 0, *at) for at in blocks}
        if downres:
            self.follow(blocks)

    def follow(self, blocks: list[Triple]) -> None:
        """Compute what lower scales have of blocks of scale 0."""
        names = {(z + LOW[0], y + LOW[1], x + LOW[2]) for z, y, x in blocks}
        for scale in range(1, SCALES):
            for at in names:
                self._follow(scale, at)
            names = {(z >> 1, y >> 1, x >> 1) for z, y, x in names}
            self.changed |= {("scale", scale, *at) for at in names}

    def _follow(self, scale: int, block: Triple) -> None:
        """The octant of a block of the scale above."""
        origin, above = low(scale - 1), self.scales[scale - 1]
        start = [max(0, n * SIDE - o) for n, o in zip(block, origin)]
        end = [min(side, (n + 1) * SIDE - o) for n, o, side in zip(block, origin, above.shape)]
        source = tuple(slice(a, b) for a, b in zip(start, end))
        target = tuple(slice(a // 2, b // 2) for a, b in zip(start, end))
        self.scales[scale][target] = halved(above[source])

    def map(self, supervoxel: int, body: int) -> None:
        """Set an entry."""
        self.mapping[supervoxel] = body
        self.changed.add(("entry", supervoxel))

    def retire(self, name: int) -> None:
        """A name that stands for no supervoxel, unless an entry says what it stands for."""
        if name not in self.mapping:
            self.map(name, 0)

    def touch(self, *bodies: int) -> None:
        """The indices of bodies changed."""
        self.changed |= {("body", body) for body in bodies}

    def merge(self, target: int, merged: list[int]) -> None:
        """Bodies become part of another."""
        members = self.members()
        for body in dict.fromkeys(merged):
            for supervoxel in members[body]:
                self.map(supervoxel, target)
        self.touch(target, *merged)

    def cleave(self, body: int, supervoxels: list[int], cleaved: int) -> None:
        """Supervoxels become a body of their own."""
        for supervoxel in supervoxels:
            self.map(supervoxel, cleaved)
        self.retire(cleaved)
        self.touch(body, cleaved)

    def renumber(self, new: int, old: int) -> None:
        """A body gets another name."""
        for supervoxel in self.members()[old]:
            self.map(supervoxel, new)
        self.retire(new)
        self.touch(new, old)

    def split(self, supervoxel: int, inside: Array, split: int, remain: int, mutation: int) -> int:
        """Cut a supervoxel in two; its body."""
        body = self.body(supervoxel)
        here = self.scales[0] == np.uint64(supervoxel)
        self.changed |= {("block", 0, *at) for at in self.blocks_of(here)}
        self.scales[0][here & inside], self.scales[0][here & ~inside] = split, remain
        self.map(split, body)
        self.map(remain, body)
        self.map(supervoxel, 0)
        self.touch(body)
        self.splits.append([mutation, supervoxel, remain, split])
        return body

    def give_back(self, body: int, supervoxels: list[int]) -> None:
        """Undo what took supervoxels from a body."""
        for supervoxel in supervoxels:
            self.touch(self.body(supervoxel))
            self.map(supervoxel, body)
        self.touch(body)

    def mend(self, supervoxel: int, split: int, remain: int, body: int, mutation: int) -> Array:
        """Undo a split; the voxels of the supervoxel."""
        here = np.isin(self.scales[0], np.array([split, remain], np.uint64))
        self.scales[0][here] = supervoxel
        self.map(split, 0)
        self.map(remain, 0)
        self.map(supervoxel, body)
        self.mended.add(mutation)
        return here

    def blocks_of(self, mask: Array) -> list[Triple]:
        """The blocks that have voxels of a mask, counted from the first of the volume."""
        parts = mask.reshape(BLOCKS[0], SIDE, BLOCKS[1], SIDE, BLOCKS[2], SIDE).any(axis=(1, 3, 5))
        return [(z, y, x) for z, y, x in np.argwhere(parts).tolist()]

    def sparse(self, supervoxels: list[int], scale: int) -> Array:
        """The voxels of supervoxels at a scale, in the blocks over those that they have at scale 0.

        Others may be left there by writes that do not compute lower scales.
        """
        own = np.array(supervoxels, np.uint64)
        over = np.zeros(self.scales[scale].shape, bool)
        for z, y, x in self.blocks_of(np.isin(self.scales[0], own)):
            over[_block(scale, ((z + LOW[0]) >> scale, (y + LOW[1]) >> scale, (x + LOW[2]) >> scale))] = True
        return np.isin(self.scales[scale], own) & over

    # -- versions

    def child(self, uuid: str) -> Version:
        """The version after this one."""
        scales = [a.copy() for a in self.scales]
        return Version(uuid, scales, dict(self.mapping), parents=[self], changed=set(self.changed))


def joined(uuid: str, first: Version, second: Version) -> Version:
    """The merge of two versions that changed different things since they forked."""
    assert not first.changed & second.changed
    out = Version(uuid, [a.copy() for a in first.scales], dict(first.mapping), parents=[first, second])
    for kind, *rest in second.changed:
        if kind == "entry":
            out.mapping[rest[0]] = second.mapping[rest[0]]
        elif kind in ("block", "scale"):
            scale, *at = rest
            where = _block(scale, tuple(at) if kind == "scale" else tuple(n + o for n, o in zip(at, LOW)))
            out.scales[scale][where] = second.scales[scale][where]
    return out


def _block(scale: int, at: tuple[int, ...]) -> tuple[slice, ...]:
    """The voxels of a block of a scale."""
    return tuple(slice(max(0, SIDE * n - o), max(0, SIDE * (n + 1) - o)) for n, o in zip(at, low(scale)))
