"""`Bodies`: a labelarray seen from one version, with what it must answer for given voxels.  Arrays are z, y, x."""

from __future__ import annotations

import struct

import numpy as np

from dvid_core.testing import Api
from dvid_voxels.testing.volume import Array, Place, Triple, halved, points_of, sparse

SIDE = 16
SCALES = 2


class Bodies(Place):
    """One labelarray at one version."""

    def at(self, uuid: str) -> Bodies:
        """The same at another version."""
        return Bodies(self.api, uuid, self.name)

    async def merge(self, *labels: int) -> None:
        """POST merge."""
        assert await self.api.post(f"{self.path}/merge", json=labels) == b""

    async def split(self, label: int, points: Array, options: str = "") -> int:
        """POST split of points (n, 3); gives the new label."""
        return int((await self.api.post(f"{self.path}/split/{label}{options}", sparse(points)))["label"])

    async def split_coarse(self, label: int, blocks: Array, options: str = "") -> int:
        """POST split-coarse of blocks (n, 3); gives the new label."""
        return int((await self.api.post(f"{self.path}/split-coarse/{label}{options}", sparse(blocks)))["label"])

    async def points(self, label: int, options: str = "") -> Array | None:
        """The voxels of a label, in order; None when there is no such label."""
        answer = await self.ask("GET", f"sparsevol/{label}{options}")
        assert answer.status in (200, 404), answer.text
        return points_of(answer.body) if answer.status == 200 else None

    async def check(self, low: Triple, voxels: Array, *gone: int) -> None:
        """Demand that voxels, lower scales and indices are those of a box that has all voxels there are."""
        scaled, at = voxels, low
        for scale in range(SCALES + 1):
            assert np.array_equal(await self.get(at, scaled.shape, f"?scale={scale}"), scaled), f"scale {scale}"
            scaled, at = halved(scaled), (at[0] // 2, at[1] // 2, at[2] // 2)
        for label in np.unique(voxels[voxels > 0]).tolist():
            wanted = np.argwhere(voxels == label) + np.array(low)
            found = await self.points(label)
            assert found is not None and np.array_equal(found, wanted), f"label {label}"
            blocks = np.unique(wanted // SIDE, axis=0)
            coarse = await self.api.get(f"{self.path}/sparsevol-coarse/{label}")
            assert np.array_equal(points_of(coarse), blocks)
            assert await self.api.get(f"{self.path}/sparsevol-size/{label}") == {
                "numblocks": len(blocks),
                "minvoxel": (blocks.min(axis=0) * SIDE)[::-1].tolist(),
                "maxvoxel": (blocks.max(axis=0) * SIDE + SIDE - 1)[::-1].tolist(),
            }
        for label in gone:
            assert await self.points(label) is None
            assert (await self.ask("HEAD", f"sparsevol/{label}")).status == 204
            assert (await self.ask("GET", f"sparsevol-size/{label}")).status == 404


def noise(size: Triple) -> Array:
    """Voxels nearly all of other labels, whose blocks take much room, with some of label 5 in each block."""
    out = np.random.default_rng(1).integers(10, 2**40, size).astype(np.uint64)
    out[::SIDE, ::SIDE, ::SIDE] = out[1::SIDE, ::SIDE, ::SIDE] = 5
    return out


def runs(*rows: tuple[int, int, int, int]) -> bytes:
    """A sparse volume of runs x, y, z, length."""
    return struct.pack("<4B2I", 0, 3, 0, 0, 0, len(rows)) + np.array(rows, "<i4").tobytes()


async def new_bodies(api: Api, **settings: str) -> Bodies:
    """An empty instance in a new repo."""
    uuid = await api.repo()
    made = {"BlockSize": "16,16,16", "MaxDownresLevel": str(SCALES), **settings}
    await api.instance(uuid, "bodies", "labelarray", **made)
    return Bodies(api, uuid, "bodies")
