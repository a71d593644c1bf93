"""The mutation log of keyvalue."""

from __future__ import annotations

from dvid_core.testing.fixtures import RunningServer

from .pairs import Pairs, new_pairs, packed


async def test_each_put_and_delete_is_logged_in_order(kv: Pairs) -> None:
    assert await kv.log() == []
    await kv.put("a", b"12345")
    await kv.put_many([("b", b""), ("b", b"x" * 70_000), ('"é\n', b"1")])
    await kv.delete("a")
    await kv.delete("a")
    uuid = kv.uuid
    assert await kv.log() == [
        {"Action": "postkv", "Key": "a", "Bytes": 5, "UUID": uuid},
        {"Action": "postkv", "Key": "b", "Bytes": 0, "UUID": uuid},
        {"Action": "postkv", "Key": "b", "Bytes": 70_000, "UUID": uuid},
        {"Action": "postkv", "Key": '"é\n', "Bytes": 1, "UUID": uuid},
        {"Action": "delete", "Key": "a", "UUID": uuid},
        {"Action": "delete", "Key": "a", "UUID": uuid},
    ]


async def test_what_was_refused_leaves_nothing(kv: Pairs) -> None:
    for method, path, body in (
        ("POST", "key/", b"x"), ("POST", "key/%FF", b"x"), ("POST", "keyvalues", b"\xff"),
        ("POST", "keyvalues", packed([("", b"x")])),
        ("PUT", "key/a", b"x"), ("DELETE", "key/", None), ("DELETE", "keyvalues", None),
    ):  # fmt: skip
        assert (await kv.ask(method, path, body)).status >= 400
    await kv.demand("POST", "keyvalues", b"")
    await kv.ask("GET", "key/none")
    assert await kv.log() == []
    await kv.commit()
    assert (await kv.ask("POST", "key/a", b"x")).status == 400
    assert await kv.log() == []


async def test_each_version_has_a_log_of_its_own_and_ranges_join_them(kv: Pairs) -> None:
    await kv.put("root", b"x")
    middle = await kv.child()
    await middle.put("middle 1", b"x")
    await middle.put("middle 2", b"x")
    leaf = await middle.child()
    await leaf.delete("leaf")
    side = await kv.child("side")
    await side.put("side", b"x")

    async def ranged(first: str, last: str) -> list[str]:
        return [r["Key"] for r in await kv.demand("GET", f"mutations-range/{first}/{last}")]

    assert [r["Key"] for r in await middle.log()] == ["middle 1", "middle 2"]
    assert await ranged(kv.uuid, leaf.uuid) == ["leaf", "middle 1", "middle 2", "root"]
    assert await ranged(middle.uuid, leaf.uuid) == ["leaf", "middle 1", "middle 2"]
    assert await ranged(leaf.uuid, leaf.uuid) == ["leaf"]
    assert await ranged(side.uuid, leaf.uuid) == ["leaf", "middle 1", "middle 2", "root"]  # no ancestor: to the root
    assert await ranged(kv.uuid, side.uuid) == ["side", "root"]
    for path in (
        "mutations-range",
        f"mutations-range/{kv.uuid}",
        f"mutations-range/{kv.uuid}/{'0' * 32}",
        "mutations-range/x/y",
    ):
        assert (await kv.ask("GET", path)).status == 400
    for method in ("POST", "DELETE", "PUT"):
        assert (await leaf.ask(method, "mutations", b"[]")).status == 400


async def test_the_log_of_an_unversioned_instance_is_read_at_every_version(server: RunningServer) -> None:
    kv = await new_pairs(server, versioned=False)
    child = await kv.child()
    await child.put("k", b"x")
    wanted = [{"Action": "postkv", "Key": "k", "Bytes": 1, "UUID": kv.uuid}]
    assert await child.log() == await kv.log() == wanted
    ranged = await kv.demand("GET", f"mutations-range/{kv.uuid}/{child.uuid}")
    assert [r["Key"] for r in ranged] == ["k"]


async def test_a_long_log_is_given_whole(kv: Pairs) -> None:
    for at in range(0, 20_000, 2_000):
        await kv.put_many((f"k{n}", b"x") for n in range(at, at + 2_000))
    assert [r["Key"] for r in await kv.log()] == [f"k{n}" for n in range(20_000)]
