"""What is too much is refused with the limit in the text, and changes nothing."""

from __future__ import annotations

from dvid_core.testing.fixtures import RunningServer

from .pairs import Pairs, packed, packed_keys

MIB = 1 << 20


async def refused(kv: Pairs, server: RunningServer, body: bytes, said: str) -> None:
    answer = await kv.ask("POST", "keyvalues", body)
    assert answer.status == 400
    assert said in answer.text
    assert await kv.all() == {}
    assert await kv.log() == []
    instance = server.server.repos.find(kv.uuid)[0].instance(kv.name)
    assert not instance.live_stages


async def test_small_values_that_are_large_together(kv: Pairs, server: RunningServer) -> None:
    large = ("large", bytes(3 * MIB))
    pairs = [(f"k{n:04d}", bytes(65_000)) for n in range(900)]
    await refused(kv, server, packed([large, *pairs]), str(48 * MIB))
    await kv.put_many([large, *pairs[:700]])
    assert await kv.keys() == [*(key for key, _ in pairs[:700]), "large"]


async def test_too_many_pairs_at_once(kv: Pairs, server: RunningServer) -> None:
    await refused(kv, server, packed((f"k{n:06d}", b"") for n in range(250_000)), "several requests")
    await refused(
        kv, server, packed([("large", bytes(3 * MIB)), *((f"{n:07000d}", b"") for n in range(700))]), "several"
    )
    await kv.put_many((f"{n:025d}", b"") for n in range(100_000))
    assert len(await kv.keys()) == 100_000


async def test_a_long_list_of_keys(kv: Pairs) -> None:
    answer = await kv.ask("GET", "keyvalues", packed_keys(f"{n:07000d}" for n in range(2500)))
    assert answer.status == 400
    assert str(16 * MIB) in answer.text
    asked = [f"{n}" for n in range(300_000)]
    assert await kv.values(asked) == [(key, b"") for key in asked]


async def test_a_value_that_is_too_long_to_be_checked(kv: Pairs) -> None:
    await kv.put("long", b"[" + b"1," * (16 * MIB) + b"1]")
    for path, body in (
        ("keyvalues?json=true&check=true", b'["long"]'),
        ("keyrangevalues/a/z?json=true&check=true", None),
    ):
        answer = await kv.ask("GET", path, body)
        assert answer.status == 400
        assert "'long'" in answer.text
        assert str(32 * MIB) in answer.text
    assert len((await kv.ask("GET", "keyvalues?json=true", b'["long"]')).body) == 32 * MIB + 3 + len('{"long":}')
