"""Rows of keyvalue."""

from __future__ import annotations

import json
import random

from load import Calls, Flood, Row
from servers import Server

KEYS = [f"k{n:05d}" for n in range(2000)]


def filled(server: Server) -> str:
    """2,000 values of 1 KB and one of 20 MB."""
    place = server.instance(server.repo(), "keyvalue", "kv")
    value = random.Random(1).randbytes(1000)
    for key in KEYS:
        server.call("POST", f"{place}/key/{key}", value)
    server.call("POST", f"{place}/key/large", random.Random(2).randbytes(20_000_000))
    return place


def empty(server: Server) -> str:
    """An instance to be written."""
    return server.instance(server.repo(), "keyvalue", "kv")


LARGE = random.Random(3).randbytes(20_000_000)
ASKED = json.dumps(KEYS).encode()

ROWS = (
    Row("kv/get-1KB", "values of 1 KB, one by one", filled,
        Flood("GET", "{place}/key/k{n}", numbers=2000, digits=5)),
    Row("kv/post-1KB", "new values of 1 KB, one by one", filled,
        Flood("POST", "{place}/key/p{n}", counting=True, body_bytes=1000)),
    Row("kv/keyrange-2000", "2,000 keys as a JSON list", filled,
        Calls(lambda place, _: [("GET", f"{place}/keyrange/k00000/k99999", None)] * 100)),
    Row("kv/keyrangevalues-2000", "2,000 values of 1 KB as protobuf", filled,
        Calls(lambda place, _: [("GET", f"{place}/keyrangevalues/k00000/k99999", None)] * 40)),
    Row("kv/keyvalues-2000-tar", "2,000 values of 1 KB, by their keys, as a tar", filled,
        Calls(lambda place, _: [("GET", f"{place}/keyvalues?jsontar=true", ASKED)] * 20)),
    Row("kv/get-20MB", "one large value", filled,
        Calls(lambda place, _: [("GET", f"{place}/key/large", None)] * 10)),
    Row("kv/post-20MB", "large values", empty,
        Calls(lambda place, rep: [("POST", f"{place}/key/{rep}-{n}", LARGE) for n in range(8)])),
)  # fmt: skip
