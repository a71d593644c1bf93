"""Rows of image volumes and of regions."""

from __future__ import annotations

import functools
import json
import random
from typing import Any

import numpy as np
from load import Calls, Request, Row
from numpy.typing import NDArray
from servers import Server

Voxels = NDArray[np.uint8]

DEPTH, SIDE = 256, 512
"""Slices of the volume, and their pixels a side."""

SLAB = 64
"""Slices that are posted at once."""

AROUND = 8
"""Requests that are under way at a time where there are many small ones."""


@functools.cache
def sections() -> Voxels:
    """A volume (z, y, x) that packs as badly as sections of electron microscopy: large shapes under noise."""
    chance = np.random.default_rng(1)
    coarse = chance.integers(60, 200, (DEPTH // 32 + 1, SIDE // 16, SIDE // 16))
    shapes = coarse.repeat(16, axis=1).repeat(16, axis=2)
    out = np.empty((DEPTH, SIDE, SIDE), np.uint8)
    for z in range(DEPTH):
        noise = chance.normal(0, 12, (SIDE, SIDE))
        out[z] = (shapes[z // 32] + noise).clip(0, 255)
    return out


@functools.cache
def drawing() -> Voxels:
    """A volume that packs well: equal steps."""
    z, y, x = (np.arange(n, dtype=np.uint16) // 4 for n in (DEPTH, SIDE, SIDE))
    return (z[:, None, None] + y[:, None] + x).astype(np.uint8)


def posts(place: str, voxels: Voxels) -> list[Request]:
    """Requests that write the whole volume."""
    path = f"{place}/raw/0_1_2/{SIDE}_{SIDE}_{SLAB}"
    return [("POST", f"{path}/0_0_{z}", voxels[z : z + SLAB].tobytes()) for z in range(0, DEPTH, SLAB)]


def new(server: Server) -> str:
    """An instance to be written."""
    return server.instance(server.repo(), "uint8blk", "gray")


def gray(server: Server) -> str:
    """The sections."""
    place = new(server)
    for request in posts(place, sections()):
        server.call(*request)
    return place


def flat(server: Server) -> str:
    """The volume that packs well."""
    place = new(server)
    for request in posts(place, drawing()):
        server.call(*request)
    return place


def cubes(place: str, repetition: int) -> list[Request]:
    """256 cubed, aligned to blocks and not."""
    return [("GET", f"{place}/raw/0_1_2/256_256_256/{n}_{n}_0", None) for n in (0, 13, 200, 256)]


def small_cubes(place: str, repetition: int) -> list[Request]:
    """64 cubed at random."""
    chance = random.Random(repetition)
    corners = [(chance.randrange(448), chance.randrange(448), chance.randrange(192)) for _ in range(400)]
    return [("GET", f"{place}/raw/0_1_2/64_64_64/{x}_{y}_{z}", None) for x, y, z in corners]


def slices(plane: str, size: str, form: str) -> Any:
    """Slices along the normal, every fourth."""

    def requests(place: str, repetition: int) -> list[Request]:
        offsets = [f"0_0_{n}" if plane == "xy" else f"0_{n}_0" for n in range(0, 256, 4)]
        return [("GET", f"{place}/raw/{plane}/{size}/{offset}/{form}", None) for offset in offsets]

    return requests


def some_blocks(place: str, repetition: int) -> list[Request]:
    """256 blocks at random."""
    chance = random.Random(repetition)
    names = ",".join(f"{chance.randrange(16)},{chance.randrange(16)},{chance.randrange(8)}" for _ in range(256))
    return [("GET", f"{place}/specificblocks?compression=uncompressed&blocks={names}", None)] * 10


def region(server: Server) -> str:
    """3,200 spans of 56 blocks."""
    place = server.instance(server.repo(), "roi", "r")
    spans = [[z, y, 5, 60] for z in range(64) for y in range(10, 60)]
    server.call("POST", f"{place}/roi", json.dumps(spans).encode())
    return place


def points(place: str, repetition: int) -> list[Request]:
    """10,000 points at random."""
    chance = random.Random(repetition)
    body = json.dumps([[chance.randrange(2048) for _ in range(3)] for _ in range(10_000)]).encode()
    return [("POST", f"{place}/ptquery", body)] * 5


ROWS = (
    Row("image/post-raw-512x512x64", "sections, 16 MiB at once", new,
        Calls(lambda place, _: posts(place, sections()))),
    Row("image/get-raw-256cubed", "boxes of 16 MiB", gray, Calls(cubes)),
    Row("image/get-raw-64cubed-8way", "boxes of 256 KiB at any offset", gray, Calls(small_cubes, AROUND)),
    Row("image/get-jpg-slice-512", "xy slices as JPEG", gray, Calls(slices("xy", "512_512", "jpg:80"), 4)),
    Row("image/get-png-slice-xz-512x256", "xz slices as PNG", gray, Calls(slices("xz", "512_256", "png"), 4)),
    Row("image/subvolblocks-256cubed", "512 blocks of a box, not compressed", gray,
        Calls(lambda place, _: [
            ("GET", f"{place}/subvolblocks/256_256_256/0_0_0?compression=uncompressed", None)] * 6)),
    Row("image/subvolblocks-256cubed-lz4", "the same as they are stored", gray,
        Calls(lambda place, _: [("GET", f"{place}/subvolblocks/256_256_256/0_0_0", None)] * 6)),
    Row("image/specificblocks-256", "256 blocks by their coordinates", gray, Calls(some_blocks)),
    Row("image/packed-get-raw-256cubed", "boxes of a volume that packs well", flat, Calls(cubes)),
    Row("image/packed-get-jpg-slice-512", "its xy slices as JPEG", flat, Calls(slices("xy", "512_512", "jpg:80"), 4)),
    Row("roi/ptquery-10000", "points, inside of 3,200 spans or not", region, Calls(points)),
    Row("roi/mask-256cubed", "masks of 16 MiB", region,
        Calls(lambda place, _: [("GET", f"{place}/mask/0_1_2/256_256_256/100_100_100", None)] * 4)),
)  # fmt: skip
