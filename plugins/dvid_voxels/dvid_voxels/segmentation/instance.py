"""`Segmentation`: what datatypes of label volumes have in common."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import Any, ClassVar, TypeVar, cast

from dvid_core import BadRequest, Compression, Event, Instance, KeyClass, LogRecord, NodeLocked, View
from dvid_core import Settings as AnySettings

from ..extents import read_extents, shown
from ..geometry import Box
from ..images import Picture, picture_of
from ..label_events import LABEL_EVENTS, LabelBlocks
from ..paths import Plane, check_bytes
from ..peers import RoiMask, Voxels
from ..settings import with_lists
from .compiled import warm
from .counters import Counters
from .keys import BLOCK, CLASSES, DIRTY, EXTENTS
from .merging import nearest_first
from .offered import StoredBlocks
from .pyramid import Pyramid, compute, read_pyramid
from .relabeling import RelabelRules
from .rewriting import Moves
from .settings import LabelSettings, check_strings, checked
from .sparse import SparseRules
from .unfinished import Unfinished
from .volume import THEMSELVES, Bodies, LabelVolume, Unpacker

log = logging.getLogger(__name__)

P = TypeVar("P")
T = TypeVar("T")

PICTURE_BYTES = 64 << 20


class Segmentation(Instance):
    """A volume of 64-bit labels in compressed blocks, with lower scales and label indices.

    What is stored are supervoxels; a datatype with a mapping says in `seen` which bodies they belong to.
    """

    Settings = LabelSettings
    keys: ClassVar[tuple[KeyClass, ...]] = CLASSES
    emits: ClassVar[tuple[type[Event], ...]] = LABEL_EVENTS

    sparse_rules: ClassVar[SparseRules] = SparseRules()
    """What the type answers differently from others when asked for sparse volumes."""
    relabel_rules: ClassVar[RelabelRules] = RelabelRules()
    """What it does differently when merges and splits rewrite voxels."""

    settings: LabelSettings
    state: Counters

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.state = Counters()
        self._unpack = Unpacker(self.settings.block)
        self.moves = Moves(self)
        self.unfinished = Unfinished()
        self._orders: dict[tuple[int, int], list[int]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def unpack(self) -> Unpacker:
        """What reads stored blocks."""
        if self._unpack.size != self.settings.block:
            self._unpack = Unpacker(self.settings.block)
        return self._unpack

    @classmethod
    def read_settings(cls, raw: dict[str, Any]) -> LabelSettings:
        if any(name.lower() == "typename" for name in raw):
            check_strings(raw)
        settings = cast("LabelSettings", super().read_settings(with_lists(raw)))
        if settings.GridStore:
            raise BadRequest(f"GridStore: {settings.GridStore!r} is no store of precomputed volumes")
        return checked(settings)

    @classmethod
    def compression(cls, wanted: Compression, settings: AnySettings) -> Compression:
        wanted = super().compression(wanted, settings)
        return wanted if cast("LabelSettings", settings).Compression else Compression("gzip")

    # -- life

    async def open(self) -> None:
        self.warm()
        for version in sorted(self.logged_versions()):
            async for number, record in self.records(version):
                self.state.apply(version, number, record.payload)
        await self.resume_scales()

    def warm(self) -> None:
        """Begin to load the kernels; requests that need them wait in their threads."""
        self.in_background(self.server.kernels.run(warm))

    async def resume_scales(self) -> None:
        """Finish edits and the lower scales of ingests that a stop or crash cut short."""
        await self.moves.resume()
        for version in sorted(self.written(DIRTY.number)):
            node = self.repo.dag.nodes.get(version) or self.repo.dag.root
            view = View(self, node)
            if view.version != version:
                continue
            async for page in view.scan(*DIRTY.all()):
                for tkey, found in page:
                    data = await found.read()  # type: ignore[union-attr]
                    try:
                        await self.compute_scales(view, DIRTY.unpack(tkey)[0], read_pyramid(data))
                    except Exception:
                        log.exception("lower scales of %s at %s are not complete", self.name, node.uuid)

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def in_background(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run a coroutine until it ends or the instance is closed."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # -- the state in memory

    def apply(self, version: int, number: int, record: LogRecord) -> None:
        self.state.apply(version, number, record.payload)
        self.moves.publish(record.mutation_id)

    def seen(self, view: View) -> Bodies:
        """The bodies of supervoxels as a version sees them now: the same object until that changes."""
        return THEMSELVES

    def order(self, version: int) -> list[int]:
        """The versions that `version` sees, nearest first; where parents of a merge disagree the first is nearer."""
        dag = self.repo.dag
        if not self.versioned:
            return [0]
        found = self._orders.get((version, len(dag)))
        if found is None:
            if len(self._orders) > 256:
                self._orders.clear()
            found = self._orders[version, len(dag)] = nearest_first(dag, version)
        return found

    def check_mapping(self, view: View, supervoxel: int) -> None:
        """Raise `MergeConflict` when parents of a merge disagree about the body of a supervoxel."""

    async def disputed_mapping(self, view: View) -> Sequence[tuple[int, Sequence[int]]]:
        """The supervoxels about whose body parents of a merge disagree, each with the versions that do."""
        return ()

    def splits(self, version: int) -> Sequence[Sequence[int]]:
        """The splits of supervoxels at a version, in order: [mutation id, supervoxel, remain, split].

        A read that was begun before a split finds the voxels of the supervoxel by these.
        """
        return ()

    async def caught_up(self, view: View) -> None:
        """Return when the voxels are those of what the instance copies; merges and splits wait for this."""

    async def synced(self, view: View) -> None:
        """Which instances are followed was just set."""

    def max_label(self, version: int) -> int:
        """The largest label of a version and its ancestors; 0 when none is known."""
        maxima = self.state.maxima
        if not self.versioned:
            return maxima.get(0, 0)
        return max((maxima[v] for v in self.repo.dag.visible(version, maxima)), default=0)

    def raises(self, version: int, label: int) -> bool:
        """Whether `label` is beyond the largest label that the version knows."""
        return label > self.max_label(version)

    # -- voxels

    def is_ready_to_lock(self, view: View) -> bool:
        return not self.unfinished.is_at(view.version)

    async def before_commit(self, view: View) -> None:
        await self.unfinished.none(lambda version: version == view.version)

    def volume(
        self, view: View, scale: int = 0, *, supervoxels: bool = False, mask: RoiMask | None = None
    ) -> LabelVolume:
        """The blocks of one scale as `view` sees them now."""
        return LabelVolume(view, scale, self.unpack, None if supervoxels else self.seen(view), mask)

    async def compute_scales(self, view: View, number: int, work: Pyramid) -> None:
        """Compute the lower scales that an ingest marked as to be done."""
        with self.unfinished.at(view.version):
            # What the version takes over from its ancestors must be right before parts of it are computed anew.
            await self.unfinished.none(lambda version: version != view.version and self._sees(view.version, version))
            await self._compute_scales(view, number, work)

    def _sees(self, version: int, other: int) -> bool:
        return self.versioned and self.repo.dag.is_ancestor(other, version)

    async def _compute_scales(self, view: View, number: int, work: Pyramid) -> None:
        # Not on behalf of the user: a version that is locked meanwhile gets the scales of what it holds.
        own = View(self, view.node)
        try:
            await compute(own, number, work, self.settings.MaxDownresLevel, self.unpack)
        except NodeLocked:
            log.error("lower scales of %s at %s are left as they were", self.name, view.uuid)

    # -- info

    async def extents(self, view: View) -> Box | None:
        """The box that was written, or what was given at creation."""
        return await read_extents(view, EXTENTS) or self.settings.preset

    def properties(self, box: Box | None) -> dict[str, Any]:
        """What info and metadata show of the volume."""
        settings = self.settings
        values = [{"DataType": "uint64", "Label": self.typename}]
        return {
            **shown(settings, box, values, interpolable=False),
            "GridStore": settings.GridStore,
            "ScaleLevel": settings.ScaleLevel,
        }

    def has_data(self) -> bool:
        """Whether any block was ever written."""
        return bool(self.written(BLOCK.number))

    # -- for others

    def offer(self, protocol: type[P], view: View) -> P | None:
        if protocol is LabelBlocks:
            return cast("P", StoredBlocks(self, view))
        return cast("P", SeenVoxels(self, view)) if protocol is Voxels else None


class SeenVoxels:
    """A label volume as `Voxels`, for other datatypes."""

    def __init__(self, instance: Segmentation, view: View) -> None:
        self._instance, self._view = instance, view

    @property
    def voxel_size(self) -> tuple[float, float, float]:
        return self._instance.settings.VoxelSize

    async def extents(self) -> Box | None:
        return await self._instance.extents(self._view)

    async def picture(self, plane: Plane, box: Box) -> Picture:
        check_bytes(box.count, 8, PICTURE_BYTES)
        return picture_of(plane.flat(await self._instance.volume(self._view).read(box)), "rgba16")
