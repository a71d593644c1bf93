"""Rows of reads through many versions."""

from __future__ import annotations

from load import Calls, Flood, Row
from servers import Server

DEPTH = 100
KEYS = 300


def deep(server: Server) -> str:
    """Keys that the first of a hundred committed versions wrote, and one more key in each; seen from the last."""
    uuid = server.repo()
    server.instance(uuid, "keyvalue", "kv")
    for n in range(KEYS):
        server.call("POST", f"/api/node/{uuid}/kv/key/a{n:05d}", b"root")
    for n in range(DEPTH):
        server.call("POST", f"/api/node/{uuid}/kv/key/v{n:03d}", b"x")
        uuid = server.child(uuid)
    return f"/api/node/{uuid}/kv"


def rewritten(server: Server) -> str:
    """The same keys written again in each of a hundred versions; seen from the last."""
    uuid = server.repo()
    server.instance(uuid, "keyvalue", "kv")
    for n in range(DEPTH):
        for key in range(20):
            server.call("POST", f"/api/node/{uuid}/kv/key/a{key:05d}", b"%d" % n)
        uuid = server.child(uuid)
    return f"/api/node/{uuid}/kv"


ROWS = (
    Row("versions/get-100-deep", "values that a far ancestor wrote", deep,
        Flood("GET", "{place}/key/a{n}", numbers=KEYS, digits=5)),
    Row("versions/keyrange-100-deep", "all keys, of a hundred versions", deep,
        Calls(lambda place, _: [("GET", f"{place}/keyrange/a/z", None)] * 200)),
    Row("versions/get-rewritten-100-times", "values that each of a hundred versions wrote", rewritten,
        Flood("GET", "{place}/key/a{n}", numbers=20, digits=5)),
    Row("versions/keyrangevalues-rewritten-100-times", "the newest of a hundred values of each key", rewritten,
        Calls(lambda place, _: [("GET", f"{place}/keyrangevalues/a/z", None)] * 200)),
)  # fmt: skip
