"""The file `info` of a volume.

See https://neuroglancer-docs.web.app/datasource/precomputed/volume.html
"""

from __future__ import annotations

import math
from typing import Annotated, Any

import msgspec

from dvid_voxels.codecs import Tag
from dvid_voxels.geometry import Triple
from dvid_voxels.grids import GridScale

BLOCK_BYTES = 64 << 20
"""Bytes of the voxels of the largest block that is served."""

INFO_BYTES = 16 << 20

Count = Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
Length = Annotated[float, msgspec.Meta(gt=0, le=1e20)]

SAMPLES = {"uint8": "u1", "uint16": "<u2", "uint32": "<u4", "uint64": "<u8", "float32": "<f4"}


class ScaleInfo(msgspec.Struct, frozen=True):
    """One entry of "scales"; vectors are x, y, z."""

    key: str
    size: tuple[Count, Count, Count]
    resolution: tuple[Length, Length, Length]
    chunk_sizes: Annotated[tuple[tuple[Count, Count, Count], ...], msgspec.Meta(min_length=1)]
    encoding: str
    voxel_offset: tuple[int, int, int] = (0, 0, 0)
    sharding: dict[str, Any] | None = None
    compressed_segmentation_block_size: tuple[Count, Count, Count] | None = None

    @property
    def block(self) -> Triple:
        """The size of a chunk, z, y, x."""
        x, y, z = self.chunk_sizes[0]
        return z, y, x


class VolumeInfo(msgspec.Struct, frozen=True):
    """The whole file."""

    type: str
    data_type: str
    scales: Annotated[tuple[ScaleInfo, ...], msgspec.Meta(min_length=1, max_length=256)]
    num_channels: int = 1

    def scale(self, level: int) -> GridScale:
        """A scale as it is shown; its first voxel becomes 0, 0, 0 whatever its offset."""
        scale = self.scales[level]
        x, y, z = scale.size
        return GridScale(
            size=(z, y, x),
            block=scale.block,
            voxel_size=scale.resolution,
            sample=SAMPLES.get(self.data_type, self.data_type),
            tag=Tag.JPEG if scale.encoding == "jpeg" else Tag.RAW,
            problem=self._problem(scale),
        )

    def _problem(self, scale: ScaleInfo) -> str:
        if self.data_type not in SAMPLES:
            return f"its voxels are {self.data_type}; {', '.join(SAMPLES)} can be shown"
        if self.num_channels != 1:
            return f"it has {self.num_channels} channels; volumes with one can be shown"
        if scale.encoding == "jpeg" and self.data_type != "uint8":
            return f"its encoding is jpeg, which is for uint8, not for {self.data_type}"
        nbytes = math.prod(scale.block) * int(SAMPLES[self.data_type][-1])
        if nbytes > BLOCK_BYTES:
            return f"its chunks have {nbytes} bytes of voxels; at most {BLOCK_BYTES} can be shown"
        return ""


def read_info(data: bytes) -> VolumeInfo:
    """Parse the file.  Raises `ValueError` saying what is wrong."""
    try:
        info = msgspec.json.decode(data, type=VolumeInfo)
    except (msgspec.MsgspecError, RecursionError) as err:
        raise ValueError(f"its info is not that of a precomputed volume: {err}") from None
    if info.type not in ("image", "segmentation"):
        raise ValueError(f"its type is {info.type[:80]!r}, expected image or segmentation")
    return info
