"""Rows of labelmap: merges, cleaves, splits, and reads between them."""

from __future__ import annotations

import functools
import json
import random

import numpy as np
from load import Calls, Request, Row
from rows_labelmap import SIDE, SIZE, filled, known, voxels
from servers import Server

OFTEN = 60
"""Cleaves of one repetition; there is enough for ten repetitions of every row."""


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


def index(label: int, blocks: int, supervoxels: int) -> bytes:
    """The index of a body whose supervoxels, named from `label` on, lie in a row of blocks each."""
    out = []
    for n in range(blocks):
        x, y, z = n % 64, n // 64 % 64, n // 4096
        counts = field(1, field(1, label + n * supervoxels // blocks) + field(2, 1000))
        out.append(field(1, field(1, z << 42 | y << 21 | x) + field(2, counts)))
    return b"".join(out) + field(2, label)


def mapping(label: int, supervoxels: int) -> bytes:
    """The mapping of the same body."""
    return field(1, field(2, label) + field(3, b"".join(varint(label + n) for n in range(supervoxels))))


def filed(blocks: int, supervoxels: int, server: Server) -> str:
    """A body of that many blocks and supervoxels, 10^6, and small ones from 10^8 on, known by their indices alone."""
    place = server.instance(server.repo(), "labelmap", "seg", BlockSize="64,64,64")
    server.call("POST", f"{place}/index/1000000", index(10**6, blocks, supervoxels))
    server.call("POST", f"{place}/mappings", mapping(10**6, supervoxels))
    small = b"".join(field(1, index(10**8 + n, 1, 1)) for n in range(10 * OFTEN))
    server.call("POST", f"{place}/indices", small)
    return place


def wide(server: Server) -> str:
    """A body of 1,000 supervoxels over 100,000 blocks."""
    return filed(100_000, 1000, server)


def huge(server: Server) -> str:
    """A body of 20,000 supervoxels over 300,000 blocks."""
    return filed(300_000, 20_000, server)


def merged(server: Server) -> str:
    """A segmentation with one body of 300 supervoxels."""
    place = filled(server)
    server.call("POST", f"{place}/merge", json.dumps(known()[:300]).encode())
    return place


def pairs(place: str, repetition: int) -> list[Request]:
    """Two bodies become one, and two again."""
    out: list[Request] = []
    for n in range(300 + 60 * repetition, 360 + 60 * repetition, 2):
        a, b = known()[n : n + 2]
        out.append(("POST", f"{place}/merge", json.dumps([a, b]).encode()))
        out.append(("POST", f"{place}/cleave/{a}", json.dumps([b]).encode()))
    return out


def cleaves(place: str, repetition: int) -> list[Request]:
    """Supervoxels leave a body of 300, then of fewer."""
    some = known()[1 + 28 * repetition : 29 + 28 * repetition]
    return [("POST", f"{place}/cleave/{known()[0]}", json.dumps([n]).encode()) for n in some]


def wide_cleaves(place: str, repetition: int) -> list[Request]:
    """Supervoxels leave a body of 1,000."""
    first = 10**6 + 1 + OFTEN * repetition
    return [("POST", f"{place}/cleave/1000000", json.dumps([first + n]).encode()) for n in range(OFTEN)]


def huge_merges(place: str, repetition: int) -> list[Request]:
    """Small bodies become part of a huge one."""
    first = 10**8 + 5 * repetition
    return [("POST", f"{place}/merge", json.dumps([10**6, first + n]).encode()) for n in range(5)]


@functools.cache
def slices() -> list[tuple[int, bytes]]:
    """Supervoxels, and of each the voxels in one plane as a sparse volume."""
    out = []
    for z in range(20, SIZE[0], 40):
        plane = voxels()[z]
        for label in np.unique(plane[::16, ::16]).tolist():
            if label and label not in [known_label for known_label, _ in out]:
                runs = []
                for y in np.flatnonzero((plane == label).any(axis=1)).tolist():
                    edges = np.flatnonzero(np.diff(np.concatenate([[0], (plane[y] == label).astype(int), [0]])))
                    runs += [(a, y, z, b - a) for a, b in edges.reshape(-1, 2).tolist()]
                body = np.array(runs, "<i4").tobytes()
                out.append((label, b"\0\3" + bytes(6) + len(runs).to_bytes(4, "little") + body))
    return out


def splits(place: str, repetition: int) -> list[Request]:
    """Supervoxels lose a plane of voxels."""
    some = slices()[repetition * 20 : repetition * 20 + 20]
    return [("POST", f"{place}/split-supervoxel/{label}", volume) for label, volume in some]


def boxes(place: str, repetition: int) -> list[Request]:
    """Boxes of one block, as they are shown."""
    draw = random.Random(repetition)
    out: list[Request] = []
    for _ in range(400):
        x, y, z = (SIDE * draw.randrange(s // SIDE) for s in SIZE[::-1])
        out.append(("GET", f"{place}/raw/0_1_2/64_64_64/{x}_{y}_{z}?compression=lz4", None))
    return out


ROWS = (
    Row("labelmap-edits/merge-then-cleave", "two bodies merged and cleaved again, one pair after the other", merged,
        Calls(pairs)),
    Row("labelmap-edits/cleave-from-300-supervoxels", "cleaves of one supervoxel", merged, Calls(cleaves)),
    Row("labelmap-edits/cleave-from-100000-blocks", "the same from a body of 1,000 supervoxels over 100,000 blocks",
        wide, Calls(wide_cleaves)),
    Row("labelmap-edits/merge-into-300000-blocks",
        "small bodies merged into one of 20,000 supervoxels over 300,000 blocks", huge, Calls(huge_merges)),
    Row("labelmap-edits/split-supervoxel", "supervoxels cut along a plane, with two lower scales", filled,
        Calls(splits)),
    Row("labelmap-edits/raw-64cubed-after-merges-8way", "boxes of 64^3 as LZ4, eight at a time, of merged bodies",
        merged, Calls(boxes, 8)),
)  # fmt: skip
