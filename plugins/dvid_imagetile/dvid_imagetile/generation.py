"""`Generation`: making all tiles of an instance from its source, in the background."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from typing import Any

from dvid_core import DvidError, Mutation, Staged, View
from dvid_voxels.geometry import Box
from dvid_voxels.images import Format, Picture, encode
from dvid_voxels.paths import Plane
from dvid_voxels.peers import Voxels
from dvid_voxels.pipeline import spread

from .keys import tile_key
from .levels import Levels, Three
from .pyramid import Pyramid, Step, steps_of

log = logging.getLogger(__name__)

WIDTH = 2
"""Stacks of slices that are made at a time."""

STACK = 4 << 20
"""Bytes of the tiles of level 0 at one place of a stack; each level holds as many of them."""

BATCH = 32
"""Tiles of one commit."""

REPORT_SECONDS = 10.0


class Part:
    """The slices of one plane."""

    __slots__ = ("normals", "plane", "steps")

    def __init__(self, plane: Plane, levels: Levels, extents: Box, limits: tuple[int, int] | None) -> None:
        self.plane = plane
        self.steps: list[Step] = steps_of(levels, plane)
        axis = 2 - plane.normal
        low, high = extents.low[axis], extents.high[axis] - 1
        if limits is not None:
            low, high = max(low, limits[0]), min(high, limits[1])
        self.normals = range(low, high + 1)
        """The slices along the normal."""

    def stacks(self, source: Voxels) -> Iterator[range]:
        """The slices, those together that lie in the same blocks, as far as memory allows."""
        wide, high = self.steps[0].tile
        block = source.block[2 - self.plane.normal]
        step = max(1, min(block, STACK // (wide * high * source.itemsize)))
        while block % step:
            step -= 1
        at = self.normals.start
        while at < self.normals.stop:
            stop = min(self.normals.stop, (at // step + 1) * step)
            yield range(at, stop)
            at = stop

    def count(self, extents: Box) -> int:
        """Tiles of level 0."""
        tiles = len(self.normals)
        for axis, side in zip(self.plane.axes, self.steps[0].tile):
            low, high = extents.low[2 - axis], extents.high[2 - axis]
            tiles *= (high - 1) // side - low // side + 1
        return tiles


class Generation:
    """One run; `start` lets it go on by itself, `stop` ends it."""

    def __init__(self, view: View, source: Voxels, extents: Box, parts: Sequence[Part], form: Format) -> None:
        self.view, self.source, self.extents, self.parts, self.form = view, source, extents, parts, form
        self.total = sum(len(part.normals) for part in parts)
        self.done = self.tiles = self.nbytes = 0
        self.state, self.error = "running", ""
        self._begun = self._reported = time.monotonic()
        self._seconds: float | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.state == "running"

    def start(self) -> None:
        """Begin; returns at once."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """End it; tiles that were stored stay."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def shown(self) -> dict[str, Any]:
        """How it stands, as the wire shows it."""
        seconds = time.monotonic() - self._begun if self._seconds is None else self._seconds
        return {
            "State": self.state,
            "Version": self.view.uuid,
            "Planes": [part.plane.name for part in self.parts],
            "Slices": self.total,
            "SlicesDone": self.done,
            "Tiles": self.tiles,
            "Bytes": self.nbytes,
            "Seconds": round(seconds, 1),
            "Error": self.error,
        }

    async def _run(self) -> None:
        name = self.view.instance.name
        log.info("imagetile %s: generating tiles of %d slices at version %s", name, self.total, self.view.uuid)
        try:
            await spread(self._stacks(), WIDTH)
            self.state = "done"
        except asyncio.CancelledError:
            self.state = "stopped"
            raise
        except DvidError as err:
            self.state, self.error = "failed", str(err)
        except Exception as err:
            log.exception("imagetile %s: generating tiles failed", name)
            self.state, self.error = "failed", f"internal error ({type(err).__name__}); the server's log has more"
        finally:
            self._seconds = time.monotonic() - self._begun
            self._report(f"{self.state} {self.error}".strip())

    def _stacks(self) -> Iterator[Any]:
        return (self._stack(part, normals) for part in self.parts for normals in part.stacks(self.source))

    async def _stack(self, part: Part, normals: range) -> None:
        batch = Batch(self)

        async def keep(level: int, at: Three, picture: Picture) -> None:
            await batch.add(tile_key(part.plane, level, at), picture)

        try:
            await Pyramid(self.view, self.source, part.plane, part.steps, self.extents, normals, keep).build()
            await batch.commit()
        finally:
            await batch.drop()
        self.done += len(normals)
        if time.monotonic() - self._reported >= REPORT_SECONDS:
            self._report("under way")

    def _report(self, state: str) -> None:
        self._reported = time.monotonic()
        log.info(
            "imagetile %s: generation %s, %d of %d slices, %d tiles of %d bytes",
            self.view.instance.name, state, self.done, self.total, self.tiles, self.nbytes,
        )  # fmt: skip


class Batch:
    """Tiles that are stored together."""

    def __init__(self, run: Generation) -> None:
        self._run = run
        self._tiles: dict[bytes, bytes | Staged] = {}

    async def add(self, key: bytes, picture: Picture) -> None:
        """Encode a tile and put it in; commits when there are many."""
        run = self._run
        data: bytes = await run.view.run(encode, picture, run.form)
        self._tiles[key] = await run.view.stage(_once(data))
        run.nbytes += len(data)
        if len(self._tiles) >= BATCH:
            await self.commit()

    async def commit(self) -> None:
        """Store what there is."""
        if not self._tiles:
            return

        async def change(m: Mutation) -> None:
            for key, value in self._tiles.items():
                m.put(key, value)

        await self._run.view.edit("generate", change, durable=False)
        self._run.tiles += len(self._tiles)
        self._tiles = {}

    async def drop(self) -> None:
        """Give back what was not stored."""
        for value in self._tiles.values():
            await self._run.view.discard(value)


async def _once(data: bytes) -> Any:
    yield data
