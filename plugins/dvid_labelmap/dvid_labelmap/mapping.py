"""Which body a supervoxel belongs to, at each version: all versions share one set of sorted tables in memory.

A table (`Layer`) never changes once it is made, so readers in other threads need no lock.  New entries make a small
layer; layers of similar size are joined, so that there are few.  An entry takes 20 bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .compiled import loaded

Labels: TypeAlias = NDArray[np.uint64]

FAR = np.iinfo(np.int32).max
"""The rank of a version that cannot be seen."""

SOME = 64
MANY = 1 << 15
"""So many labels are sorted before they are looked up in tables of more than so many entries."""

INLINE = 1 << 14
"""Entries that are joined at once, in some 3 ms; larger joins are made off the event loop."""


class Layer(NamedTuple):
    """Entries sorted by supervoxel, at most one for each supervoxel and version."""

    supervoxels: Labels
    bodies: Labels
    writers: NDArray[np.uint32]
    """The version of an entry, as its place in `Mapping.versions`."""


def layer_of(supervoxels: Labels, bodies: Labels, writers: NDArray[np.uint32]) -> Layer:
    """A layer of entries in the order they were made; of several for one supervoxel and version the last counts."""
    order = np.lexsort((writers, supervoxels))
    s, w = supervoxels[order], writers[order]
    last = np.ones(len(s), bool)
    last[:-1] = (s[1:] != s[:-1]) | (w[1:] != w[:-1])
    return Layer(s[last], bodies[order[last]], w[last])


def join(older: Layer, newer: Layer) -> Layer:
    """A kernel: both layers as one."""
    return join_all((older, newer))


def join_all(layers: Sequence[Layer]) -> Layer:
    """A kernel: all layers, oldest first, as one."""
    return layer_of(
        np.concatenate([layer.supervoxels for layer in layers]),
        np.concatenate([layer.bodies for layer in layers]),
        np.concatenate([layer.writers for layer in layers]),
    )


def ordered(supervoxels: Labels, bodies: Labels) -> tuple[Labels, Labels]:
    """A kernel: entries of one version as a layer has them, sorted and each once."""
    layer = layer_of(supervoxels, bodies, np.zeros(len(supervoxels), np.uint32))
    return layer.supervoxels, layer.bodies


def _look_up(wanted: Labels, layer: Layer, ranks: NDArray[np.int32], found: Labels, best: NDArray[np.int32]) -> None:
    """What `kernels.look_up` does, while it is not loaded."""
    size = len(layer.supervoxels)
    at = np.searchsorted(layer.supervoxels, wanted)
    rows = np.flatnonzero(at < size)
    rows = rows[layer.supervoxels[at[rows]] == wanted[rows]]
    places = at[rows]
    while len(rows):
        seen = ranks[layer.writers[places]]
        # A newer layer overrides the same version.
        nearer = (seen <= best[rows]) & (seen != FAR)
        taken = rows[nearer]
        found[taken] = layer.bodies[places[nearer]]
        best[taken] = seen[nearer]
        places = places + 1
        more = places < size
        rows, places = rows[more], places[more]
        more = layer.supervoxels[places] == wanted[rows]
        rows, places = rows[more], places[more]


class Seen:
    """The mapping as one version sees it at one moment.  Its methods are kernels and never block others."""

    __slots__ = ("_layers", "_ranks", "empty")

    def __init__(self, layers: tuple[Layer, ...], ranks: NDArray[np.int32]) -> None:
        self._layers, self._ranks = layers, ranks
        self.empty = not layers or not bool((ranks != FAR).any())
        """Whether nothing is mapped, so that every supervoxel is its own body."""

    def find(self, supervoxels: Labels) -> tuple[Labels, NDArray[np.bool_]]:
        """(n,) -> the entries' bodies, and whether there is an entry; the supervoxel itself where there is none."""
        found = supervoxels.astype(np.uint64, copy=True)
        best = np.full(len(found), FAR, np.int32)
        if self.empty or not len(found):
            return found, best != FAR
        compiled = loaded()
        if compiled is None:
            for layer in self._layers:
                _look_up(supervoxels, layer, self._ranks, found, best)
            return found, best != FAR
        wanted = np.ascontiguousarray(supervoxels, np.uint64)
        for layer in self._layers:
            compiled.look_up(wanted, *layer, self._ranks, FAR, found, best)
        return found, best != FAR

    def bodies(self, supervoxels: Labels) -> Labels:
        """(n,) -> the body of each: 0 for retired ones, the supervoxel itself where there is no entry."""
        if self.empty:
            return supervoxels
        if len(supervoxels) > SOME and sum(len(layer.supervoxels) for layer in self._layers) > MANY:
            # Sorted needles find their places several times as fast, and tables of blocks repeat labels.
            distinct, places = np.unique(supervoxels, return_inverse=True)
            return self.find(distinct)[0][places]
        return self.find(supervoxels)[0]

    def entries(self) -> tuple[Labels, Labels]:
        """All supervoxels that have an entry, ascending, and their bodies."""
        if self.empty:
            return np.empty(0, np.uint64), np.empty(0, np.uint64)
        seen = [layer.supervoxels[self._ranks[layer.writers] != FAR] for layer in self._layers]
        supervoxels = np.unique(np.concatenate(seen))
        return supervoxels, self.find(supervoxels)[0]


class Mapping:
    """All entries of all versions.  `add` is called on the event loop only."""

    def __init__(self) -> None:
        self.layers: tuple[Layer, ...] = ()
        self.versions: list[int] = []
        self._places: dict[int, int] = {}
        self._held = 0
        """So many of the first layers are being joined elsewhere."""

    @property
    def count(self) -> int:
        """Entries, of all versions."""
        return sum(len(layer.supervoxels) for layer in self.layers)

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return sum(column.nbytes for layer in self.layers for column in layer)

    def place(self, version: int) -> int:
        """The number by which entries name a version."""
        if version not in self._places:
            self._places[version] = len(self.versions)
            self.versions.append(version)
        return self._places[version]

    def add(self, version: int, supervoxels: Labels, bodies: Labels, *, sort: bool = True) -> None:
        """New entries of a version; they override earlier ones of the same version.

        Many should be made `ordered` off the event loop, and added without `sort`.
        """
        if not len(supervoxels):
            return
        writers = np.full(len(supervoxels), self.place(version), np.uint32)
        layer = layer_of(supervoxels, bodies, writers) if sort else Layer(supervoxels, bodies, writers)
        layers = [*self.layers, layer]
        while len(layers) > self._held + 1:
            older, newer = (len(layer.supervoxels) for layer in layers[-2:])
            if older > 2 * newer or older + newer > INLINE:
                break
            layers[-2:] = [join(*layers[-2:])]
        self.layers = tuple(layers)

    def crowded(self) -> tuple[Layer, ...]:
        """Layers that should be joined off the event loop, which `replace` must follow; none when all is well."""
        sizes = [len(layer.supervoxels) for layer in self.layers]
        if self._held or len(sizes) < 2:
            return ()
        # From the first layer that is not much larger than all behind it together.
        first = next((i for i in range(len(sizes) - 1) if sizes[i] <= 2 * sum(sizes[i + 1 :])), None)
        if first is None or sum(sizes[first:]) <= INLINE:
            return ()
        self._held = len(self.layers)
        return self.layers[first:]

    def replace(self, joined: tuple[Layer, ...], layer: Layer | None) -> None:
        """Put `layer` in the place of what `crowded` gave; None leaves everything as it is."""
        if layer is not None:
            first = self._held - len(joined)
            self.layers = (*self.layers[:first], layer, *self.layers[self._held :])
        self._held = 0

    def load(self, versions: Iterable[int], layer: Layer) -> None:
        """Begin with a layer whose entries name `versions`."""
        for version in versions:
            self.place(version)
        self.layers = (layer,) if len(layer.supervoxels) else ()

    def named(self, supervoxels: Labels) -> NDArray[np.bool_]:
        """(n,) -> whether any version has an entry of each."""
        found = np.zeros(len(supervoxels), bool)
        lowest = supervoxels.min() if len(supervoxels) else 0
        for layer in self.layers:
            if layer.supervoxels[-1] < lowest:
                continue
            places = np.minimum(np.searchsorted(layer.supervoxels, supervoxels), len(layer.supervoxels) - 1)
            found |= layer.supervoxels[places] == supervoxels
        return found

    def entries_of(self, supervoxel: int) -> dict[int, int]:
        """The bodies of one supervoxel, by the version that mapped it."""
        out: dict[int, int] = {}
        for layer in self.layers:
            low = int(np.searchsorted(layer.supervoxels, np.uint64(supervoxel), "left"))
            high = int(np.searchsorted(layer.supervoxels, np.uint64(supervoxel), "right"))
            for place in range(low, high):
                out[self.versions[int(layer.writers[place])]] = int(layer.bodies[place])
        return out

    def seen(self, order: Iterable[int]) -> Seen:
        """As a version sees it whose ancestry, nearest first, is `order`."""
        ranks = np.full(len(self.versions), FAR, np.int32)
        for rank, version in enumerate(order):
            place = self._places.get(version)
            if place is not None:
                ranks[place] = rank
        return Seen(self.layers, ranks)
