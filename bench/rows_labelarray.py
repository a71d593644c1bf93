"""Rows of labelarray."""

from __future__ import annotations

import random
import time
from typing import Any

import numpy as np
from load import Calls, Flood, Row
from rows_labelblk import PATIENCE, SIDE, sizes, voxels
from servers import Failed, Server

Request = tuple[str, str, bytes | None]


def size_of(server: Server, place: str, label: int) -> int:
    """The voxels of a label; 0 for none."""
    try:
        data = server.call("GET", f"{place}/sparsevol/{label}")
    except Failed:
        return 0
    return int(np.frombuffer(data, "<i4", offset=12).reshape(-1, 4)[:, 3].sum())


def filled(server: Server) -> str:
    """The volume with three scales, when its bodies are there."""
    place = server.instance(server.repo(), "labelarray", "bodies", MaxDownresLevel="2")
    server.call("POST", f"{place}/raw/0_1_2/{SIDE}_{SIDE}_{SIDE}/0_0_0", voxels().tobytes())
    end = time.monotonic() + PATIENCE
    for label, size in sizes().items():
        while size_of(server, place, label) != size:
            if time.monotonic() > end:
                raise Failed(f"the voxels of label {label} do not arrive")
            time.sleep(0.05)
    return place


def edited(server: Server) -> str:
    """One whose bodies are split."""
    return filled(server)


def written(server: Server) -> str:
    """One whose voxels are written over."""
    return filled(server)


def point_place(server: Server) -> str:
    """Where a label is asked for; most of the path."""
    return f"{server.prepared(filled)}/label/{SIDE // 2}_{SIDE // 2}_"


def boxes(side: int, count: int, options: str = "") -> Any:
    """Reads of boxes at places that nothing is aligned to."""

    def requests(place: str, repetition: int) -> list[Request]:
        choose = random.Random(repetition)
        offsets = ["_".join(str(choose.randrange(0, SIDE - side + 1)) for _ in range(3)) for _ in range(count)]
        return [("GET", f"{place}/raw/0_1_2/{side}_{side}_{side}/{o}{options}", None) for o in offsets]

    return requests


def bodies(place: str, repetition: int) -> list[Request]:
    """Sparse volumes of many labels."""
    return [("GET", f"{place}/sparsevol/{label}", None) for label in list(sizes())[:200]]


def splits(place: str, repetition: int) -> list[Request]:
    """The lower half of some labels, others in each repetition."""
    out: list[Request] = []
    for label in list(sizes())[300 + 20 * repetition :][:20]:
        z, y, x = np.nonzero(voxels() == label)
        low = z <= (int(z.min()) + int(z.max())) // 2
        rows = np.stack([x[low], y[low], z[low], np.ones(int(low.sum()), np.int64)], axis=1).astype("<i4")
        head = b"\0\3\0\0\0\0\0\0" + len(rows).to_bytes(4, "little")
        out.append(("POST", f"{place}/split/{label}", head + rows.tobytes()))
    return out


def writes(place: str, repetition: int) -> list[Request]:
    """A quarter of the volume, again and again, with its lower scales."""
    path = f"{place}/raw/0_1_2/{SIDE}_{SIDE}_{SIDE // 4}/0_0_0?mutate=true"
    return [("POST", path, voxels()[: SIDE // 4].tobytes())] * 4


ROWS = (
    Row("labelarray/raw-64", "boxes of 64 voxels a side", filled, Calls(boxes(64, 100))),
    Row("labelarray/raw-256-lz4", "the whole volume as LZ4", filled, Calls(boxes(256, 10, "?compression=lz4"))),
    Row("labelarray/label", "the label of a point", point_place, Flood("GET", "{place}{n}", numbers=SIDE, digits=1)),
    Row("labelarray/sparsevol", "sparse volumes of 200 labels", filled, Calls(bodies)),
    Row("labelarray/split", "the lower half of a body split off, 20 of them", edited, Calls(splits)),
    Row("labelarray/write", "a quarter of the volume written over, with lower scales", written, Calls(writes)),
)
