"""What a key can be, and the order of keys."""

from __future__ import annotations

import pytest

from .pairs import Pairs, packed, packed_keys, quoted, unpacked

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"
ODD = (
    "a b", "a+b", "a%b", "100%", "a/b", "a/c", "/", "//", "/a", "a/", ".", "..", "../x", "?", "a?b=c", "#", "a&b",
    '"', "\\",
    "<x>", "{}", "~", ":", "1,2", "\x00", "a\x00", "a\x00b", "a\x01b", "\n", "\r\n", "\x7f",
    COMPOSED, DECOMPOSED, "日本",
    "\U0001f9e0", "A", "a", "key", "keys", "true", "null",
)  # fmt: skip


async def test_a_key_is_any_text_and_each_is_a_key_of_its_own(kv: Pairs) -> None:
    for key in ODD:
        await kv.put(key, b"value of " + key.encode())
    assert await kv.keys() == sorted(ODD, key=str.encode)
    assert await kv.all() == {key: b"value of " + key.encode() for key in ODD}
    for key in ODD:
        assert await kv.get(key) == b"value of " + key.encode()
        assert await kv.keys(key, key) == [key]
    for key in ODD:
        await kv.delete(key)
        assert await kv.get(key) is None
    assert await kv.keys() == []


async def test_a_percent_encoded_slash_belongs_to_the_key_and_a_bare_one_ends_it(kv: Pairs) -> None:
    await kv.demand("POST", "key/a%2Fb", b"whole")
    assert await kv.keys() == ["a/b"]
    await kv.demand("POST", "key/a/b", b"first part")
    assert await kv.keys() == ["a", "a/b"]
    assert await kv.demand("GET", "key/a") == b"first part"
    assert await kv.demand("GET", "key/a/") == b"first part"
    assert await kv.demand("GET", "key/a/b") == b"first part"
    assert await kv.demand("GET", "key/a%2fb") == b"whole"
    assert await kv.demand("GET", "keyrange/a%2F/a%2Fz") == ["a/b"]
    await kv.demand("DELETE", "key/a/b")
    assert await kv.keys() == ["a/b"]


@pytest.mark.parametrize(
    "path", ["key", "key/", "keyrange", "keyrange/a", "keyrange/a/", "keyrangevalues", "keyrangevalues/a"]
)
async def test_an_empty_or_missing_key_is_refused(kv: Pairs, path: str) -> None:
    assert (await kv.ask("GET", path)).status == 400
    if path.startswith("key/") or path == "key":
        for method in ("HEAD", "POST", "DELETE"):
            assert (await kv.ask(method, path, b"x" if method == "POST" else None)).status == 400
    assert await kv.keys() == []


@pytest.mark.parametrize("raw", ["%FF", "a%80", "%C3%28", "%ED%A0%80", "%C0%AF", "%F4%90%80%80"])
async def test_a_key_that_is_not_utf8_is_refused(kv: Pairs, raw: str) -> None:
    for method, path in (
        ("POST", f"key/{raw}"), ("GET", f"key/{raw}"), ("HEAD", f"key/{raw}"), ("DELETE", f"key/{raw}"),
        ("GET", f"keyrange/{raw}/z"), ("GET", f"keyrange/a/{raw}"), ("GET", f"keyrangevalues/a/{raw}"),
    ):  # fmt: skip
        assert (await kv.ask(method, path, b"x" if method == "POST" else None)).status == 400
    assert await kv.keys() == []
    assert await kv.log() == []


@pytest.mark.parametrize("key", ["k" * 3000, "é" * 1500, "k" * 6999, "\x00" * 3000, "日" * 2000])
async def test_long_keys_are_kept(kv: Pairs, key: str) -> None:
    await kv.put(key, b"here")
    await kv.put(key + "x", b"its neighbour")
    assert await kv.get(key) == b"here"
    assert await kv.all() == {key: b"here", key + "x": b"its neighbour"}
    await kv.delete(key)
    assert await kv.keys() == [key + "x"]


@pytest.mark.parametrize("key", ["k" * 7001, "é" * 3501, "\x00" * 3501, "k" * 100_000])
async def test_longer_keys_are_refused_wherever_they_come(kv: Pairs, key: str) -> None:
    for method in ("GET", "HEAD", "POST", "DELETE"):
        answer = await kv.ask(method, f"key/{quoted(key)}", b"x" if method == "POST" else None)
        assert answer.status == 400
        assert len(answer.body) < 400
    assert (await kv.ask("POST", "keyvalues", packed([("good", b"x"), (key, b"x")]))).status == 400
    assert await kv.keys() == []
    # As a question it is one about a key that cannot be there.
    assert await kv.values([key]) == [(key, b"")]
    assert await kv.demand("GET", "keyvalues?json=true", json=[key]) == {key: {}}


async def test_a_question_about_an_empty_key_finds_nothing(kv: Pairs) -> None:
    await kv.put("a", b"x")
    assert await kv.values(["", "a"]) == [("", b""), ("a", b"x")]
    assert (await kv.ask("GET", "keyvalues?json=true", b'["\\ud800"]')).status == 400
    assert (await kv.ask("GET", "keyvalues", b"\x0a\x01\xff")).status == 400


async def test_keys_are_ordered_by_their_utf8_bytes(kv: Pairs) -> None:
    # By UTF-16 units, and by the sort order of any language, these stand otherwise.
    keys = [
        "\x00",
        "\x00\x00",
        "\x00a",
        "A",
        "Z",
        "a",
        "a\x00",
        "a\x00\x00",
        "a\x01",
        "a b",
        "aa",
        "z",
        "é",
        "\uffee",
        "\U0001d11e",
    ]
    assert keys == sorted(keys, key=str.encode)
    for key in reversed(keys):
        await kv.put(key, b"x")
    assert await kv.keys() == keys
    for i, first in enumerate(keys):
        for j, last in enumerate(keys):
            assert await kv.keys(first, last) == keys[i : j + 1]


async def test_the_ends_of_a_range_need_not_be_there(kv: Pairs) -> None:
    await kv.put_many(dict.fromkeys(("b", "bb", "d", "f"), b"x"))
    assert await kv.keys("a", "z") == ["b", "bb", "d", "f"]
    assert await kv.keys("b", "c") == ["b", "bb"]
    assert await kv.keys("ba", "e") == ["bb", "d"]
    assert await kv.keys("c", "c") == []
    assert await kv.keys("e", "b") == []
    assert await kv.range_values("e", "b") == []
    assert await kv.demand("GET", "keyrange/b/c/and/more") == ["b", "bb"]
    # What neuclease asks for all keys.
    assert await kv.demand("GET", "keyrange/%20/%7F") == ["b", "bb", "d", "f"]


async def test_a_message_with_empty_or_broken_keys_writes_nothing(kv: Pairs) -> None:
    await kv.put("old", b"x")
    for body in (packed([("a", b"1"), ("", b"2")]), packed([("a", b"1")]) + b"\x0a\x04\x0a\x02\xc3\x28", b"\x0a\x00"):
        assert (await kv.ask("POST", "keyvalues", body)).status == 400
        assert await kv.all() == {"old": b"x"}
    assert len(await kv.log()) == 1


async def test_keys_of_other_instances_and_repos_are_not_seen(kv: Pairs) -> None:
    await kv.api.instance(kv.uuid, "other")
    other = Pairs(kv.api, kv.uuid, "other")
    await kv.put("a", b"one")
    await other.put("b", b"two")
    assert await kv.keys() == ["a"]
    assert await other.keys() == ["b"]
    assert await other.get("a") is None


async def test_asking_keys_that_the_message_repeats_repeats_them(kv: Pairs) -> None:
    await kv.put("a", b"0123")
    body = packed_keys(["a", "none", "a"], [("a", 1, 2), ("none", 5, 9), ("a", 0, 0)])
    found = unpacked(await kv.demand("GET", "keyvalues", body))
    assert found == [("a", b"0123"), ("none", b""), ("a", b"0123"), ("a", b"12"), ("none", b""), ("a", b"0")]
