"""Large requests take little memory."""

from __future__ import annotations

import asyncio

import psutil  # type: ignore[import-untyped]

from dvid_core.testing.fixtures import RunningServer

from .images import Images, new_images, noise

ALLOWED = 96 << 20
"""The server's 64 MiB above idle, and what the client in the same process holds."""


class Peak:
    """The greatest resident size since it was made."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._idle = self._process.memory_info().rss
        self.above = 0

    def look(self) -> None:
        """Take the size of now into account."""
        self.above = max(self.above, self._process.memory_info().rss - self._idle)


async def read_through(images: Images, path: str) -> tuple[int, Peak]:
    """Read a reply without keeping it."""
    peak, size = Peak(), 0
    async with images.api.client.get(f"{images.api.url}{images.place}/{path}") as reply:
        assert reply.status == 200
        async for piece in reply.content.iter_any():
            size += len(piece)
            peak.look()
    return size, peak


async def test_replies_of_any_size_are_streamed(server: RunningServer) -> None:
    images = await new_images(server, block="64,64,64")
    for z in range(0, 128, 64):
        await images.put((z, 0, 0), noise((64, 512, 512)))
    await read_through(images, "raw/0_1_2/512_512_128/0_0_0")
    for path, wanted in (
        ("raw/0_1_2/700_700_700/-50_-50_-50", 700**3),
        ("raw/0_1_2/4096_4096_16/0_0_0", 4096 * 4096 * 16),
        ("raw/0_1_2/300000000_1_1/-1000_3_3", 300_000_000),
        ("raw/0_1_2/1_1_100000000/3_3_-1000", 100_000_000),
        ("blocks/0_0_0/1000", 1000 * 64**3),
    ):
        size, peak = await read_through(images, path)
        assert size == wanted
        assert peak.above < ALLOWED, path


async def test_a_slow_reader_holds_up_nobody(server: RunningServer) -> None:
    images = await new_images(server, block="64,64,64")
    voxels = noise((64, 512, 512))
    await images.put((0, 0, 0), voxels)
    path = f"{server.url}{images.place}/raw/0_1_2/512_512_2000/0_0_0"
    async with server.client.get(path) as slow:
        await slow.content.readany()
        async with asyncio.timeout(20):
            assert (await images.get((0, 0, 0), (64, 512, 512)) == voxels).all()
            await images.put((0, 0, 0), voxels)
            await server.commit(images.uuid)
