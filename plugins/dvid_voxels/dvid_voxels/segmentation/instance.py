"""`Segmentation`: what datatypes of label volumes have in common."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, ClassVar, TypeVar, cast

from dvid_core import BadRequest, Compression, Instance, KeyClass, LogRecord, NodeLocked, View
from dvid_core import Settings as AnySettings

from ..extents import read_extents, shown
from ..geometry import Box
from ..images import Picture, picture_of
from ..label_events import LABEL_EVENTS
from ..paths import Plane, check_bytes
from ..peers import RoiMask, Voxels
from ..settings import with_lists
from .compiled import warm
from .counters import Counters
from .keys import BLOCK, CLASSES, DIRTY, EXTENTS
from .pyramid import Pyramid, compute, read_pyramid
from .settings import LabelSettings, check_strings, checked
from .volume import THEMSELVES, Bodies, LabelVolume, Unpacker

log = logging.getLogger(__name__)

P = TypeVar("P")

PICTURE_BYTES = 64 << 20


class Segmentation(Instance):
    """A volume of 64-bit labels in compressed blocks, with lower scales and label indices.

    What is stored are supervoxels; a datatype with a mapping says in `seen` which bodies they belong to.
    """

    Settings = LabelSettings
    keys: ClassVar[tuple[KeyClass, ...]] = CLASSES
    emits = LABEL_EVENTS

    settings: LabelSettings
    state: Counters

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.state = Counters()
        self._unpack = Unpacker(self.settings.block)
        self._tasks: set[asyncio.Task[None]] = set()

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
        """Finish the lower scales of ingests that a stop or crash cut short."""
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

    def in_background(self, work: Any) -> None:
        """Run a coroutine until it ends or the instance is closed."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- the state in memory

    def apply(self, version: int, number: int, record: LogRecord) -> None:
        self.state.apply(version, number, record.payload)

    def seen(self, view: View) -> Bodies:
        """The bodies of supervoxels as a version sees them now: the same object until that changes."""
        return THEMSELVES

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

    def volume(
        self, view: View, scale: int = 0, *, supervoxels: bool = False, mask: RoiMask | None = None
    ) -> LabelVolume:
        """The blocks of one scale as `view` sees them now."""
        return LabelVolume(view, scale, self.unpack, None if supervoxels else self.seen(view), mask)

    async def compute_scales(self, view: View, number: int, work: Pyramid) -> None:
        """Compute the lower scales that an ingest marked as to be done."""
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
