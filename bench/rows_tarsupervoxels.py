"""Rows of tarsupervoxels: meshes of supervoxels, and tars of bodies."""

from __future__ import annotations

import io
import json
import random
import struct
import tarfile
import time
from collections.abc import Iterable

from load import Calls, Flood, Request, Row
from servers import Failed, Server

SUPERVOXELS = 10_000
LARGE = 100
"""Supervoxels of the second body, with a mesh of 1 MB each."""
SECONDS = 120.0


def tarred(files: Iterable[tuple[int, bytes]]) -> bytes:
    """A tar of meshes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for supervoxel, data in files:
            info = tarfile.TarInfo(f"{supervoxel}.drc")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def meshes(first: int, count: int, low: int, high: int) -> list[tuple[int, bytes]]:
    """Supervoxels and meshes of so many bytes."""
    rng = random.Random(first)
    return [(n, rng.randbytes(rng.randint(low, high))) for n in range(first, first + count)]


def body(server: Server) -> str:
    """Body 1 has 10,000 supervoxels with meshes of 1 to 8 KB, the body behind it 100 with 1 MB each."""
    uuid = server.repo()
    seg = server.instance(uuid, "labelmap", "seg")
    place = server.instance(uuid, "tarsupervoxels", "meshes", Extension="drc", versioned="false")
    server.post(f"{place}/sync", {"sync": "seg"})
    last = SUPERVOXELS + LARGE
    voxels = [min(n // 25 + 1, last) for n in range(64**3)]
    server.post(f"{seg}/raw/0_1_2/64_64_64/0_0_0", struct.pack(f"<{64**3}Q", *voxels))
    ends = time.monotonic() + SECONDS
    everything = json.dumps(list(range(1, last + 1))).encode()
    while 0 in json.loads(server.call("GET", f"{seg}/sizes", everything)):
        if time.monotonic() > ends:
            raise Failed("the labels were not indexed")
        time.sleep(0.1)
    server.post(f"{seg}/merge", list(range(1, SUPERVOXELS + 1)))
    server.post(f"{seg}/merge", list(range(SUPERVOXELS + 1, last + 1)))
    for at in range(1, SUPERVOXELS + 1, 1000):
        server.post(f"{place}/load", tarred(meshes(at, 1000, 1000, 8000)))
    server.post(f"{place}/load", tarred(meshes(SUPERVOXELS + 1, LARGE, 1_000_000, 1_000_000)))
    return place


def gets(end: str, count: int) -> Calls:
    """The same GET several times."""
    return Calls(lambda place, _: [("GET", f"{place}/{end}", None)] * count)


SMALL = tarred(meshes(1_000_000, 1000, 1000, 8000))
ASKED = json.dumps(list(range(1, SUPERVOXELS + 1))).encode()


def loads(place: str, _: int) -> list[Request]:
    """Tars of 1,000 meshes."""
    return [("POST", f"{place}/load", SMALL)] * 5


ROWS = (
    Row("tarsupervoxels/tar-10000", "the tar of a body with 10,000 meshes of 1 to 8 KB", body,
        gets("tarfile/1", 5)),
    Row("tarsupervoxels/tar-100MB", "the tar of a body with 100 meshes of 1 MB", body,
        gets(f"tarfile/{SUPERVOXELS + 1}", 5)),
    Row("tarsupervoxels/missing-10000", "which of the 10,000 supervoxels of a body have no mesh", body,
        gets("missing/1", 10)),
    Row("tarsupervoxels/exists-10000", "which of 10,000 supervoxels have a mesh", body,
        Calls(lambda place, _: [("GET", f"{place}/exists", ASKED)] * 10)),
    Row("tarsupervoxels/load-1000", "a tar of 1,000 meshes of 1 to 8 KB is loaded", body,
        Calls(loads)),
    Row("tarsupervoxels/get", "meshes of 1 to 8 KB, one by one", body,
        Flood("GET", "{place}/supervoxel/1{n}", numbers=1000, digits=3)),
)  # fmt: skip
