"""`Bodies`: what a labelmap must answer, kept beside it as plain arrays and dicts while it is edited."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from .segmentation import Array, Segmentation, Triple, halved

LOW: Triple = (-1, 0, -2)


def runs_of(mask: Array, low: Triple = (0, 0, 0)) -> bytes:
    """The voxels of a mask as runs along x, without a head; `low` is the place of its first voxel."""
    out = []
    for z, y in np.argwhere(mask.any(axis=2)):
        row = np.flatnonzero(np.diff(np.concatenate([[0], mask[z, y], [0]]).astype(int)))
        for start, stop in row.reshape(-1, 2):
            out.append((start + low[2], y + low[1], z + low[0], stop - start))
    return np.array(out, "<i4").tobytes()


def sparse_volume(runs: bytes) -> bytes:
    """Runs with their head, as they are posted."""
    return b"\0\3\0\0\0\0\0\0" + (len(runs) // 16).to_bytes(4, "little") + runs


class Bodies:
    """The model of one version; its first block is `LOW`."""

    def __init__(self, seg: Segmentation, voxels: Array) -> None:
        self.seg, self.voxels = seg, voxels
        self.body_of = {int(n): int(n) for n in np.unique(voxels) if n}
        self.retired: set[int] = set()

    def at(self, seg: Segmentation) -> Bodies:
        """The same seen from a new version."""
        out = Bodies(seg, self.voxels.copy())
        out.body_of, out.retired = dict(self.body_of), set(self.retired)
        return out

    def supervoxels(self, body: int) -> list[int]:
        """The supervoxels of a body, ascending."""
        return sorted(s for s, b in self.body_of.items() if b == body)

    @property
    def names(self) -> list[int]:
        """All bodies."""
        return sorted(set(self.body_of.values()))

    def size(self, *supervoxels: int) -> int:
        """Their voxels."""
        return int(np.isin(self.voxels, supervoxels).sum())

    def part(self, supervoxel: int, share: int = 3) -> bytes:
        """A sparse volume of some of its voxels."""
        mask = self.mask(supervoxel, share)
        return sparse_volume(runs_of(mask, self.low))

    def mask(self, supervoxel: int, share: int = 3) -> Array:
        """The same voxels as a mask."""
        mask = self.voxels == supervoxel
        places = np.argwhere(mask)
        mask[tuple(places[len(places) // share :].T)] = False
        return mask

    @property
    def low(self) -> Triple:
        """The place of the first voxel."""
        z, y, x = LOW
        return z * 16, y * 16, x * 16

    # -- edits of both

    async def post(self, path: str, body: Any = None) -> Any:
        """An edit that succeeds."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        return await self.seg.api.post(f"{self.seg.place}/{path}", data)

    async def merge(self, target: int, *merged: int) -> int:
        """Merge bodies; the mutation id."""
        done = await self.post("merge", [target, *merged])
        for s, b in self.body_of.items():
            if b in merged:
                self.body_of[s] = target
        return int(done["MutationID"])

    async def cleave(self, body: int, *supervoxels: int) -> tuple[int, int]:
        """Cleave supervoxels; the new body and the mutation id."""
        done = await self.post(f"cleave/{body}", list(supervoxels))
        self.body_of.update(dict.fromkeys(supervoxels, done["CleavedLabel"]))
        self.retired.add(done["CleavedLabel"])
        return done["CleavedLabel"], done["MutationID"]

    async def renumber(self, *pairs: int) -> None:
        """Rename bodies: new, old, ..."""
        assert await self.post("renumber", list(pairs)) == b""
        for new, old in zip(pairs[::2], pairs[1::2]):
            for s, b in self.body_of.items():
                if b == old:
                    self.body_of[s] = new

    async def split(self, supervoxel: int, share: int = 3, options: str = "") -> tuple[int, int]:
        """Cut a supervoxel; the parts."""
        mask = self.mask(supervoxel, share)
        done = await self.post(f"split-supervoxel/{supervoxel}{options}", self.part(supervoxel, share))
        split, remain = done["SplitSupervoxel"], done["RemainSupervoxel"]
        self.cut(supervoxel, mask, split, remain)
        return split, remain

    def cut(self, supervoxel: int, mask: Array, split: int, remain: int) -> None:
        """The model's part of a split."""
        here = self.voxels == supervoxel
        self.voxels[here] = remain
        self.voxels[here & mask] = split
        body = self.body_of.pop(supervoxel)
        self.body_of[split] = self.body_of[remain] = body
        self.retired.add(supervoxel)

    # -- comparison

    async def check(self, scales: bool = True) -> None:
        """Demand that all reads agree with the model."""
        seg, get = self.seg, self.seg.api.get
        await seg.check_indices(LOW, self.voxels, self.body_of)
        shape, corner = self.voxels.shape, self.low
        assert (await seg.get(corner, shape, "?supervoxels=true") == self.voxels).all()
        bodies = np.zeros_like(self.voxels)
        for s, b in self.body_of.items():
            bodies[self.voxels == s] = b
        assert (await seg.get(corner, shape) == bodies).all()
        asked = sorted(self.body_of)
        mapping = await seg.api.demand("GET", f"{seg.place}/mapping", json=asked)
        assert mapping == [self.body_of[s] for s in asked]
        gone = sorted(self.retired - set(self.body_of))
        assert await seg.api.demand("GET", f"{seg.place}/mapping", json=gone) == [0] * len(gone)
        names = self.names
        sizes = await seg.api.demand("GET", f"{seg.place}/sizes", json=names)
        assert sizes == [self.size(*self.supervoxels(n)) for n in names]
        for name in names:
            assert sorted(await get(f"{seg.place}/supervoxels/{name}")) == self.supervoxels(name)
        coarse = self.voxels
        for scale in range(1, 3) if scales else ():
            coarse = halved(coarse)
            corner = tuple(c // 2 for c in corner)  # type: ignore[assignment]
            found = await seg.get(corner, coarse.shape, f"?scale={scale}&supervoxels=true")
            assert (found == coarse).all()


async def everything(seg: Segmentation, shape: Triple) -> list[Any]:
    """All that an edit could change."""
    z, y, x = LOW
    names = await seg.labels()
    return [
        names,
        [await seg.index(n) for n in names],
        await seg.api.get(f"{seg.place}/mappings"),
        await seg.api.get(f"{seg.place}/mutations"),
        await seg.api.get(f"{seg.place}/supervoxel-splits"),
        [await seg.api.get(f"{seg.place}/lastmod/{n}") for n in names],
        (await seg.get((z * 16, y * 16, x * 16), shape, "?supervoxels=true")).tobytes(),
    ]
