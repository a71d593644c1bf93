"""`Images`: an image instance seen from one version, asked over HTTP.  Arrays are z, y, x."""

from __future__ import annotations

import io
import struct
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dvid_core.testing import Answer, Api

Array: TypeAlias = NDArray[Any]
Triple: TypeAlias = tuple[int, int, int]

ITEMS = {
    "uint8blk": "u1",
    "uint16blk": "<u2",
    "uint32blk": "<u4",
    "uint64blk": "<u8",
    "float32blk": "<f4",
    "rgba8blk": "<u4",
}


def xyz(zyx: tuple[int, ...]) -> str:
    """Three numbers z, y, x as a path says them."""
    return "_".join(map(str, zyx[::-1]))


def noise(size: Triple, item: str = "u1", seed: int = 0) -> Array:
    """Random voxels."""
    count = int(np.prod(size)) * np.dtype(item).itemsize
    return np.random.default_rng(seed).integers(0, 256, count, np.uint8).view(item).reshape(size)


def picture(data: bytes) -> Array:
    """The pixels of an image."""
    return np.asarray(Image.open(io.BytesIO(data)))


def frames(data: bytes) -> dict[Triple, bytes]:
    """A stream of blocks: payloads by block coordinates z, y, x."""
    out = {}
    while data:
        x, y, z, n = struct.unpack_from("<4i", data)
        assert (z, y, x) not in out
        out[z, y, x], data = data[16 : 16 + n], data[16 + n :]
        assert len(out[z, y, x]) == n
    return out


class Images:
    """One instance at one version."""

    def __init__(self, api: Api, uuid: str, name: str, typename: str) -> None:
        self.api, self.uuid, self.name, self.typename = api, uuid, name, typename
        self.item = ITEMS[typename]

    @property
    def place(self) -> str:
        """The path of its endpoints."""
        return f"/api/node/{self.uuid}/{self.name}"

    def at(self, uuid: str) -> Images:
        """The same seen from another version."""
        return Images(self.api, uuid, self.name, self.typename)

    async def put(self, low: Triple, voxels: Array, options: str = "") -> None:
        """POST raw."""
        await self.api.post(f"{self.place}/raw/0_1_2/{xyz(voxels.shape)}/{xyz(low)}{options}", voxels.tobytes())

    async def get(self, low: Triple, size: Triple, options: str = "") -> Array:
        """GET raw."""
        data = await self.api.get(f"{self.place}/raw/0_1_2/{xyz(size)}/{xyz(low)}{options}")
        return np.frombuffer(data, self.item).reshape(size)

    async def refused(self, method: str, path: str, body: Any = None, status: int = 400) -> str:
        """The sentence with which a request is refused."""
        answer = await self.ask(method, path, body)
        assert answer.status == status, f"{method} {path}: {answer.status} {answer.text[:200]}"
        return answer.text

    async def ask(self, method: str, path: str, body: Any = None) -> Answer:
        """Any request."""
        return await self.api.ask(method, f"{self.place}/{path}", body)

    async def extents(self) -> tuple[Triple, Triple] | None:
        """The corners that info shows, both z, y, x and inside."""
        shown = (await self.api.get(f"{self.place}/info"))["Extended"]
        if shown["MinPoint"] is None:
            return None
        return tuple(shown["MinPoint"][::-1]), tuple(shown["MaxPoint"][::-1])


async def new_images(api: Api, typename: str = "uint8blk", block: str = "16,8,4", **settings: str) -> Images:
    """An empty instance in a new repo."""
    uuid = await api.repo()
    await api.instance(uuid, "images", typename, BlockSize=block, **settings)
    return Images(api, uuid, "images", typename)
