"""`Pair`: a labelblk and a labelvol that follow each other, seen from one version."""

from __future__ import annotations

import numpy as np

from dvid_core.testing import Api
from dvid_core.testing.fixtures import RunningServer
from dvid_voxels.testing.volume import Array, Place, Triple, points_of

SIDE = 16


class Pair:
    """Voxels and bodies."""

    def __init__(self, server: Api, uuid: str) -> None:
        self.server, self.uuid = server, uuid
        self.seg, self.bodies = Place(server, uuid, "seg"), Place(server, uuid, "bodies")

    def at(self, uuid: str) -> Pair:
        """The same at another version."""
        return Pair(self.server, uuid)

    async def rest(self) -> None:
        """Return when each has heard all of the other."""
        assert isinstance(self.server, RunningServer)
        await self.server.server.bus.idle()

    async def merge(self, *labels: int) -> None:
        """POST merge."""
        await self.server.post(f"{self.bodies.path}/merge", json=labels)

    async def split(self, label: int, body: bytes, options: str = "", coarse: str = "") -> int:
        """POST split, or split-coarse with coarse="-coarse"; gives the new label."""
        found = await self.server.post(f"{self.bodies.path}/split{coarse}/{label}{options}", body)
        return int(found["label"])

    async def points(self, label: int, options: str = "") -> Array | None:
        """The voxels of a label, (n, 3) of z, y, x in order; None for 404."""
        answer = await self.bodies.ask("GET", f"sparsevol/{label}{options}")
        if answer.status == 404:
            return None
        assert answer.status == 200, answer.text
        return points_of(answer.body)

    async def check(self, low: Triple, size: Triple, *gone: int) -> Array:
        """Demand, at rest, that all bodies are those of the voxels of a box that has them all; gives the voxels."""
        await self.rest()
        return await self.compare(low, size, *gone)

    async def compare(self, low: Triple, size: Triple, *gone: int) -> Array:
        """The same, as things are now."""
        voxels = await self.seg.get(low, size)
        for label in np.unique(voxels[voxels > 0]).tolist():
            wanted = np.argwhere(voxels == label) + np.array(low)
            found = await self.points(label)
            assert found is not None, f"label {label} is in the voxels only"
            assert np.array_equal(found, wanted), f"label {label} differs"
        for label in gone:
            if not (voxels == label).any():
                assert await self.points(label) is None, f"label {label} is in the bodies only"
        return voxels


async def new_pair(server: Api, **settings: str) -> Pair:
    """An empty pair in a new repo, with blocks of 16 voxels a side."""
    uuid = await server.repo()
    pair = Pair(server, uuid)
    made = {"BlockSize": "16,16,16", **settings}
    await server.instance(uuid, "seg", "labelblk", **made)
    await server.instance(uuid, "bodies", "labelvol", **made)
    await server.post(f"{pair.seg.path}/sync", json={"sync": "bodies"})
    await server.post(f"{pair.bodies.path}/sync", json={"sync": "seg"})
    return pair
