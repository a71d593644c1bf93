"""`Tiles`: one imagetile at one version, as tests use it, and a source with voxels."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dvid_core.testing.api import eventually
from dvid_core.testing.fixtures import Answer, RunningServer


class Tiles:
    """The instance `t` at a version."""

    def __init__(self, server: RunningServer, uuid: str) -> None:
        self.server, self.uuid = server, uuid

    def path(self, end: str) -> str:
        return f"/api/node/{self.uuid}/t/{end}"

    async def ask(self, method: str, end: str, body: Any = None, **options: Any) -> Answer:
        return await self.server.ask(method, self.path(end), body, **options)

    async def describe(self, *levels: tuple[Sequence[float], Sequence[int]]) -> None:
        await self.server.post(self.path("metadata"), json={"Levels": spec(*levels)})

    async def put(self, place: str, tile: NDArray[Any] | bytes) -> None:
        await self.server.post(self.path(f"tile/{place}"), tile if isinstance(tile, bytes) else png(tile))

    async def image(self, end: str) -> NDArray[Any]:
        return picture(await self.server.get(self.path(end)))

    async def generate(self, options: str = "", levels: Any = None) -> Any:
        """Generate tiles, wait for the end, and give how it ended."""
        body = b"" if levels is None else json.dumps(levels)
        await self.server.post(self.path(f"generate{options}"), body)
        return await self.end()

    async def end(self) -> Any:
        """Wait until no generation is under way."""

        async def ended() -> bool:
            return bool((await self.state())["State"] != "running")

        await eventually(ended, 60)
        return await self.state()

    async def state(self) -> Any:
        return await self.server.get(self.path("generate"))

    async def child(self) -> Tiles:
        """The next version; this one is committed."""
        await self.server.commit(self.uuid)
        return Tiles(self.server, await self.server.newversion(self.uuid))


def spec(*levels: tuple[Sequence[float], Sequence[int]]) -> dict[str, Any]:
    """Levels of (resolution, tile size), each x, y, z."""
    return {str(n): {"Resolution": list(r), "TileSize": list(t)} for n, (r, t) in enumerate(levels)}


def png(pixels: NDArray[Any], **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", **options)
    return file.getvalue()


def picture(data: bytes) -> NDArray[Any]:
    return np.asarray(Image.open(io.BytesIO(data)))


def noise(shape: Sequence[int], seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(1, 256, shape, dtype=np.uint8)


async def new_tiles(server: RunningServer, **settings: str) -> Tiles:
    uuid = await server.repo()
    await server.instance(uuid, "t", "imagetile", **settings)
    return Tiles(server, uuid)


async def with_source(
    server: RunningServer, voxels: NDArray[Any], offset: Sequence[int] = (0, 0, 0), typename: str = "uint8blk",
    voxel_size: str = "8,8,8", **settings: str,
) -> Tiles:  # fmt: skip
    """Tiles of the volume `src`, which has `voxels` (z, y, x) at `offset` (x, y, z)."""
    tiles = await new_tiles(server, Source="src", **settings)
    src = await server.instance(tiles.uuid, "src", typename, BlockSize="16,16,16", VoxelSize=voxel_size)
    z, y, x = voxels.shape
    place = "_".join(map(str, offset))
    await server.post(f"{src}/raw/0_1_2/{x}_{y}_{z}/{place}?unaligned=true", voxels.tobytes())
    return tiles
