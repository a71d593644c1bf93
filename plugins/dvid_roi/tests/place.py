"""`Place`: one roi at one version, as tests use it; and a region as Python's sets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvid_core.testing.fixtures import Answer, RunningServer

Block = tuple[int, int, int]
"""z, y, x."""


class Place:
    """The instance `r` at a version."""

    def __init__(self, server: RunningServer, uuid: str) -> None:
        self.server, self.uuid = server, uuid

    def path(self, end: str) -> str:
        return f"/api/node/{self.uuid}/r/{end}"

    async def ask(self, method: str, end: str, body: Any = None, **options: Any) -> Answer:
        return await self.server.ask(method, self.path(end), body, **options)

    async def put(self, spans: Sequence[Sequence[int]] | bytes) -> None:
        if isinstance(spans, bytes):
            await self.server.post(self.path("roi"), spans)
        else:
            await self.server.post(self.path("roi"), json=spans)

    async def spans(self) -> list[list[int]]:
        found: list[list[int]] = await self.server.get(self.path("roi"))
        return found

    async def blocks(self) -> set[Block]:
        return blocks_of(await self.spans())

    async def has(self, points: Iterable[Sequence[int]]) -> list[bool]:
        """Of points x, y, z."""
        found: list[bool] = await self.server.post(self.path("ptquery"), json=list(points))
        return found

    async def mask(self, size: Sequence[int], offset: Sequence[int]) -> NDArray[np.uint8]:
        """Of a size and an offset x, y, z; an array (z, y, x)."""
        text = "_".join(map(str, size)), "_".join(map(str, offset))
        data = await self.server.get(self.path(f"mask/0_1_2/{text[0]}/{text[1]}"))
        return np.frombuffer(data, np.uint8).reshape(tuple(size)[::-1])

    async def partition(self, n: int, optimized: bool = False) -> Any:
        return await self.server.get(self.path(f"partition?batchsize={n}{'&optimized=true' * optimized}"))

    async def child(self) -> Place:
        """The next version; this one is committed."""
        await self.server.commit(self.uuid)
        return Place(self.server, await self.server.newversion(self.uuid))


def blocks_of(spans: Iterable[Sequence[int]]) -> set[Block]:
    return {(z, y, x) for z, y, x0, x1 in spans for x in range(x0, x1 + 1)}


def mask_of(blocks: set[Block], size: Sequence[int], offset: Sequence[int], block: Sequence[int]) -> NDArray[np.uint8]:
    """What `Place.mask` should give; all of the arguments but the blocks are x, y, z."""
    axes = [[(o + i) // b for i in range(s)] for s, o, b in zip(size, offset, block)]
    values = [(z, y, x) in blocks for z in axes[2] for y in axes[1] for x in axes[0]]
    return np.array(values, np.uint8).reshape(tuple(size)[::-1])
