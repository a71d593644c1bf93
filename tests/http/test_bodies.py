"""Request bodies: JSON of all kinds, chunks, compression, GET with a body."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator

import pytest

from dvid_core.testing.fixtures import RunningServer

DEEP = 100_000
DIGITS = "1" + "0" * 4999


@pytest.fixture
async def uuid(server: RunningServer) -> str:
    return await server.repo()


def json_routes(uuid: str) -> list[str]:
    """All core routes that read JSON."""
    return [
        "/api/repos?admintoken=secret", "/api/server/settings?admintoken=secret", f"/api/repo/{uuid}/info",
        f"/api/repo/{uuid}/log", f"/api/repo/{uuid}/instance", f"/api/repo/{uuid}/merge", f"/api/repo/{uuid}/resolve",
        f"/api/repo/{uuid}/rename?admintoken=secret", f"/api/node/{uuid}/note", f"/api/node/{uuid}/log",
        f"/api/node/{uuid}/commit", f"/api/node/{uuid}/newversion", f"/api/node/{uuid}/branch", f"/api/node/{uuid}/tag",
        f"/api/node/{uuid}/kv/tags", f"/api/node/{uuid}/kv/sync", f"/api/node/{uuid}/kv/keyvalues?json=true",
    ]  # fmt: skip


BROKEN = {
    "deep lists": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deep and open": b"[" * DEEP,
    "deep inside an object": b'{"alias": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "no JSON": b"alias=x",
    "cut off": b'{"alias": "x"',
    "two values": b"{} {}",
    "not UTF-8": b'{"alias": "\xff"}',
    "UTF-16": '{"alias": "x"}'.encode("utf-16"),
    "NaN": b'{"alias": NaN}',
    "half a surrogate": b'{"note": "\\ud800", "alias": "\\ud800", "tag": "\\ud800", "branch": "\\ud800"}',
    "NUL": b'{"alias": "x"}\x00',
    "single quotes": b"{'alias': 'x'}",
    "a number": b"17",
    "a text": b'"alias"',
    "a list": b"[[]]",
    "a huge number": DIGITS.encode(),
    "a huge number inside": f'{{"note": {DIGITS}, "log": [{DIGITS}], "alias": {DIGITS}, "gc": {DIGITS}}}'.encode(),
    "a huge exponent": b'{"note": 1e999999, "alias": 1e999999, "log": [1e999999], "throttle": 1e999999}',
    "a big integer": b'{"note": 12345678901234567890123, "alias": -99999999999999999999, "gc": 18446744073709551616}',
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
async def test_broken_json_is_refused_and_changes_nothing(server: RunningServer, uuid: str, body: bytes) -> None:
    await server.instance(uuid, "kv")
    async with server.unchanged():
        for path in json_routes(uuid):
            answer = await server.ask("POST" if "keyvalues" not in path else "GET", path, body)
            assert answer.status == 400, f"{path}: {answer.status} {answer.text[:200]}"
            assert 0 < len(answer.text) < 1000, "the reply repeats the request"


async def test_unused_values_may_be_of_any_size(server: RunningServer) -> None:
    body = f'{{"alias": "a", "other": [{DIGITS}, 1e999, -123456789012345678901234567890, {"[" * 500 + "]" * 500}]}}'
    answer = await server.ask("POST", "/api/repos", body.encode(), admin=True)
    assert answer.status in (200, 400)


@pytest.mark.parametrize("number", ["100", 100, "1", 0])
async def test_settings_are_numbers_or_texts_of_numbers(server: RunningServer, number: str | int) -> None:
    reply = await server.post("/api/server/settings", json={"throttle": number}, admin=True)
    assert len(reply.splitlines()) == 1
    assert await server.post("/api/server/settings", json={}, admin=True) == b""


@pytest.mark.parametrize(
    "value", ["-1", -1, 1.5, "1.5", "", " 1", "1_0", "\u0661", True, None, [], "1" * 5000, "+1", "0x1", "1e3"]
)
@pytest.mark.parametrize("name", ["throttle", "gc"])
async def test_other_settings_are_refused(server: RunningServer, name: str, value: object) -> None:
    await server.post("/api/server/settings", json={name: value}, admin=True, status=400)


@pytest.mark.parametrize(
    "text", ["<&>\u2028", "\x00", "\u00e9\u0301", "\U0001f600", '"\\/\b\f\n\r\t', "\x7f", "x" * 300_000]
)
async def test_texts_come_back_as_they_were_sent(server: RunningServer, uuid: str, text: str) -> None:
    for body in (json.dumps({"note": text}), json.dumps({"note": text}, ensure_ascii=False)):
        await server.post(f"/api/node/{uuid}/note", body.encode())
        assert await server.get(f"/api/node/{uuid}/note") == {"note": text}
    await server.post(f"/api/repo/{uuid}/info", json={"alias": text, "description": text})
    info = await server.repo_info(uuid)
    assert (info["Alias"], info["Description"]) == (text, text)


async def test_a_body_is_stored_as_it_is_sent(server: RunningServer, uuid: str) -> None:
    place = f"{await server.instance(uuid, 'kv')}/key/a"
    packed = gzip.compress(b"packed by the client")
    for encoding in ("gzip", "deflate", "br", "zstd", "identity", "nonsense"):
        await server.post(place, packed, headers={"Content-Encoding": encoding, "Content-Type": "text/html"})
        answer = await server.ask("GET", place, headers={"Accept-Encoding": "gzip, br, deflate, zstd"})
        assert answer.body == packed
        assert "Content-Encoding" not in answer.headers
        assert answer.headers["Content-Type"] == "application/octet-stream"


async def test_a_get_may_have_a_body(server: RunningServer, uuid: str) -> None:
    place = await server.instance(uuid, "kv")
    await server.post(f"{place}/key/a", b"1")
    assert await server.demand("GET", f"{place}/keyvalues?json=true", json=["a"]) == {"a": 1}
    assert await server.demand("GET", "/api/heartbeat", b"ignored" * 100_000) == b"OK"
    assert await server.demand("GET", f"{place}/key/a", b"ignored") == b"1"


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 1 << 20, (1 << 20) + 1, 5_000_000])
async def test_a_chunked_body_is_stored_whole(server: RunningServer, uuid: str, size: int) -> None:
    place = f"{await server.instance(uuid, 'kv')}/key/a"
    data = (bytes(range(251)) * (size // 251 + 1))[:size]

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, size, 70_001):
            yield data[at : at + 70_001]

    await server.post(place, pieces())
    answer = await server.ask("GET", place)
    assert answer.body == data
    assert answer.headers["Content-Length"] == str(size)
    head = await server.ask("HEAD", place)
    assert (head.status, head.body) == (200, b"")


async def test_a_json_body_may_come_in_chunks(server: RunningServer, uuid: str) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for byte in b'{"note": "in pieces"}':
            yield bytes([byte])

    await server.post(f"/api/node/{uuid}/note", pieces())
    assert await server.get(f"/api/node/{uuid}/note") == {"note": "in pieces"}


async def test_an_upload_that_is_refused_leaves_the_connection_usable(server: RunningServer, uuid: str) -> None:
    place = await server.instance(uuid, "kv")
    await server.commit(uuid)
    for _ in range(3):
        await server.post(f"{place}/key/a", b"x" * 3_000_000, status=400)
        assert await server.get(f"{place}/keys") == []


async def test_a_json_body_beyond_the_limit_is_refused(server: RunningServer, uuid: str) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b'{"note": "'
        for _ in range(20):
            yield b"x" * (1 << 20)
        yield b'"}'

    async with server.unchanged():
        await server.post(f"/api/node/{uuid}/note", endless(), status=400)
        await server.post(f"/api/node/{uuid}/note", b'{"note": "' + b"x" * (20 << 20) + b'"}', status=400)
