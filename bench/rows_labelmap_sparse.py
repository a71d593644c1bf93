"""Rows of labelmap: sparse volumes, and how large bodies are."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable

import numpy as np
from load import Calls, Request, Row
from rows_labelmap import SIZE, filled, known, voxels
from servers import Server

BODY = 250
"""Supervoxels of the body that is one of many."""


def grown(server: Server) -> str:
    """The same volume with a body of 250 supervoxels."""
    place = filled(server)
    server.call("POST", f"{place}/merge", json.dumps(known()[:BODY]).encode())
    return place


def each(path: str, options: str = "", count: int = 300) -> Callable[[str, int], list[Request]]:
    """Many bodies, one by one."""
    return lambda place, _: [("GET", f"{place}/{path}/{label}{options}", None) for label in known()[-count:]]


def one(path: str, times: int = 4) -> Callable[[str, int], list[Request]]:
    """The large body."""
    return lambda place, _: [("GET", f"{place}/{path.format(known()[0])}", None)] * times


@functools.cache
def points() -> list[str]:
    """A voxel of each of 100 bodies."""
    names, first = np.unique(voxels(), return_index=True)
    places = np.unravel_index(first[np.isin(names, np.array(known()[-100:], np.uint64))], SIZE)
    return [f"{x}_{y}_{z}" for z, y, x in zip(*(axis.tolist() for axis in places))]


ROWS = (
    Row("labelmap/sparsevol-size", "the sizes and boxes of 300 bodies", filled,
        Calls(each("sparsevol-size"), threads=4)),
    Row("labelmap/sparsevol-coarse", "the blocks of 300 bodies", filled, Calls(each("sparsevol-coarse"), threads=4)),
    Row("labelmap/sparsevol", "the voxels of 100 bodies as runs", filled, Calls(each("sparsevol", "", 100), threads=4)),
    Row("labelmap/sparsevol-scale-1", "the voxels of 100 bodies at scale 1", filled,
        Calls(each("sparsevol", "?scale=1", 100), threads=4)),
    Row("labelmap/sparsevol-blocks", "the voxels of 100 bodies as masks of blocks", filled,
        Calls(each("sparsevol", "?format=blocks", 100), threads=4)),
    Row("labelmap/sparsevol-by-point", "bodies by one of their voxels", filled,
        Calls(lambda place, _: [("GET", f"{place}/sparsevol-by-point/{at}", None) for at in points()])),
    Row("labelmap/sparsevol-250-supervoxels", "a body of 250 supervoxels as runs", grown, Calls(one("sparsevol/{}"))),
    Row("labelmap/sparsevol-250-supervoxels-lz4", "the same, compressed", grown,
        Calls(one("sparsevol/{}?compression=lz4"))),
    Row("labelmap/sparsevol-250-supervoxels-blocks", "the same as masks", grown,
        Calls(one("sparsevol/{}?format=blocks"))),
    Row("labelmap/fvdb-250-supervoxels", "the same as a NanoVDB grid", grown, Calls(one("fvdb/{}"))),
    Row("labelmap/sparsevols-coarse", "the blocks of all bodies", filled,
        Calls(lambda place, _: [("GET", f"{place}/sparsevols-coarse/1/18446744073709551615", None)] * 4)),
)  # fmt: skip
