"""Requests that no HTTP client sends: the server refuses them or does what they say, and stays sane."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from dvid_core.testing.fixtures import RunningServer
from dvid_core.testing.wire import Wire, connect, http_request

pytestmark = pytest.mark.parametrize("engine", ["memory"])

HOST = "Host: localhost\r\n"


@pytest.fixture
async def uuid(server: RunningServer) -> str:
    return await server.repo()


@asynccontextmanager
async def sane(server: RunningServer) -> AsyncIterator[Wire]:
    """A connection; at its end the server must still answer others, and no metadata may have changed."""
    async with server.unchanged(), connect(server.url) as wire:
        yield wire
        assert await server.get("/api/heartbeat") == b"OK"


LENGTHS = {
    "negative": "Content-Length: -1",
    "signed": "Content-Length: +5",
    "no number": "Content-Length: five",
    "hexadecimal": "Content-Length: 0x5",
    "with a fraction": "Content-Length: 5.0",
    "with an underscore": "Content-Length: 1_0",
    "of other digits": "Content-Length: \u0665",
    "a list": "Content-Length: 5, 6",
    "empty": "Content-Length:",
    "twice, different": "Content-Length: 5\r\nContent-Length: 6",
    "endless": "Content-Length: " + "9" * 5000,
    "with chunks": "Content-Length: 5\r\nTransfer-Encoding: chunked",
    "with chunks before": "Transfer-Encoding: chunked\r\nContent-Length: 5",
    "chunked twice": "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "unknown coding": "Transfer-Encoding: xchunked",
    "chunked not last": "Transfer-Encoding: chunked, identity",
    "coding before chunked": "Transfer-Encoding: gzip, xyz\r\nContent-Length: 5",
    "vertical tab": "Transfer-Encoding:\x0bchunked",
    "blank before the colon": "Transfer-Encoding : chunked",
    "folded": "Transfer-Encoding:\r\n chunked",
}


@pytest.mark.parametrize("header", LENGTHS.values(), ids=LENGTHS.keys())
async def test_an_unclear_length_is_refused_and_nothing_is_smuggled(
    server: RunningServer, uuid: str, header: str
) -> None:
    """Whichever of two lengths a proxy before us believes, the second request must not be run."""
    smuggled = http_request("POST", f"/api/node/{uuid}/note", b'{"note": "smuggled"}')
    head = f"POST /api/repo/{uuid}/info HTTP/1.1\r\n{HOST}{header}\r\n\r\n".encode()
    async with sane(server) as wire:
        await wire.send(head + b"0\r\n\r\n" + smuggled)
        answer = await wire.reply()
        assert answer is not None
        assert answer.status in (400, 411, 413, 501)
        assert await wire.closed()


CHUNKS = {
    "hex prefix": b"0x5\r\nhello\r\n0\r\n\r\n",
    "signed": b"+5\r\nhello\r\n0\r\n\r\n",
    "negative": b"-5\r\nhello\r\n0\r\n\r\n",
    "blank": b" \r\nhello\r\n0\r\n\r\n",
    "no number": b"five\r\nhello\r\n0\r\n\r\n",
    "underscore": b"0_5\r\nhello\r\n0\r\n\r\n",
    "huge": b"f" * 40 + b"\r\nhello\r\n0\r\n\r\n",
    "longer than said": b"4\r\nhello\r\n0\r\n\r\n",
    "endless size": b"0" * 2_000_000,
}


@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS.keys())
async def test_malformed_chunks_store_nothing(server: RunningServer, uuid: str, chunks: bytes) -> None:
    place = await server.instance(uuid, "kv")
    head = f"POST {place}/key/a HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n".encode()
    async with sane(server) as wire:
        await wire.send(head + chunks)
        wire.end()
        assert all(a.status == 400 for a in await wire.replies())
    assert await server.get(f"{place}/keys") == []


@pytest.mark.parametrize("size", [9, 100_000, 3_000_000])
async def test_an_upload_that_breaks_off_stores_nothing(server: RunningServer, uuid: str, size: int) -> None:
    place = await server.instance(uuid, "kv")
    for framing in (f"Content-Length: {size + 1}\r\n\r\n", f"Transfer-Encoding: chunked\r\n\r\n{size + 1:x}\r\n"):
        async with sane(server) as wire:
            await wire.send(f"POST {place}/key/a HTTP/1.1\r\n{HOST}{framing}".encode() + b"x" * size)
            wire.end()
            assert all(a.status >= 400 for a in await wire.replies())
    assert await server.get(f"{place}/keys") == []
    assert await server.get(f"{place}/mutations") == []


STRANGE = {
    "nothing": b"\r\n\r\n",
    "noise": bytes(range(128, 256)) * 10 + b"\r\n\r\n",
    "a TLS hello": bytes.fromhex("16030100c8010000c40303") + b"\x00" * 200 + b"\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/9": b"GET /api/heartbeat HTTP/9.9\r\n" + HOST.encode() + b"\r\n",
    "no version": b"GET /api/heartbeat\r\n\r\n",
    "no path": b"GET HTTP/1.1\r\n\r\n",
    "a blank in the path": b"GET /api/a b HTTP/1.1\r\n" + HOST.encode() + b"\r\n",
    "NUL in the path": b"GET /api/a\x00b HTTP/1.1\r\n" + HOST.encode() + b"\r\n",
    "NUL in a header": b"GET /api/nosuch HTTP/1.1\r\n" + HOST.encode() + b"X: a\x00b\r\n\r\n",
    "no colon": b"GET /api/nosuch HTTP/1.1\r\n" + HOST.encode() + b"garbage\r\n\r\n",
    "no header name": b"GET /api/nosuch HTTP/1.1\r\n" + HOST.encode() + b": x\r\n\r\n",
    "bare CR": b"GET /api/nosuch HTTP/1.1\r\n" + HOST.encode() + b"X: a\rb\r\n\r\n",
    "two hosts": b"GET /api/nosuch HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "a path without slash": b"GET api/nosuch HTTP/1.1\r\n" + HOST.encode() + b"\r\n",
    "star": b"GET * HTTP/1.1\r\n" + HOST.encode() + b"\r\n",
    "connect": b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
    "a broken URL": b"GET http://[::1/api/nosuch HTTP/1.1\r\n" + HOST.encode() + b"\r\n",
    "a broken port": b"GET http://localhost:port/api/nosuch HTTP/1.1\r\n" + HOST.encode() + b"\r\n",
    "another scheme": b"GET file:///etc/passwd HTTP/1.1\r\n" + HOST.encode() + b"\r\n",
    "a fragment": b"GET /api/nosuch#/api/heartbeat HTTP/1.1\r\n" + HOST.encode() + b"\r\n",
    "only a question mark": b"GET ? HTTP/1.1\r\n" + HOST.encode() + b"\r\n",
    "a long line": b"GET /" + b"x" * 3_000_000 + b" HTTP/1.1\r\n" + HOST.encode() + b"\r\n",
    "a long header": b"GET /api/nosuch HTTP/1.1\r\n" + HOST.encode() + b"X: " + b"x" * 3_000_000 + b"\r\n\r\n",
    "a long header name": b"GET /api/nosuch HTTP/1.1\r\n" + HOST.encode() + b"x" * 3_000_000 + b": x\r\n\r\n",
    "lower case": b"get /api/nosuch HTTP/1.1\r\n" + HOST.encode() + b"\r\n",
    "a long method": b"G" * 100_000 + b" /api/nosuch HTTP/1.1\r\n" + HOST.encode() + b"\r\n",
}  # fmt: skip


@pytest.mark.parametrize("request_", STRANGE.values(), ids=STRANGE.keys())
async def test_what_is_no_request_is_refused(server: RunningServer, request_: bytes) -> None:
    async with sane(server) as wire:
        await wire.send(request_)
        wire.end()
        for answer in await wire.replies():
            assert 400 <= answer.status < 500, answer


@pytest.mark.parametrize(
    "url", ["http://localhost/api/heartbeat", "http://evil.example/api/heartbeat", "HTTP://x:1/api/heartbeat"]
)
async def test_an_absolute_url_means_its_path(server: RunningServer, url: str) -> None:
    async with sane(server) as wire:
        await wire.send(http_request("GET", url))
        answer = await wire.reply()
        assert answer is not None
        assert (answer.status, answer.body) == (200, b"OK")
        await wire.send(http_request("GET", url.replace("/api", "//api/.")))
        answer = await wire.reply()
        assert answer is not None
        assert (answer.status, answer.headers["Location"]) == (307, "/api/heartbeat")


async def test_options_of_everything_is_answered(server: RunningServer) -> None:
    async with sane(server) as wire:
        await wire.send(http_request("OPTIONS", "*"))
        answer = await wire.reply()
        assert answer is not None
        assert answer.status < 500


@pytest.mark.parametrize("upgrade", ["websocket", "h2c", "TLS/1.0", "nonsense"])
async def test_an_upgrade_is_ignored(server: RunningServer, upgrade: str) -> None:
    headers = ("Connection: Upgrade, HTTP2-Settings", f"Upgrade: {upgrade}", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13")  # fmt: skip
    async with sane(server) as wire:
        await wire.send(http_request("GET", "/api/heartbeat", b"", *headers))
        answer = await wire.reply()
        assert answer is not None
        assert (answer.status, answer.body) == (200, b"OK")
        await wire.send(http_request("GET", "/api/heartbeat"))
        again = await wire.reply()
        assert again is None or again.body == b"OK"


async def test_many_headers_do_no_harm(server: RunningServer) -> None:
    async with sane(server) as wire:
        await wire.send(http_request("GET", "/api/heartbeat", b"", *(f"X-{n}: {n}" for n in range(20_000))))
        answer = await wire.reply()
        assert answer is None or answer.status in (200, 400, 431)


async def test_long_paths_and_queries_are_taken(server: RunningServer, uuid: str) -> None:
    place = await server.instance(uuid, "kv")
    key = "%F0%9F%98%80" * 1500
    assert await server.get(f"{place}/key/{key}", status=404)
    assert await server.get(f"/api/heartbeat?blocks={'1,' * 250_000}") == b"OK"
