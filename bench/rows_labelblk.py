"""Rows of labelblk and labelvol, which follow each other."""

from __future__ import annotations

import functools
import json
import random
import time
from typing import Any

import numpy as np
from load import Calls, Flood, Row
from numpy.typing import NDArray
from servers import Failed, Server

SIDE = 256
"""Voxels of the volume along each axis."""

PATIENCE = 300.0


@functools.cache
def voxels() -> NDArray[np.uint64]:
    """Cells of some 32 voxels a side with wavy walls, every one a label."""
    z, y, x = np.meshgrid(*[np.arange(SIDE, dtype=np.float32)] * 3, indexing="ij", sparse=True)
    waves = np.sin(x / 11 + y / 17) * 6 + np.sin(z / 13 - x / 19) * 5
    cells = [((axis + waves + shift) // 32).astype(np.uint64) + 1 for axis, shift in ((z, 5), (y, 9), (x, 14))]
    return cells[0] * 400 + cells[1] * 20 + cells[2]


@functools.cache
def sizes() -> dict[int, int]:
    """The voxels of each label, ascending."""
    labels, counts = np.unique(voxels(), return_counts=True)
    return dict(zip(labels.tolist(), counts.tolist()))


def pair(server: Server) -> tuple[str, str]:
    """An empty labelblk and labelvol."""
    uuid = server.repo()
    seg, bodies = (server.instance(uuid, kind, name) for kind, name in (("labelblk", "seg"), ("labelvol", "bodies")))
    server.call("POST", f"{seg}/sync", b'{"sync": "bodies"}')
    server.call("POST", f"{bodies}/sync", b'{"sync": "seg"}')
    return seg, bodies


def size_of(server: Server, bodies: str, label: int) -> int:
    """The voxels of a label; 0 for none."""
    try:
        data = server.call("GET", f"{bodies}/sparsevol/{label}")
    except Failed:
        return 0
    return int(np.frombuffer(data, "<i4", offset=12).reshape(-1, 4)[:, 3].sum())


def filled(server: Server) -> tuple[str, str]:
    """A pair with the volume, when the bodies are there."""
    seg, bodies = pair(server)
    server.call("POST", f"{seg}/raw/0_1_2/{SIDE}_{SIDE}_{SIDE}/0_0_0", voxels().tobytes())
    end = time.monotonic() + PATIENCE
    for label, size in sizes().items():
        while size_of(server, bodies, label) != size:
            if time.monotonic() > end:
                raise Failed(f"the voxels of label {label} do not arrive")
            time.sleep(0.05)
    return seg, bodies


def written(server: Server) -> tuple[str, str]:
    """One whose voxels are written over."""
    return filled(server)


def merged(server: Server) -> tuple[str, str]:
    """One whose bodies are merged."""
    return filled(server)


def label_place(server: Server) -> str:
    """Where a label is asked for; most of the path."""
    return f"{filled_once(server)[0]}/label/{SIDE // 2}_{SIDE // 2}_"


def coarse_place(server: Server) -> str:
    """Where the blocks of a label are asked for."""
    return f"{filled_once(server)[1]}/sparsevol-coarse/{next(iter(sizes()))}"


def filled_once(server: Server) -> tuple[str, str]:
    """The pair that most rows share."""
    place: tuple[str, str] = server.prepared(filled)
    return place


def boxes(side: int, count: int, options: str = "") -> Any:
    """Reads of boxes at places that nothing is aligned to, or at chunks of 64 with options of Neuroglancer."""

    def requests(place: tuple[str, str], repetition: int) -> list[tuple[str, str, bytes | None]]:
        choose = random.Random(repetition)
        step = 64 if options else 1
        offsets = ["_".join(str(choose.randrange(0, SIDE - side + 1, step)) for _ in range(3)) for _ in range(count)]
        return [("GET", f"{place[0]}/raw/0_1_2/{side}_{side}_{side}/{o}{options}", None) for o in offsets]

    return requests


def bodies(place: tuple[str, str], repetition: int) -> list[tuple[str, str, bytes | None]]:
    """Sparse volumes of many labels."""
    return [("GET", f"{place[1]}/sparsevol/{label}", None) for label in list(sizes())[:200]]


def merges(place: tuple[str, str], repetition: int) -> list[tuple[str, str, bytes | None]]:
    """Each of some labels into its neighbour, others in each repetition."""
    some = list(sizes())[20 + 40 * repetition :][:40]
    return [("POST", f"{place[1]}/merge", json.dumps([a, b]).encode()) for a, b in zip(some[::2], some[1::2])]


def writes(place: tuple[str, str], repetition: int) -> list[tuple[str, str, bytes | None]]:
    """A quarter of the volume, again and again."""
    path = f"{place[0]}/raw/0_1_2/{SIDE}_{SIDE}_{SIDE // 4}/0_0_0?mutate=true"
    return [("POST", path, voxels()[repetition : repetition + SIDE // 4].tobytes())] * 4


ROWS = (
    Row("labelblk/raw-64", "64^3 voxels, uint64", filled, Calls(boxes(64, 200))),
    Row("labelblk/raw-64-googlegzip", "64^3 as Neuroglancer asks for them", filled,
        Calls(boxes(64, 200, "?compression=googlegzip"))),
    Row("labelblk/raw-200", "200^3 voxels, uint64", filled, Calls(boxes(200, 10))),
    Row("labelblk/blocks-lz4", "512 blocks as LZ4", filled,
        Calls(lambda place, _: [("GET", f"{place[0]}/blocks/{SIDE}_{SIDE}_{SIDE}/0_0_0", None)] * 5)),
    Row("labelblk/label", "labels of points, one by one", label_place,
        Flood("GET", "{place}{n}", numbers=SIDE, digits=1)),
    Row("labelblk/post-raw", "256 x 256 x 64 voxels over others, bodies following", written,
        Calls(writes)),
    Row("labelvol/sparsevol", "the runs of 200 bodies", filled, Calls(bodies)),
    Row("labelvol/coarse", "the blocks of a body", coarse_place, Flood("GET", "{place}")),
    Row("labelvol/merge", "merges of two bodies", merged, Calls(merges)),
)  # fmt: skip
