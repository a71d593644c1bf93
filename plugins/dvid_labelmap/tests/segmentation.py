"""`Segmentation`: a labelmap seen from one version, asked over HTTP.  Arrays are z, y, x."""

from __future__ import annotations

import gzip
import struct
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dvid_core.testing import Answer, Api

Array: TypeAlias = NDArray[Any]
Triple: TypeAlias = tuple[int, int, int]
Counts: TypeAlias = dict[Triple, dict[int, int]]

SIDE = 16


def xyz(zyx: tuple[int, ...]) -> str:
    """Three numbers z, y, x as a path says them."""
    return "_".join(map(str, zyx[::-1]))


def cells(size: Triple, seed: int = 0, first: int = 1, count: int = 12, zeros: float = 0.1) -> Array:
    """Labels in rough cells with some background, as segmentations are."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(first, first + count, [-(-s // 5) for s in size]).astype(np.uint64)
    coarse[rng.random(coarse.shape) < zeros] = 0
    out = coarse.repeat(5, 0).repeat(5, 1).repeat(5, 2)[: size[0], : size[1], : size[2]]
    noise = rng.random(size) < 0.03
    out[noise] = rng.integers(first, first + count, noise.sum())
    return np.ascontiguousarray(out, np.uint64)


def encode(voxels: Array) -> bytes:
    """A label block, written without any of the code under test."""
    n = tuple(s // 8 for s in voxels.shape)
    table, places = np.unique(voxels, return_inverse=True)
    head = struct.pack("<4I", *n[::-1], len(table)) + table.astype("<u8").tobytes()
    if len(table) == 1:
        return head
    parts = places.reshape(n[0], 8, n[1], 8, n[2], 8).transpose(0, 2, 4, 1, 3, 5).reshape(-1, 512)
    counts, entries, bits = [], [], []
    for part in parts:
        used, values = np.unique(part, return_inverse=True)
        counts.append(len(used))
        entries.append(used.astype("<u4").tobytes())
        if len(used) > 1:
            width = int(len(used) - 1).bit_length()
            bits.append(np.packbits(values.reshape(-1, 1) >> np.arange(width - 1, -1, -1) & 1).tobytes())
    return head + np.array(counts, "<u2").tobytes() + b"".join(entries) + b"".join(bits)


def decode(data: bytes) -> Array:
    """The voxels of a label block, by the same token."""
    gx, gy, gz, count = struct.unpack_from("<4I", data)
    table = np.frombuffer(data, "<u8", count, 16)
    shape, at, total = (gz * 8, gy * 8, gx * 8), 16 + 8 * count, gx * gy * gz
    if count == 1:
        return np.full(shape, table[0])
    sizes = np.frombuffer(data, "<u2", total, at).astype(int)
    entries = np.frombuffer(data, "<u4", sizes.sum(), at + 2 * total)
    at += 2 * total + 4 * int(sizes.sum())
    out, first = np.zeros(shape, np.uint64), 0
    for number, size in enumerate(sizes.tolist()):
        z, y, x = (8 * i for i in np.unravel_index(number, (gz, gy, gx)))
        names, first = table[entries[first : first + size]], first + size
        if size == 1:
            out[z : z + 8, y : y + 8, x : x + 8] = names[0]
        elif size > 1:
            width = (size - 1).bit_length()
            bits = np.unpackbits(np.frombuffer(data, np.uint8, 64 * width, at)).reshape(512, width)
            at += 64 * width
            values = bits @ (1 << np.arange(width - 1, -1, -1))
            out[z : z + 8, y : y + 8, x : x + 8] = names[values].reshape(8, 8, 8)
    return out


def frame(at: Triple, voxels: Array) -> bytes:
    """A frame as POST blocks takes it; `at` are block coordinates."""
    payload = gzip.compress(encode(voxels), 1)
    return struct.pack("<4i", *at[::-1], len(payload)) + payload


def stream(low: Triple, voxels: Array, side: int = SIDE) -> bytes:
    """All blocks of a box whose first block is `low`."""
    parts = []
    for at in np.ndindex(*(s // side for s in voxels.shape)):
        z, y, x = (side * i for i in at)
        block = (low[0] + at[0], low[1] + at[1], low[2] + at[2])
        parts.append(frame(block, voxels[z : z + side, y : y + side, x : x + side]))
    return b"".join(parts)


def frames(data: bytes) -> dict[Triple, bytes]:
    """A stream of blocks: payloads by block coordinates z, y, x."""
    out = {}
    while data:
        x, y, z, n = struct.unpack_from("<4i", data)
        assert (z, y, x) not in out
        out[z, y, x], data = data[16 : 16 + n], data[16 + n :]
        assert len(out[z, y, x]) == n
    return out


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


def counts_of(low: Triple, voxels: Array, side: int = SIDE) -> dict[int, Counts]:
    """What indices must hold: by supervoxel, by block, the voxels."""
    out: dict[int, Counts] = {}
    for at in np.ndindex(*(s // side for s in voxels.shape)):
        z, y, x = (side * i for i in at)
        labels, voxels_ = np.unique(voxels[z : z + side, y : y + side, x : x + side], return_counts=True)
        block = (low[0] + at[0], low[1] + at[1], low[2] + at[2])
        for label, count in zip(labels.tolist(), voxels_.tolist()):
            if label:
                out.setdefault(label, {}).setdefault(block, {})[label] = count
    return out


def varint(n: int) -> bytes:
    """A protobuf varint."""
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes([*out, n])


def field(number: int, value: int | bytes) -> bytes:
    """A protobuf field."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def mapping_ops(*pairs: tuple[int, list[int]]) -> bytes:
    """A MappingOps message: (body, supervoxels)."""
    return b"".join(field(1, field(2, body) + field(3, b"".join(map(varint, svs)))) for body, svs in pairs)


def block_key(at: Triple) -> int:
    """A block as indices on the wire name it."""
    z, y, x = ((abs(c) | (c < 0) << 20) for c in at)
    return z << 42 | y << 21 | x


def label_index(label: int, counts: Counts) -> bytes:
    """A LabelIndex message."""
    out = b""
    for at, found in counts.items():
        inner = b"".join(field(1, field(1, sv) + field(2, n)) for sv, n in found.items())
        out += field(1, field(1, block_key(at)) + field(2, inner))
    return out + field(2, label)


class Segmentation:
    """One instance at one version."""

    def __init__(self, api: Api, uuid: str, name: str = "seg") -> None:
        self.api, self.uuid, self.name = api, uuid, name

    @property
    def place(self) -> str:
        """The path of its endpoints."""
        return f"/api/node/{self.uuid}/{self.name}"

    def at(self, uuid: str) -> Segmentation:
        """The same seen from another version."""
        return Segmentation(self.api, uuid, self.name)

    async def put(self, low: Triple, voxels: Array, options: str = "") -> None:
        """POST raw; `low` is in voxels."""
        await self.api.post(f"{self.place}/raw/0_1_2/{xyz(voxels.shape)}/{xyz(low)}{options}", voxels.tobytes())

    async def post_blocks(self, low: Triple, voxels: Array, options: str = "") -> None:
        """POST blocks; `low` is the first block."""
        await self.api.post(f"{self.place}/blocks{options}", stream(low, voxels))

    async def get(self, low: Triple, size: Triple, options: str = "") -> Array:
        """GET raw."""
        data = await self.api.get(f"{self.place}/raw/0_1_2/{xyz(size)}/{xyz(low)}{options}")
        return np.frombuffer(data, "<u8").reshape(size)

    async def ask(self, method: str, path: str, body: Any = None) -> Answer:
        """Any request."""
        return await self.api.ask(method, f"{self.place}/{path}", body)

    async def refused(self, method: str, path: str, body: Any = None) -> str:
        """The sentence with which a request is refused."""
        answer = await self.ask(method, path, body)
        assert answer.status == 400, f"{method} {path}: {answer.status} {answer.text[:200]}"
        assert answer.text
        return answer.text

    async def labels(self) -> list[int]:
        """The bodies that have an index."""
        return list(await self.api.get(f"{self.place}/existing-labels"))

    async def index(self, label: int, options: str = "") -> Counts:
        """The index of a body: by block (z, y, x), by supervoxel, the voxels."""
        from dvid_labelmap.messages import LabelIndex

        message = LabelIndex.FromString(await self.api.get(f"{self.place}/index/{label}{options}"))
        assert message.label == label
        out: Counts = {}
        for key, counts in message.blocks.items():
            fields = [key >> shift & (1 << 21) - 1 for shift in (42, 21, 0)]
            z, y, x = (-(f & ~(1 << 20)) if f >> 20 else f for f in fields)
            out[z, y, x] = dict(counts.counts.items())
        return out

    async def check_indices(self, low: Triple, voxels: Array, bodies: dict[int, int] | None = None) -> None:
        """Demand that the indices are those of a volume whose first block is `low`, and that there are no others."""
        wanted: dict[int, Counts] = {}
        for supervoxel, found in counts_of(low, voxels).items():
            body = (bodies or {}).get(supervoxel, supervoxel)
            for at, counts in found.items():
                wanted.setdefault(body, {}).setdefault(at, {}).update(counts)
        assert await self.labels() == sorted(wanted)
        for label, counts in wanted.items():
            assert await self.index(label) == counts


async def new_segmentation(api: Api, **settings: str) -> Segmentation:
    """An empty instance in a new repo."""
    uuid = await api.repo()
    await api.instance(uuid, "seg", "labelmap", **{"BlockSize": "16,16,16", "MaxDownresLevel": "2", **settings})
    return Segmentation(api, uuid)
