"""How a volume names its chunks, and what is in one."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from dvid_voxels.codecs import DamagedBlock, Tag
from dvid_voxels.geometry import Box, Triple
from dvid_voxels.grids import GridScale, jpeg_voxels

from .volume_info import ScaleInfo

if TYPE_CHECKING:
    from types import ModuleType

GZIP = b"\x1f\x8b"


def morton(at: Triple, grid: Triple) -> int:
    """The compressed Morton code of a chunk (z, y, x) among `grid` chunks: bits of x, y, z in turn, the lowest first.

    An axis gives as many bits as its largest coordinate has.
    See https://neuroglancer-docs.web.app/datasource/precomputed/sharded.html
    """
    axes = [(c, (n - 1).bit_length()) for c, n in zip(at[::-1], grid[::-1])]
    code = place = 0
    for bit in range(max(bits for _, bits in axes)):
        for coordinate, bits in axes:
            if bit < bits:
                code |= (coordinate >> bit & 1) << place
                place += 1
    return code


class Chunks:
    """The chunks of one scale; methods but `key` are kernels."""

    def __init__(self, info: ScaleInfo, scale: GridScale, data_type: str, tensorstore: ModuleType) -> None:
        self.info, self.scale = info, scale
        self._data_type, self._tensorstore = data_type, tensorstore
        self._grid = scale.blocks.size

    def key(self, at: Triple) -> str | bytes:
        """The name of a chunk in the folder of the scale, or in its shards."""
        if self.info.sharding is not None:
            return morton(at, self._grid).to_bytes(8, "big")
        low, high = self._box(at).low, self._box(at).high
        return "_".join(f"{o + a}-{o + b}" for o, a, b in zip(self.info.voxel_offset, low[::-1], high[::-1]))

    def _box(self, at: Triple) -> Box:
        whole = Box(at, (1, 1, 1)).voxels(self.scale.block).common(self.scale.box)
        assert whole is not None, f"chunk {at} is outside of the volume"
        return whole

    def stored(self, at: Triple, data: bytes) -> bytes:
        """The chunk as a stored block: a whole JPEG as it is, all else as voxels, padded with 0.

        Raises `DamagedBlock`.
        """
        size = self._box(at).size
        is_whole = size == self.scale.block
        item = np.dtype(self.scale.sample)
        count = size[0] * size[1] * size[2]
        data = self._unzipped(data, count * item.itemsize)
        if self.info.encoding == "jpeg":
            if is_whole:
                return bytes((Tag.JPEG,)) + data
            data = jpeg_voxels(data, count)
        elif self.info.encoding != "raw":
            data = self._decoded(at, data)
        if len(data) != count * item.itemsize:
            raise DamagedBlock(f"chunk {at} has {len(data)} bytes of voxels, not {count * item.itemsize}")
        if is_whole:
            return bytes((Tag.RAW,)) + data
        padded = np.zeros(self.scale.block, item)
        padded[tuple(map(slice, size))] = np.frombuffer(data, item).reshape(size)
        return bytes((Tag.RAW,)) + padded.tobytes()

    def _unzipped(self, data: bytes, nbytes: int) -> bytes:
        """Objects may have been compressed on their way into the store, without a word in `info`."""
        if not data.startswith(GZIP) or (self.info.encoding == "raw" and len(data) == nbytes):
            return data
        unpacker = zlib.decompressobj(31)
        try:
            # No encoding makes more of its voxels than twice their size.
            unpacked = unpacker.decompress(data, 2 * nbytes + 65536)
        except zlib.error as err:
            raise DamagedBlock(f"a chunk is no gzip file that can be read: {err}") from err
        if not unpacker.eof:
            raise DamagedBlock(f"a chunk of {nbytes} bytes of voxels is a gzip file that breaks off or holds far more")
        return unpacked

    def _decoded(self, at: Triple, data: bytes) -> bytes:
        """The voxels of a chunk in one of TensorStore's encodings; 3 ms for 64 x 64 x 64 labels."""
        try:
            voxels: NDArray[Any] = self.alone(self._box(at).size, data).read().result()
        except (ValueError, OSError) as err:
            raise DamagedBlock(f"chunk {at} cannot be decoded: {err}") from err
        return voxels[..., 0].T.astype(self.scale.sample, copy=False).tobytes()

    def alone(self, size: Triple, data: bytes = b"") -> Any:
        """A volume in memory that is this one chunk.  Raises `ValueError` when its encoding is not known."""
        ts = self._tensorstore
        x, y, z = size[::-1]
        alone = {"key": "0", "size": (x, y, z), "voxel_offset": (0, 0, 0), "sharding": None}
        info = {
            "@type": "neuroglancer_multiscale_volume",
            "type": "segmentation",
            "data_type": self._data_type,
            "num_channels": 1,
            "scales": [{k: v for k, v in (msgspec.structs.asdict(self.info) | alone).items() if v is not None}],
        }
        context = ts.Context()
        files = ts.KvStore.open("memory://", context=context).result()
        files.write("info", msgspec.json.encode(info)).result()
        files.write(f"0/0-{x}_0-{y}_0-{z}", data).result()
        spec = {"driver": "neuroglancer_precomputed", "kvstore": "memory://", "fill_missing_data_reads": False}
        return ts.open(spec, context=context, open=True).result()
