"""The labelmap datatype."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from dvid_core import Info, LogRecord, MergeConflict, Mutation, View
from dvid_voxels.extents import corners
from dvid_voxels.geometry import Triple
from dvid_voxels.label_events import LabelsAt
from dvid_voxels.segmentation.index import read_bodies
from dvid_voxels.segmentation.instance import Segmentation

from . import snapshot
from .compiled import warm
from .disputes import disputes, rivals
from .filing import drop_all
from .handlers import ROUTES
from .keys import CLASSES, POSTED, SNAPSHOT
from .mapping import Labels, Layer, Seen, join_all
from .state import State, unpack_pairs

if TYPE_CHECKING:
    from .convert import Conversion

log = logging.getLogger(__name__)

P = TypeVar("P")

RECORDS = 4000
"""Log records after which a snapshot is made: a start reads so many in 0.2 s."""


class LabelMap(Segmentation):
    """Segmentations: a 64-bit label, the supervoxel, for each voxel, and a mapping of supervoxels to bodies.

    Made with POST /api/repo/<uuid>/instance and {"typename": "labelmap", "dataname": "<name>", ...}.  Settings, all
    given as strings:

        BlockSize        x,y,z of a block; multiples of 16                       64,64,64
        VoxelSize        x,y,z of a voxel                                        8,8,8
        VoxelUnits       the units of VoxelSize                                  nanometers,nanometers,nanometers
        MaxDownresLevel  the coarsest scale that is kept, each half the one before: 0 to 255     0
        IndexedLabels    false: no label indices, so no sizes, lists and edits of bodies         true
        MinPoint, MaxPoint   extents to show until something is written, x,y,z
        Versioned        true or false

    Voxels hold supervoxels; what is read is mapped to bodies unless supervoxels=true.  Label 0 is background.
    """

    typename, type_version = "labelmap", "0.1"
    type_url = "github.com/janelia-flyem/dvid/datatype/labelmap"
    keys = CLASSES
    routes = ROUTES

    state: State

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.state = State()
        self._seen: dict[int, tuple[tuple[Any, ...], int, Seen]] = {}
        self._tidying = False
        self.conversion: Conversion | None = None
        """The last one since the instance was opened."""
        self.converting = asyncio.Lock()
        """Held while one is begun."""

    # -- life

    def warm(self) -> None:
        self.in_background(self.server.kernels.run(warm))

    async def open(self) -> None:
        self.warm()
        root = View(self, self.repo.dag.root)
        found = await root.open(SNAPSHOT.key())
        if found is not None:
            self.state.load(*await self.server.kernels.run(snapshot.read_snapshot, await found.read()))
        for version in sorted(self.logged_versions()):
            node = self.repo.dag.nodes.get(version) or self.repo.dag.root
            view = View(self, node)
            after = self.state.numbers.get(version, 0)
            async for number, record in self.records(version, after):
                if isinstance(record.payload, dict) and "posted" in record.payload:
                    mutation = record.payload["posted"]
                    self.state.incoming[mutation] = await self.posted(view, mutation)
                self.state.apply(version, number, record.payload)
        self.state.fresh = 0 if found is not None else self.state.fresh
        await drop_all(self)
        await self.resume_scales()

    # -- the state in memory

    def apply(self, version: int, number: int, record: LogRecord) -> None:
        self.state.apply(version, number, record.payload)
        self.moves.publish(record.mutation_id)
        if not self._tidying and (self.state.fresh >= RECORDS or self._crowded()):
            self._tidying = True
            self.in_background(self._tidy())

    def _crowded(self) -> bool:
        return len(self.state.mapping.layers) > 6

    async def _tidy(self) -> None:
        try:
            joined = self.state.mapping.crowded()
            if joined:
                layer = None
                try:
                    layer = await self.server.kernels.run(join_all, joined)
                finally:
                    self.state.mapping.replace(joined, layer)
            if self.state.fresh >= RECORDS:
                await self.save_snapshot()
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("tidying the mapping of %s", self.name)
        finally:
            self._tidying = False

    async def save_snapshot(self) -> None:
        """Keep the state in memory for the next start."""
        state = self.state
        layers = state.mapping.layers
        empty = np.empty(0, np.uint64), np.empty(0, np.uint64), np.empty(0, np.uint32)
        head_only = state.head(Layer(*empty))
        state.fresh = 0
        layer = await self.server.kernels.run(join_all, layers) if layers else Layer(*empty)
        head = msgspec.structs.replace(head_only, entries=len(layer.supervoxels))
        data = await self.server.kernels.run(snapshot.pack_snapshot, head, layer)
        view = View(self, self.repo.dag.root)
        staged = await view.stage(snapshot.pieces(data))

        async def change(m: Mutation) -> None:
            m.put(SNAPSHOT.key(), staged)

        await view.edit("snapshot", change)

    async def posted(self, view: View, mutation: int) -> tuple[Labels, Labels]:
        """A posted mapping that is too long for its record: supervoxels and bodies."""
        data = await view.get(POSTED.key(mutation))
        if data is None:
            raise LookupError(f"the mapping of mutation {mutation} is gone")
        return unpack_pairs(data)

    def seen(self, view: View) -> Seen:
        """The mapping as a version sees it now: the same object until it changes."""
        mapping = self.state.mapping
        held = self._seen.get(view.version)
        if held is not None and held[0] is mapping.layers and held[1] == len(mapping.versions):
            return held[2]
        if len(self._seen) > 256:
            self._seen.clear()
        seen = mapping.seen(self.order(view.version))
        self._seen[view.version] = mapping.layers, len(mapping.versions), seen
        return seen

    def check_mapping(self, view: View, supervoxel: int) -> None:
        entries = self.state.mapping.entries_of(supervoxel)
        if self.versioned and len(entries) > 1 and (versions := rivals(self.repo.dag, view.version, entries)):
            nodes = self.repo.dag.nodes
            raise MergeConflict(
                f"merge conflict: the body of supervoxel {supervoxel} differs between versions "
                f"{', '.join(nodes[v].uuid for v in versions)}; map it at {view.uuid}"
            )

    async def disputed_mapping(self, view: View) -> Sequence[tuple[int, Sequence[int]]]:
        if not self.versioned:
            return ()
        return await view.run(disputes, self.state.mapping, self.repo.dag, view.version)

    def splits(self, version: int) -> Sequence[Sequence[int]]:
        return self.state.splits.get(version, ())

    # -- info

    async def info(self, view: View) -> Info:
        box = await self.extents(view)
        state, settings = self.state, self.settings
        extended = {
            **self.properties(box),
            "MaxLabel": {str(v): n for v, n in sorted(state.maxima.items())},
            "MaxRepoLabel": state.largest,
            "NextLabel": state.next_label,
            "IndexedLabels": settings.IndexedLabels,
            "MaxDownresLevel": settings.MaxDownresLevel,
        }
        return Info(extended=extended, extra={"Extents": corners(box)})

    # -- for others

    def offer(self, protocol: type[P], view: View) -> P | None:
        return cast("P", SeenLabels(self, view)) if protocol is LabelsAt else super().offer(protocol, view)


class SeenLabels:
    """A labelmap as `LabelsAt`, for other datatypes."""

    def __init__(self, instance: LabelMap, view: View) -> None:
        self._instance, self._view = instance, view

    @property
    def block(self) -> Triple:
        return self._instance.settings.block

    async def labels_at(self, points: NDArray[np.int64], *, supervoxels: bool = False) -> Labels:
        return await self._instance.volume(self._view, supervoxels=supervoxels).at_points(points)

    async def bodies_of(self, supervoxels: Labels) -> Labels:
        return self._instance.seen(self._view).bodies(supervoxels)

    async def supervoxels_of(self, body: int) -> Labels | None:
        found = (await read_bodies(self._view, [body])).get(body)
        return None if found is None else found.sizes()[0]

    async def mapped_by(self, mutation: int) -> Labels:
        return (await self._instance.posted(self._view, mutation))[0]
