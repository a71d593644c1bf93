"""Rows of labelmap: voxels, ingestion, points, mapping and indices."""

from __future__ import annotations

import functools
import json
import random
from itertools import product
from typing import Any

import cramjam
import numpy as np
from load import Calls, Flood, Request, Row
from numpy.typing import NDArray
from servers import Server

from dvid_voxels import labels

SIDE = 64
SIZE = (256, 512, 512)
"""z, y, x."""

GROUP = 64
"""Blocks of one POST."""


@functools.cache
def voxels() -> NDArray[np.uint64]:
    """Cells of some 48 voxels with wavy faces, a tenth of them background, names above 2^32."""
    z, y, x = np.meshgrid(*(np.arange(s, dtype=np.float32) for s in SIZE), indexing="ij", sparse=True)
    waves = [
        7 * np.sin(y / 23) + 5 * np.sin(x / 17), 6 * np.sin(z / 19) + 7 * np.sin(x / 29),
        5 * np.sin(z / 13) + 6 * np.sin(y / 31),
    ]  # fmt: skip
    cell = [((n + wave) // 48 + 1).astype(np.int64) for n, wave in zip((z, y, x), waves)]
    names = np.random.default_rng(1).permutation(10**6)[: 16**3].astype(np.uint64) + np.uint64(5_000_000_000)
    names[::10] = 0
    return np.ascontiguousarray(names[cell[0] * 256 + cell[1] * 16 + cell[2]])


@functools.cache
def streams() -> list[bytes]:
    """Bodies of POST blocks."""
    names = list(product(*(range(s // SIDE) for s in SIZE)))
    blocks = labels.encode_blocks(voxels(), (SIDE,) * 3)  # type: ignore[arg-type]
    frames = [labels.frame(at, labels.gzipped(block)) for at, block in zip(names, blocks)]
    return [b"".join(frames[at : at + GROUP]) for at in range(0, len(frames), GROUP)]


@functools.cache
def known() -> list[int]:
    """A thousand supervoxels."""
    found = np.unique(voxels()[::8, ::8, ::8])
    found = found[found > 0]
    return [int(n) for n in np.random.default_rng(2).choice(found, min(1000, len(found)), replace=False)]


def empty(server: Server) -> str:
    """An instance to be written."""
    return server.instance(server.repo(), "labelmap", "seg", BlockSize="64,64,64", MaxDownresLevel="2")


def filled(server: Server) -> str:
    """67 million voxels with two lower scales."""
    place = empty(server)
    for body in streams():
        server.call("POST", f"{place}/blocks?compression=blocks&downres=true", body)
    return place


def deep(server: Server) -> str:
    """The same, a few blocks of it written anew in each of 40 versions."""
    place = filled(server)
    _, _, _, uuid, name = place.split("/")
    for n in range(40):
        uuid = server.child(uuid)
        path = f"/api/node/{uuid}/{name}/blocks?compression=blocks&noindexing=true"
        server.call("POST", path, labels_of(n))
    return f"/api/node/{uuid}/{name}"


def labels_of(n: int) -> bytes:
    """Four blocks."""
    whole = voxels()
    out = []
    for z, y, x in product((n % 4,), (n % 8,), range(4)):
        part = whole[z * SIDE : (z + 1) * SIDE, y * SIDE : (y + 1) * SIDE, x * SIDE : (x + 1) * SIDE]
        out.append(labels.frame((z, y, x), labels.gzipped(labels.encode(part))))
    return b"".join(out)


def ingest_blocks(place: str, repetition: int) -> list[Request]:
    """All of it."""
    return [("POST", f"{place}/blocks?compression=blocks&downres=true", body) for body in streams()]


@functools.cache
def layer() -> bytes:
    """A layer of blocks as an LZ4 block."""
    return bytes(cramjam.lz4.compress_block(voxels()[:SIDE].tobytes(), store_size=False))


def ingest_raw(place: str, repetition: int) -> list[Request]:
    """A layer of blocks."""
    return [("POST", f"{place}/raw/0_1_2/512_512_64/0_0_0?compression=lz4", layer())]


def whole_blocks(place: str, repetition: int) -> list[Request]:
    """All blocks, as they are stored."""
    return [("GET", f"{place}/blocks/512_512_256/0_0_0?compression=blocks", None)] * 3


def large_boxes(place: str, repetition: int) -> list[Request]:
    """Boxes of 17 million voxels."""
    return [("GET", f"{place}/raw/0_1_2/256_256_256/{o}_{o}_0?compression=lz4", None) for o in (0, 128, 256)]


def chunks(options: str) -> Any:
    """Blocks of voxels, as viewers ask for them."""

    def requests(place: str, repetition: int) -> list[Request]:
        draw = random.Random(repetition)
        places = [f"{64 * draw.randrange(8)}_{64 * draw.randrange(8)}_{64 * draw.randrange(4)}" for _ in range(200)]
        return [("GET", f"{place}/raw/0_1_2/64_64_64/{at}?{options}", None) for at in places]

    return requests


def points(place: str, repetition: int) -> list[Request]:
    """Ten thousand points."""
    draw = random.Random(repetition)
    asked = [[draw.randrange(512), draw.randrange(512), draw.randrange(256)] for _ in range(10_000)]
    return [("GET", f"{place}/labels", json.dumps(asked).encode())] * 3


def asked(endpoint: str, times: int) -> Any:
    """A thousand labels."""
    return lambda place, repetition: [("GET", f"{place}/{endpoint}", json.dumps(known()).encode())] * times


ROWS = (
    Row("labelmap/ingest-blocks-67Mvox", "67 million voxels as label blocks, with indices and two lower scales", empty,
        Calls(ingest_blocks)),
    Row("labelmap/ingest-raw-17Mvox", "17 million voxels as LZ4, with indices and two lower scales", empty,
        Calls(ingest_raw)),
    Row("labelmap/get-blocks-67Mvox", "67 million voxels as label blocks", filled, Calls(whole_blocks)),
    Row("labelmap/get-raw-lz4-256cubed", "17 million voxels as LZ4", filled, Calls(large_boxes)),
    Row("labelmap/get-raw-64cubed-8way", "chunks as LZ4, 8 at a time", filled,
        Calls(chunks("compression=lz4"), threads=8)),
    Row("labelmap/get-googlegzip-8way", "chunks as Neuroglancer asks for them, 8 at a time", filled,
        Calls(chunks("compression=googlegzip&scale=0"), threads=8)),
    Row("labelmap/label-at-point", "single points", filled, Flood("GET", "{place}/label/{n}_100_100", numbers=512)),
    Row("labelmap/labels-10k-points", "10,000 points", filled, Calls(points)),
    Row("labelmap/sizes-1000", "the sizes of 1,000 bodies", filled, Calls(asked("sizes", 10))),
    Row("labelmap/mapping-1000", "the bodies of 1,000 supervoxels", filled, Calls(asked("mapping", 20))),
    Row("labelmap/indices-1000", "the indices of 1,000 bodies", filled, Calls(asked("indices", 5))),
    Row("versions/labelmap-raw-256cubed-40-deep", "17 million voxels as LZ4, 40 versions deep", deep,
        Calls(large_boxes)),
    Row("versions/labelmap-blocks-40-deep", "67 million voxels as label blocks, 40 versions deep", deep,
        Calls(whole_blocks)),
)  # fmt: skip
