"""Labels made up, and a volume of labels as tests ask it.  Arrays are z, y, x."""

from __future__ import annotations

import struct
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dvid_core.testing import Answer, Api

Array: TypeAlias = NDArray[Any]
Triple: TypeAlias = tuple[int, int, int]


def cells(size: Triple, seed: int = 0, first: int = 1, count: int = 12, zeros: float = 0.1) -> Array:
    """Labels in rough cells with some background, as segmentations are."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(first, first + count, [-(-s // 5) for s in size]).astype(np.uint64)
    coarse[rng.random(coarse.shape) < zeros] = 0
    out = coarse.repeat(5, 0).repeat(5, 1).repeat(5, 2)[: size[0], : size[1], : size[2]]
    noise = rng.random(size) < 0.03
    out[noise] = rng.integers(first, first + count, noise.sum())
    return np.ascontiguousarray(out, np.uint64)


def halved(voxels: Array) -> Array:
    """The next scale by the rule: zeros do not vote, most votes win, of equals the smallest label."""
    z, y, x = voxels.shape
    votes = voxels.reshape(z // 2, 2, y // 2, 2, x // 2, 2).transpose(0, 2, 4, 1, 3, 5).reshape(-1, 8)
    best = np.zeros(len(votes), np.uint64)
    most = np.zeros(len(votes), int)
    for i in range(8):
        label = votes[:, i]
        count = (votes == label[:, None]).sum(axis=1)
        better = (label > 0) & ((count > most) | ((count == most) & (label < best)))
        best[better], most[better] = label[better], count[better]
    return best.reshape(z // 2, y // 2, x // 2)


def sparse(points: Array) -> bytes:
    """A sparse volume of points (n, 3) of z, y, x, each a run of its own where x does not go on."""
    points = points[np.lexsort((points[:, 2], points[:, 1], points[:, 0]))]
    begins = np.ones(len(points), bool)
    begins[1:] = (points[1:, :2] != points[:-1, :2]).any(axis=1) | (points[1:, 2] != points[:-1, 2] + 1)
    starts = np.flatnonzero(begins)
    lengths = np.diff(np.append(starts, len(points)))
    rows = np.concatenate([points[starts][:, ::-1], lengths[:, None]], axis=1).astype("<i4")
    return struct.pack("<4B2I", 0, 3, 0, 0, 0, len(rows)) + rows.tobytes()


def points_of(data: bytes) -> Array:
    """The points (n, 3) of z, y, x of a sparse volume, in order."""
    rows = np.frombuffer(data, "<i4", offset=12).reshape(-1, 4)
    assert len(rows) == struct.unpack_from("<I", data, 8)[0]
    found = [(z, y, x + n) for x, y, z, length in rows.tolist() for n in range(length)]
    assert len(set(found)) == len(found)
    return np.array(sorted(found), np.int64).reshape(-1, 3)


def xyz(zyx: tuple[int, ...]) -> str:
    """Three numbers z, y, x as a path says them."""
    return "_".join(map(str, zyx[::-1]))


class Place:
    """One instance at one version."""

    def __init__(self, api: Api, uuid: str, name: str) -> None:
        self.api, self.uuid, self.name = api, uuid, name

    @property
    def path(self) -> str:
        """The path of its endpoints."""
        return f"/api/node/{self.uuid}/{self.name}"

    async def put(self, low: Triple, voxels: Array, options: str = "") -> None:
        """POST raw; `low` is in voxels."""
        await self.api.post(f"{self.path}/raw/0_1_2/{xyz(voxels.shape)}/{xyz(low)}{options}", voxels.tobytes())

    async def get(self, low: Triple, size: Triple, options: str = "") -> Array:
        """GET raw."""
        data = await self.api.get(f"{self.path}/raw/0_1_2/{xyz(size)}/{xyz(low)}{options}")
        return np.frombuffer(data, "<u8").reshape(size)

    async def ask(self, method: str, path: str, body: Any = None) -> Answer:
        """Any request."""
        return await self.api.ask(method, f"{self.path}/{path}", body)

    async def refused(self, method: str, path: str, body: Any = None) -> str:
        """The sentence with which a request is refused."""
        answer = await self.ask(method, path, body)
        assert answer.status == 400, f"{method} {path}: {answer.status} {answer.text[:200]}"
        assert answer.text
        return answer.text
