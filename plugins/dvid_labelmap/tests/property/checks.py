"""What a server says of a version, compared with the model."""

from __future__ import annotations

import gzip
import io
import random

import lz4.block  # type: ignore[import-untyped]
import numpy as np

from dvid_core.testing import Api

from ..nanovdb import read_grid
from ..segmentation import SIDE, Segmentation, xyz
from ..sparse_volumes import voxels_of_masks, voxels_of_rles, voxels_of_runs
from .model import LOW, SCALES, SHAPE, Array, Triple, Version, low


class Checks:
    """Compares one version; a failed one raises AssertionError."""

    def __init__(self, api: Api, version: Version, rng: random.Random, name: str = "seg") -> None:
        self.seg = Segmentation(api, version.uuid, name)
        self.api, self.version, self.rng = api, version, rng

    async def all(self, bodies: int | None) -> None:
        """Everything; of some of the bodies, or all."""
        await self.voxels()
        await self.lists()
        members = self.version.members()
        chosen = sorted(members)
        if bodies is not None and bodies < len(chosen):
            chosen = self.rng.sample(chosen, bodies)
        for body in chosen:
            await self.body(body)
        await self.supervoxels()
        await self.mapping()

    async def voxels(self) -> None:
        """raw at all scales, labels at points."""
        version, seg = self.version, self.seg
        for scale in range(SCALES):
            shape, first = version.scales[scale].shape, low(scale)
            found = await seg.get(first, shape, f"?supervoxels=true&scale={scale}")  # type: ignore[arg-type]
            assert (found == version.scales[scale]).all(), f"supervoxels at scale {scale}"
            found = await seg.get(first, shape, f"?scale={scale}")  # type: ignore[arg-type]
            assert (found == version.bodies(scale)).all(), f"bodies at scale {scale}"
        points = [[self.rng.randrange(s) for s in SHAPE] for _ in range(20)]
        wire = [[n + o for n, o in zip(p[::-1], low()[::-1])] for p in points]
        for options, wanted in (("", version.bodies()), ("?supervoxels=true", version.scales[0])):
            answer = await self.api.demand("GET", f"{seg.place}/labels{options}", json=wire)
            assert answer == [int(wanted[tuple(p)]) for p in points], f"labels{options}"

    async def lists(self) -> None:
        """existing-labels, sizes, which add up."""
        members = self.version.members()
        assert await self.seg.labels() == sorted(members)
        names = sorted(members)
        sizes = await self.api.demand("GET", f"{self.seg.place}/sizes", json=names)
        assert sizes == [sum(members[n].values()) for n in names]
        assert sum(sizes) == np.count_nonzero(self.version.scales[0])
        found = self.version.supervoxels()
        sizes = await self.api.demand("GET", f"{self.seg.place}/sizes?supervoxels=true", json=list(found))
        assert sizes == list(found.values())
        data = await self.api.get(f"{self.seg.place}/listlabels?sizes=true")
        assert np.frombuffer(data, "<u8").tolist() == [n for b in names for n in (b, sum(members[b].values()))]

    async def body(self, body: int) -> None:
        """The index of a body and all its sparse volumes."""
        version, seg = self.version, self.seg
        index = version.indices()[body]
        assert await seg.index(body) == index, f"index of {body}"
        own = version.members()[body]
        assert sorted(await self.api.get(f"{seg.place}/supervoxels/{body}")) == sorted(own)
        await self.coarse(f"{body}", list(index), sum(own.values()))
        for scale in range(SCALES):
            await self.sparse(body, "", scale, version.sparse(list(own), scale))

    async def coarse(self, label: str, blocks: list[Triple], voxels: int) -> None:
        """sparsevol-coarse, sparsevol-size."""
        data = await self.api.get(f"{self.seg.place}/sparsevol-coarse/{label}")
        shape = tuple(s // SIDE for s in SHAPE)
        mask = voxels_of_rles(data, shape, LOW)  # type: ignore[arg-type]
        assert sorted(tuple((p + LOW).tolist()) for p in np.argwhere(mask)) == sorted(blocks)
        size = await self.api.get(f"{self.seg.place}/sparsevol-size/{label}")
        points = np.array(blocks)
        assert size == {
            "voxels": voxels,
            "numblocks": len(blocks),
            "minvoxel": (points.min(axis=0) * SIDE)[::-1].tolist(),
            "maxvoxel": ((points.max(axis=0) + 1) * SIDE - 1)[::-1].tolist(),
        }

    async def sparse(self, label: int, options: str, scale: int, wanted: Array) -> None:
        """sparsevol in one of its forms, and within bounds."""
        form = self.rng.choice(["rles", "srles", "blocks", "gzip", "lz4", "bounds", "fvdb", "point"])
        place, shape, first = f"{self.seg.place}/sparsevol/{label}", wanted.shape, low(scale)
        tail = f"?scale={scale}{options}"
        what = f"{form} of {label}{options} at scale {scale}"
        if form == "fvdb":
            answer = await self.api.ask("GET", f"{self.seg.place}/fvdb/{label}{tail}")
            assert answer.status == (200 if wanted.any() else 400), what
            if wanted.any():
                points = read_grid(answer.body)
                assert np.array_equal(points, np.argwhere(wanted) + first), what
            return
        if form == "bounds":
            corners = [sorted(self.rng.randrange(s) for _ in "ab") for s in shape]
            box = tuple(slice(a, b + 1) for a, b in corners)
            inside = np.zeros(shape, bool)
            inside[box] = wanted[box]
            tail += "".join(f"&min{axis}={a + o}&max{axis}={b + o}" for axis, (a, b), o in zip("zyx", corners, first))
            answer = await self.api.ask("GET", place + tail)
            assert answer.status == 200 or (answer.status == 404 and not inside.any()), what
            assert (voxels_of_rles(answer.body, shape, first) == inside).all(), what + tail
            assert (await self.api.ask("HEAD", place + tail)).status == {200: 200, 404: 204}[answer.status]
            return
        if form == "point":
            if not wanted.any():
                return
            at = self.rng.choice(np.argwhere(wanted).tolist())
            point = xyz(tuple(a + o for a, o in zip(at, first)))
            data = await self.api.get(f"{self.seg.place}/sparsevol-by-point/{point}{tail}")
            assert (voxels_of_rles(data, shape, first) == wanted).all(), what
            return
        tail += f"&compression={form}" if form in ("gzip", "lz4") else f"&format={form}"
        data = await self.api.get(place + tail)
        if form == "blocks":
            assert (voxels_of_masks(data, label, shape, first) == wanted).all(), what
            return
        if data and form == "gzip":
            data = gzip.GzipFile(fileobj=io.BytesIO(data)).read()
        if data and form == "lz4":
            data = lz4.block.decompress(data, uncompressed_size=1 << 22)
        read = voxels_of_runs if form == "srles" else voxels_of_rles
        assert (read(data, shape, first) == wanted).all(), what

    async def supervoxels(self) -> None:
        """Sparse volumes of some supervoxels, and none of retired ones."""
        found = self.version.supervoxels()
        for supervoxel in self.rng.sample(sorted(found), min(3, len(found))):
            scale = self.rng.randrange(SCALES)
            wanted = self.version.sparse([supervoxel], scale)
            await self.sparse(supervoxel, "&supervoxels=true", scale, wanted)
            blocks = self.version.blocks_of(self.version.scales[0] == supervoxel)
            names = [(z + LOW[0], y + LOW[1], x + LOW[2]) for z, y, x in blocks]
            await self.coarse(f"{supervoxel}?supervoxels=true", names, found[supervoxel])
        retired = sorted(n for n, body in self.version.mapping.items() if not body)
        for name in self.rng.sample(retired, min(2, len(retired))):
            await self.seg.refused("GET", f"sparsevol/{name}?supervoxels=true")
            await self.seg.refused("GET", f"size/{name}?supervoxels=true")
        members = self.version.members()
        for name in retired[:3]:
            if name not in members:
                assert (await self.seg.ask("GET", f"sparsevol/{name}")).status == 404
                assert (await self.seg.ask("HEAD", f"sparsevol/{name}")).status == 204

    async def mapping(self) -> None:
        """Entries, and the splits that made some of them."""
        version = self.version
        lines = (await self.seg.ask("GET", "mappings")).text.split("\n")[:-1]
        wanted = {sv: body for sv, body in version.mapping.items() if sv != body}
        assert dict(tuple(map(int, line.split())) for line in lines) == wanted  # type: ignore[misc]
        assert len(lines) == len(wanted)
        names = sorted({*version.mapping, *version.supervoxels()})
        found = await self.api.demand("GET", f"{self.seg.place}/mapping", json=names)
        assert found == [version.body(n) for n in names]
        told = await self.api.get(f"{self.seg.place}/supervoxel-splits")
        assert dict(zip(told[::2], told[1::2])) == version.known_splits()
