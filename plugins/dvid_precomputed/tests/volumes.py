"""Volumes to show: those of the recorded cases, and new ones.  Arrays are z, y, x."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import tensorstore as ts
from numpy.typing import NDArray
from PIL import Image

from dvid_core.testing import Answer, Api

VOLUMES = Path(__file__).parent / "conformance" / "volumes"

Array: TypeAlias = NDArray[Any]
Triple: TypeAlias = tuple[int, int, int]


def smooth(size: Triple) -> Array:
    """Voxels that JPEG keeps nearly as they are."""
    z, y, x = np.indices(size)
    return (40 + 2 * z + y + x // 2).astype(np.uint8)


def labels(size: Triple) -> Array:
    """Large numbers in compact regions."""
    z, y, x = np.indices(size)
    return ((z // 9 * 100 + y // 7 * 10 + x // 5) * 1_000_003).astype(np.uint64)


async def make_volume(place: Path, voxels: Array, encoding: str, block: Triple, **scale: Any) -> str:
    """Write a volume, as its `ref`; `scale` has further fields of the scale's metadata.  Chunks of 0 are left out."""
    kind = "segmentation" if voxels.dtype.itemsize > 2 and voxels.dtype.kind == "u" else "image"
    metadata = {"type": kind, "data_type": str(voxels.dtype), "num_channels": 1}
    entry = {
        "size": voxels.shape[::-1],
        "encoding": encoding,
        "chunk_size": block[::-1],
        "resolution": (4.5, 4, 40),
        **({"compressed_segmentation_block_size": (8, 8, 8)} if encoding == "compressed_segmentation" else {}),
        **({"jpeg_quality": 100} if encoding == "jpeg" else {}),
        **scale,
    }
    array = await ts.open(
        {
            "driver": "neuroglancer_precomputed",
            "kvstore": f"file://{place}/",
            "multiscale_metadata": metadata,
            "scale_metadata": entry,
        },
        create=True,
    )
    await array.write(voxels.T[..., None])
    return f"file://{place}"


def frames(data: bytes) -> dict[Triple, bytes]:
    """A stream of blocks: payloads by block coordinates z, y, x."""
    out = {}
    while data:
        x, y, z, n = struct.unpack_from("<4i", data)
        assert (z, y, x) not in out
        out[z, y, x], data = data[16 : 16 + n], data[16 + n :]
        assert len(out[z, y, x]) == n
    return out


def picture(data: bytes) -> Array:
    """The pixels of an image."""
    return np.asarray(Image.open(io.BytesIO(data)))


class Shown:
    """An instance that shows a volume."""

    def __init__(self, api: Api, uuid: str, item: str) -> None:
        self.api, self.uuid, self.item = api, uuid, item
        self.place = f"/api/node/{uuid}/shown"

    async def get(self, path: str) -> bytes:
        """The body of a GET that succeeds."""
        answer = await self.ask("GET", path)
        assert answer.status == 200, f"{path}: {answer.status} {answer.text[:300]}"
        return answer.body

    async def ask(self, method: str, path: str, body: Any = None) -> Answer:
        """Any request."""
        return await self.api.ask(method, f"{self.place}/{path}", body)

    async def raw(self, low: Triple, size: Triple) -> Array:
        """GET raw of a box."""
        data = await self.get(f"raw/0_1_2/{_xyz(size)}/{_xyz(low)}")
        return np.frombuffer(data, self.item).reshape(size).copy()

    async def info(self) -> dict[str, Any]:
        """The part "Extended" of info."""
        shown: dict[str, Any] = (await self.api.get(f"{self.place}/info"))["Extended"]
        return shown


async def show(api: Api, store: str = "ng", typename: str = "uint8blk", item: str = "u1", **settings: str) -> Shown:
    """A new instance `shown` in a new repo."""
    uuid = await api.repo()
    await api.instance(uuid, "shown", typename, GridStore=store, **settings)
    return Shown(api, uuid, item)


def _xyz(zyx: Triple) -> str:
    return "_".join(map(str, zyx[::-1]))
