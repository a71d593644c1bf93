"""Rows of labelsz: labels ranked by the synapses on them."""

from __future__ import annotations

import json
import random
import struct
import time

from load import Calls, Flood, Row
from servers import Failed, Server

LABELS = 8000
ELEMENTS = 30_000
SECONDS = 120.0


def counted(server: Server) -> str:
    """30,000 elements on 8,000 labels, counted as they are posted."""
    uuid = server.repo()
    seg = server.instance(uuid, "labelmap", "seg")
    synapses = server.instance(uuid, "annotation", "synapses")
    place = server.instance(uuid, "labelsz", "sizes")
    server.post(f"{place}/sync", {"sync": "synapses"})
    voxels = [n // 32 % LABELS + 1 for n in range(64**3)]
    server.post(f"{seg}/raw/0_1_2/64_64_64/0_0_0", struct.pack(f"<{64**3}Q", *voxels))
    server.post(f"{synapses}/sync", {"sync": "seg"})
    rng = random.Random(1)
    for at in range(0, ELEMENTS, 3000):
        places = rng.sample(range(at * 8, at * 8 + 24_000), 3000)  # each place once
        elements = [
            {"Pos": [n % 64, n // 64 % 64, n // 4096], "Kind": rng.choice(["PreSyn", "PostSyn"])} for n in places
        ]
        server.post(f"{synapses}/elements", elements)
    ends = time.monotonic() + SECONDS
    while sum(row["Size"] for row in json.loads(server.call("GET", f"{place}/top/{LABELS}/AllSyn"))) < ELEMENTS:
        if time.monotonic() > ends:
            raise Failed("the elements were not counted")
        time.sleep(0.1)
    return place


ASKED = json.dumps(list(range(1, 1001))).encode()

ROWS = (
    Row("labelsz/top-100", "the 100 labels with the most synapses", counted,
        Flood("GET", "{place}/top/100/AllSyn")),
    Row("labelsz/threshold-page", "1,000 ranks behind the first 5,000", counted,
        Calls(lambda place, _: [("GET", f"{place}/threshold/1/AllSyn?offset=5000&n=1000", None)] * 100)),
    Row("labelsz/count", "the synapses of one label", counted,
        Flood("GET", "{place}/count/{n}/PreSyn", numbers=1000, digits=4)),
    Row("labelsz/counts-1000", "the synapses of 1,000 labels", counted,
        Calls(lambda place, _: [("GET", f"{place}/counts/PreSyn", ASKED)] * 50)),
)  # fmt: skip
