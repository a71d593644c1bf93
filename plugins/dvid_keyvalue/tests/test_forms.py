"""Several values in one reply: protobuf, JSON and tar, with all combinations of options."""

from __future__ import annotations

import itertools
import json

import pytest

from dvid_core.testing import Answer

from .pairs import Pairs, packed_keys, unpacked, untarred

PAIRS = {"a": b'{"x": 1}', "b": b"2", "empty": b"", "text": b"no JSON", "z": b"[1, 2]"}
ASKED = ["z", "none", "a", "empty", "text", "a"]
FLAGS = (None, "true", "false", "1", "True", "")


def answered(answer: Answer) -> tuple[str, list[tuple[str, bytes]] | bytes]:
    """The form of a reply by its type, and what it says."""
    kind = answer.headers["Content-Type"].split(";")[0]
    if kind == "application/tar":
        return "tar", untarred(answer.body)
    return ("json", answer.body) if kind == "application/json" else ("protobuf", unpacked(answer.body))


def as_json(pairs: list[tuple[str, bytes]]) -> bytes:
    """The JSON form: keys once, values as they are, `{}` for nothing."""
    return b"{" + b",".join(json.dumps(k).encode() + b":" + (v or b"{}") for k, v in dict(pairs).items()) + b"}"


@pytest.mark.parametrize("endpoint", ["keyvalues", "keyrangevalues"])
async def test_every_combination_of_options(kv: Pairs, endpoint: str) -> None:
    await kv.put_many(PAIRS)
    if endpoint == "keyvalues":
        pairs = [(key, PAIRS.get(key, b"")) for key in ASKED]
    else:
        pairs = [(key, value) for key, value in PAIRS.items() if key <= "text"]
    for json_, tar, jsontar, check, protobuf in itertools.product(FLAGS, FLAGS, FLAGS[:3], FLAGS, FLAGS[:2]):
        given = {"json": json_, "tar": tar, "jsontar": jsontar, "check": check, "protobuf": protobuf}
        query = "&".join(f"{k}={v}" for k, v in given.items() if v is not None)
        wants_tar, wants_json = "true" in (tar, jsontar), json_ == "true"
        if endpoint == "keyvalues":
            body = json.dumps(ASKED).encode() if wants_tar or wants_json else packed_keys(ASKED)
            answer = await kv.ask("GET", f"keyvalues?{query}", body)
        else:
            answer = await kv.ask("GET", f"keyrangevalues/a/text?{query}")
        if (wants_tar and wants_json) or (wants_json and check == "true"):
            assert answer.status == 400, query
            assert answer.headers["Content-Type"].startswith("text/plain")
            assert wants_tar or "'text'" in answer.text
            continue
        assert answer.status == 200, query
        if wants_json:
            assert answered(answer) == ("json", as_json(pairs))
        else:
            assert answered(answer) == ("tar" if wants_tar else "protobuf", pairs), query


async def test_nothing_asked_or_nothing_there_is_an_empty_reply(kv: Pairs) -> None:
    for path, body, empty in (
        ("keyvalues", b"", b""), ("keyvalues?json=true", b"[]", b"{}"), ("keyvalues?json=true", b"null", b"{}"),
        ("keyvalues?json=true", b" [ ] ", b"{}"), ("keyrangevalues/a/z", None, b""),
        ("keyrangevalues/a/z?json=true", None, b"{}"),
        ("keyrangevalues/z/a?json=true", None, b"{}"), ("keyrangevalues/a/z?json=true&check=true", None, b"{}"),
    ):  # fmt: skip
        assert (await kv.ask("GET", path, body)).body == empty
    for path, body in (
        ("keyvalues?tar=true", b"[]"),
        ("keyvalues?jsontar=true", b"null"),
        ("keyrangevalues/a/z?tar=true", None),
    ):
        answer = await kv.ask("GET", path, body)
        assert untarred(answer.body) == []
        assert len(answer.body) == 1024


async def test_json_keys_are_escaped(kv: Pairs) -> None:
    keys = [
        '"',
        "\\",
        'a"b\\c',
        "\n",
        "\x00",
        "\x1f",
        "\x7f",
        "é",
        "日本",
        "\u2028",
        "\U0001f9e0",
        "<&>",
        "</script>",
        "/",
    ]
    await kv.put_many({key: json.dumps(key).encode() for key in keys})
    assert await kv.demand("GET", "keyvalues?json=true&check=true", json=keys) == {key: key for key in keys}
    assert await kv.demand("GET", f"keyrangevalues/%00/{'%F4%8F%BF%BF'}?json=true") == {key: key for key in keys}
    assert await kv.demand("GET", "keys") == sorted(keys, key=str.encode)


async def test_tar_names_are_whole_keys(kv: Pairs) -> None:
    keys = [
        "a", "a/b", "/a", "../a", "a/", ".", "é", "日本", "n" * 99, "n" * 100, "n" * 101, "n" * 3000,
        "dir/" * 60 + "x", "\n", "a\x00b",
        "a\x00c", "a b", "12 path=x", "\U0001f9e0", "é" * 50, "é" * 51,
    ]  # fmt: skip
    pairs = [(key, str(n).encode() * n) for n, key in enumerate(keys)]
    await kv.put_many(pairs)
    assert untarred(await kv.demand("GET", "keyvalues?tar=true", json=keys)) == pairs
    everything = await kv.demand("GET", f"keyrangevalues/%00/{'%F4%8F%BF%BF'}?tar=true")
    assert untarred(everything) == sorted(pairs, key=lambda pair: pair[0].encode())
    assert len(everything) % 512 == 0


@pytest.mark.parametrize("form", ["json", "tar"])
@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"[", b"{}", b'"a"', b"1", b"true", b"[1]", b"[null]", b'["a", 1]', b"[[]]", b'["a", ["b"]]',
        b'["a"] x',
        b'["a",]', b"\xff", b'["\xff"]', b"[" * 100_000, b'[{"key": "a"}, "b"]', b'["b", {"key": "a"}]', b"[{}]",
        b'[{"key": 1}]', b'[{"key": null}]', b'[{"key": "a", "byte_start": 0}]', b'[{"key": "a", "byte_end": 0}]',
        b'[{"key": "a", "byte_start": -1, "byte_end": 0}]', b'[{"key": "a", "byte_start": 1, "byte_end": 0}]',
        b'[{"key": "a", "byte_start": 0, "byte_end": 8}]', b'[{"key": "a", "byte_start": 0.5, "byte_end": 1}]',
        b'[{"key": "a", "byte_start": "0", "byte_end": "1"}]', b'[{"key": "a", "byte_start": 0, "byte_end": 1e3}]',
        b'[{"key": "a", "byte_start": 0, "byte_end": 99999999999999999999999999}]',
        b'[{"key": "a", "byte_start": true, "byte_end": 1}]',
        b'[{"key": "a", "byte_start": 0, "byte_end": ' + b"9" * 5000 + b"}]", b'[{"key": "none", "byte_start": 1}]',
        b'[{"key": "b"}, {"key": "z", "byte_start": 0, "byte_end": 6}]',
    ],
)  # fmt: skip
async def test_a_bad_list_of_keys_is_refused_before_anything_is_sent(kv: Pairs, form: str, body: bytes) -> None:
    await kv.put_many(PAIRS)
    answer = await kv.ask("GET", f"keyvalues?{form}=true", body)
    assert answer.status == 400
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert 10 < len(answer.body) < 500


async def test_parts_of_values_in_every_form(kv: Pairs) -> None:
    await kv.put("k", b"[0123456789]")
    await kv.put("j", b"1234567890")
    asked = [
        {"key": "j", "byte_start": 0, "byte_end": 0}, {"key": "none", "byte_start": 7, "byte_end": 9},
        {"key": "j", "byte_start": 2, "byte_end": 9}, {"key": "k"}, {"key": "k", "byte_start": 11, "byte_end": 11},
    ]  # fmt: skip
    pairs = [("j", b"1"), ("none", b""), ("j", b"34567890"), ("k", b"[0123456789]"), ("k", b"]")]
    assert untarred(await kv.demand("GET", "keyvalues?tar=true", json=asked)) == pairs
    only = [asked[0], asked[1]]
    assert await kv.demand("GET", "keyvalues?json=true", json=only) == {"j": 1, "none": {}}
    # A slice that is no JSON is an error with or without check.
    for extra in ("", "&check=true", "&check=false"):
        answer = await kv.ask("GET", f"keyvalues?json=true{extra}", json=[asked[2], asked[4]])
        assert answer.status == 400
        assert "'k'" in answer.text
    message = packed_keys(["k", "none"], [("j", 2, 9), ("none", 5, 1), ("j", 9, 9)])
    wanted = [("k", b"[0123456789]"), ("none", b""), ("j", b"34567890"), ("none", b""), ("j", b"0")]
    assert unpacked(await kv.demand("GET", "keyvalues", message)) == wanted
    for first, last in ((0, 10), (3, 2), (10, 10), (2**64 - 1, 2**64 - 1), (0, 2**64 - 1)):
        answer = await kv.ask("GET", "keyvalues", packed_keys([], [("j", first, last)]))
        assert answer.status == 400
        assert answer.headers["Content-Type"].startswith("text/plain")


async def test_checking_names_the_key_and_sends_nothing(kv: Pairs) -> None:
    bad = [
        b"no",
        b"{",
        b"[1,]",
        b"1 2",
        b"\xff",
        b'{"a":}',
        b"[" * 1_000_000,
        b"nan",
        b"'x'",
        b'"\xff"',
        b"01",
    ]
    for n, value in enumerate(bad):
        await kv.put_many({"a": b'"' + b"x" * 600_000 + b'"', "b": value})
        for answer in (
            await kv.ask("GET", "keyvalues?json=true&check=true", json=["a", "b"]),
            await kv.ask("GET", "keyrangevalues/a/z?json=true&check=true"),
        ):
            assert answer.status == 400, n
            assert "'b'" in answer.text
        # Without it values are inserted as they are.
        unchecked = await kv.ask("GET", "keyrangevalues/b/b?json=true&check=false")
        assert (unchecked.status, unchecked.body) == (200, b'{"b":' + value + b"}")


async def test_large_values_can_be_checked_and_sliced(kv: Pairs) -> None:
    large = b"[" + b"1," * 1_000_000 + b"1]"
    await kv.put_many({"large": large, "text": b"x" * 2_000_000})
    assert (await kv.ask("GET", "keyvalues?json=true&check=true", json=["large"])).body == b'{"large":' + large + b"}"
    assert (await kv.ask("GET", "keyvalues?json=true&check=true", json=["text"])).status == 400
    part = [{"key": "large", "byte_start": 1_048_577, "byte_end": 1_048_577}]
    assert await kv.demand("GET", "keyvalues?json=true&check=true", json=part) == {"large": 1}


async def test_many_keys_in_the_order_asked(kv: Pairs) -> None:
    await kv.put_many((f"k{n:04d}", str(n).encode()) for n in range(3000))
    asked = [f"k{n * 7919 % 5000:04d}" for n in range(5000)]
    wanted = [(key, str(int(key[1:])).encode() if int(key[1:]) < 3000 else b"") for key in asked]
    assert await kv.values(asked) == wanted
    assert untarred(await kv.demand("GET", "keyvalues?tar=true", json=asked)) == wanted
    found = await kv.demand("GET", "keyvalues?json=true&check=true", json=asked)
    assert list(found) == asked
    assert found == {key: json.loads(value or b"{}") for key, value in wanted}


async def test_a_head_of_many_values_has_no_body(kv: Pairs) -> None:
    await kv.put_many(PAIRS)
    for path in ("keys", "keyrange/a/z", "keyrangevalues/a/z", "keyrangevalues/a/z?tar=true", "keyvalues"):
        answer = await kv.ask("HEAD", path)
        assert (answer.status, answer.body) == (200, b"")
    assert await kv.keys() == list(PAIRS)
