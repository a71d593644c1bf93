"""`GridSource`: volumes of blocks that lie elsewhere, read-only and the same at every version.

A store offers one; an image instance whose setting `GridStore` names the store shows a scale of it.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec
from PIL import Image

from dvid_core import BadRequest, Store

from .codecs import Codec, DamagedBlock, Tag
from .geometry import Box, Triple
from .volume import Stored, Volume


class GridScale(msgspec.Struct, frozen=True):
    """One scale of a grid of blocks; its first voxel is 0, 0, 0."""

    size: Triple
    """Voxels, z, y, x."""
    block: Triple
    """The size of a block, z, y, x; blocks at the far faces have more voxels than the volume."""
    voxel_size: tuple[float, float, float]
    """Nanometers, x, y, z."""
    sample: str
    """The dtype of a voxel: u1, <u2, <u4, <u8 or <f4."""
    tag: Tag = Tag.RAW
    """The form in which clients get its blocks: JPEG or RAW."""
    problem: str = ""
    """Why its blocks cannot be read; empty when they can."""

    @property
    def box(self) -> Box:
        """All its voxels."""
        return Box((0, 0, 0), self.size)

    @property
    def blocks(self) -> Box:
        """The box of its block coordinates."""
        return self.box.blocks(self.block)


@runtime_checkable
class GridSource(Protocol):
    """A volume in one or more scales, cut into blocks."""

    @property
    def scales(self) -> Sequence[GridScale]:
        """The scales, the finest first."""
        ...

    async def blocks(self, level: int, wanted: Sequence[Triple]) -> list[Stored]:
        """Those of the wanted blocks (coordinates within the scale) that exist, each in a form that `ChunkCodec` reads.

        Blocks at the far faces are padded with 0.  Raises `Unavailable` when the place of the volume does not answer.
        """
        ...


class ChunkCodec(Codec, frozen=True):
    """Reads the blocks of a grid: as `Codec`, but the pixels of a JPEG may be laid out in rows of any length."""

    def _expand(self, tag: Tag, payload: memoryview) -> Any:
        if tag is not Tag.JPEG:
            return super()._expand(tag, payload)
        return jpeg_voxels(payload, self.nbytes)


def jpeg_voxels(payload: bytes | memoryview, count: int) -> bytes:
    """The pixels of a gray JPEG, in order.  Raises `DamagedBlock` unless it has `count`."""
    try:
        with Image.open(io.BytesIO(payload), formats=("JPEG",)) as image:
            if image.width * image.height != count or image.mode != "L":
                raise DamagedBlock(f"a JPEG of {image.width} x {image.height} {image.mode} is no {count} gray voxels")
            return image.tobytes()
    except (OSError, SyntaxError, Image.DecompressionBombError) as err:
        raise DamagedBlock(f"a block is no JPEG that can be read: {err}") from err


class GridVolume(Volume, frozen=True, kw_only=True):
    """The blocks of one scale of a grid, in place of those of the instance."""

    source: GridSource
    level: int

    @property
    def inside(self) -> Box:
        """The box of blocks that can exist."""
        return self.source.scales[self.level].blocks

    async def existing(self, blocks: Box) -> AsyncIterator[Triple]:
        shared = blocks.common(self.inside)
        for at in shared.points() if shared is not None else ():
            yield at

    async def values(self, wanted: Sequence[Triple]) -> list[Stored]:
        (z0, y0, x0), (z1, y1, x1) = self.inside.low, self.inside.high
        names = [at for at in wanted if z0 <= at[0] < z1 and y0 <= at[1] < y1 and x0 <= at[2] < x1]
        return await self.source.blocks(self.level, names) if names else []


class Grid(msgspec.Struct, frozen=True):
    """What an instance shows: one scale of a source."""

    source: GridSource
    level: int

    @classmethod
    def find(cls, stores: dict[str, Store], alias: str, level: int) -> Grid:
        """The scale `level` of the store `alias`.  Raises `BadRequest` naming the setting that is wrong."""
        store = stores.get(alias)
        if store is None:
            raise BadRequest(f"GridStore: no store {alias[:80]!r} is configured")
        if not isinstance(store, GridSource):
            raise BadRequest(f"GridStore: {alias!r} is a store of engine {store.engine}, not a grid of blocks")
        if not 0 <= level < len(store.scales):
            raise BadRequest(f"ScaleLevel: {alias!r} has the scales 0 to {len(store.scales) - 1}, not {level}")
        if problem := store.scales[level].problem:
            raise BadRequest(f"ScaleLevel: scale {level} of {alias!r} cannot be read: {problem}")
        return cls(store, level)

    @property
    def scale(self) -> GridScale:
        """What is known of it."""
        return self.source.scales[self.level]

    def codec(self, item: str) -> ChunkCodec:
        """How its blocks are read, as voxels of dtype `item`."""
        return ChunkCodec(self.scale.block, item, self.scale.tag)
