"""Rows of annotation."""

from __future__ import annotations

import json
import random

from load import Calls, Row
from servers import Server

SIDE = 2048


def elements(count: int, seed: int, side: int = SIDE) -> bytes:
    """Synapses at random positions, with one of 50 tags."""
    r = random.Random(seed)
    out = []
    for n in range(count):
        pos = [r.randrange(side) for _ in range(3)]
        to = [min(side - 1, pos[0] + r.randrange(20)), *pos[1:]]
        rels = [{"Rel": "PreSynTo", "To": to}]
        prop = {"conf": "0.9", "user": "u"}
        out.append({"Pos": pos, "Kind": "PreSyn", "Tags": [f"t{n % 50}"], "Prop": prop, "Rels": rels})
    return json.dumps(out).encode()


def filled(server: Server) -> str:
    """50,000 synapses."""
    place = server.instance(server.repo(), "annotation", "syn")
    for seed in range(10):
        server.call("POST", f"{place}/elements", elements(5000, seed))
    return place


def labelled(server: Server) -> str:
    """20,000 synapses on one label."""
    uuid = server.repo()
    labels = server.instance(uuid, "labelmap", "seg")
    place = server.instance(uuid, "annotation", "syn")
    server.post(f"{place}/sync", {"sync": "seg"})
    server.call("POST", f"{labels}/raw/0_1_2/128_128_128/0_0_0", (7).to_bytes(8, "little") * 128**3)
    for seed in range(4):
        server.call("POST", f"{place}/elements", elements(5000, seed, 128))
    return place


POSTED = [elements(2000, 100 + n) for n in range(10)]


def fresh(server: Server) -> str:
    """An instance to be written."""
    return server.instance(server.repo(), "annotation", "syn")


def boxes(place: str, repetition: int) -> list[tuple[str, str, bytes | None]]:
    """200 random boxes."""
    r = random.Random(repetition)
    offsets = [[r.randrange(SIDE - 256) for _ in range(3)] for _ in range(200)]
    return [("GET", f"{place}/elements/256_256_256/{x}_{y}_{z}", None) for x, y, z in offsets]


ROWS = (
    Row("annotation/post-2000", "2,000 synapses at a time", fresh,
        Calls(lambda place, _: [("POST", f"{place}/elements", data) for data in POSTED])),
    Row("annotation/elements-in-box", "those in boxes of 256 voxels a side", filled, Calls(boxes)),
    Row("annotation/tag-1000", "the 1,000 with a tag", filled,
        Calls(lambda place, _: [("GET", f"{place}/tag/t{n}", None) for n in range(50)])),
    Row("annotation/all-elements-50000", "all 50,000", filled,
        Calls(lambda place, _: [("GET", f"{place}/all-elements", None)] * 4)),
    Row("annotation/label-20000", "the 20,000 on a label", labelled,
        Calls(lambda place, _: [("GET", f"{place}/label/7", None)] * 10)),
    Row("annotation/label-20000-relationships", "the same with relationships", labelled,
        Calls(lambda place, _: [("GET", f"{place}/label/7?relationships=true", None)] * 4)),
)  # fmt: skip
