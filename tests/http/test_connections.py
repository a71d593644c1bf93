"""HTTP/1.0, pipelines, Expect, and clients that leave."""

from __future__ import annotations

import pytest

from dvid_core.testing.api import eventually
from dvid_core.testing.fixtures import RunningServer
from dvid_core.testing.wire import Wire, connect, http_request

pytestmark = pytest.mark.parametrize("engine", ["memory"])

EXPECT = "Expect: 100-continue"


@pytest.fixture
async def place(server: RunningServer) -> str:
    return await server.instance(await server.repo(), "kv")


async def answered(wire: Wire, status: int, body: bytes | None = None) -> None:
    """Read the next reply, which must be this one."""
    answer = await wire.reply()
    assert answer is not None, "the connection was closed"
    assert answer.status == status, answer
    assert body is None or answer.body == body


async def idle(server: RunningServer) -> bool:
    """Whether no request is under way."""
    return server.server.traffic.active == 0


async def test_pipelined_requests_are_answered_in_order(server: RunningServer, place: str) -> None:
    requests = []
    for n in range(50):
        requests.append(http_request("POST", f"{place}/key/a", b"%d" % n))
        requests.append(http_request("GET", f"{place}/key/a"))
    async with connect(server.url) as wire:
        await wire.send(b"".join(requests))
        for n in range(50):
            await answered(wire, 200, b"")
            await answered(wire, 200, b"%d" % n)


async def test_an_error_in_a_pipeline_does_not_eat_the_next_request(server: RunningServer, place: str) -> None:
    async with connect(server.url) as wire:
        await wire.send(
            http_request("POST", f"{place}/nosuch", b"x" * 500_000)
            + http_request("POST", "/nosuch", b"GET /smuggled HTTP/1.1\r\n\r\n")
            + http_request("GET", "/api/heartbeat")
        )
        await answered(wire, 400)
        await answered(wire, 404)
        await answered(wire, 200, b"OK")


@pytest.mark.parametrize("path", ["/api/heartbeat", "{}/keys", "{}/key/large", "{}/nosuch"])
async def test_an_http_1_0_client_gets_a_reply_without_chunks(server: RunningServer, place: str, path: str) -> None:
    await server.post(f"{place}/key/large", b"x" * 300_000)
    expected = await server.ask("GET", path.format(place))
    async with connect(server.url) as wire:
        await wire.send(f"GET {path.format(place)} HTTP/1.0\r\n\r\n".encode())
        answer = await wire.reply()
        assert answer is not None
        assert "Transfer-Encoding" not in answer.headers
        assert (answer.status, answer.body) == (expected.status, expected.body)
        assert await wire.closed()


async def test_an_http_1_0_client_may_keep_the_connection(server: RunningServer, place: str) -> None:
    async with connect(server.url) as wire:
        for _ in range(3):
            await wire.send(b"GET /api/heartbeat HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            await answered(wire, 200, b"OK")


async def test_connection_close_is_obeyed(server: RunningServer, place: str) -> None:
    async with connect(server.url) as wire:
        await wire.send(http_request("GET", f"{place}/keys", b"", "Connection: close"))
        await answered(wire, 200, b"[]")
        assert await wire.closed()


@pytest.mark.parametrize("size", [1, 100_000, 3_000_000])
async def test_an_upload_that_asks_first_is_told_to_go_on(server: RunningServer, place: str, size: int) -> None:
    async with connect(server.url) as wire:
        for framing in (f"Content-Length: {size}", "Transfer-Encoding: chunked"):
            await wire.send(f"POST {place}/key/a HTTP/1.1\r\nHost: h\r\n{EXPECT}\r\n{framing}\r\n\r\n".encode())
            await answered(wire, 100)
            body = b"x" * size
            await wire.send(body if "Length" in framing else b"%x\r\n%s\r\n0\r\n\r\n" % (size, body))
            await answered(wire, 200, b"")
    assert len(await server.get(f"{place}/key/a")) == size


async def test_a_refused_upload_is_not_asked_for(server: RunningServer, place: str) -> None:
    await server.commit(place.split("/")[3])
    for path, status in ((f"{place}/key/a", 400), (f"{place}/nosuch", 400), ("/api/nosuch", 404)):
        async with connect(server.url) as wire:
            await wire.send(f"POST {path} HTTP/1.1\r\nHost: h\r\n{EXPECT}\r\nContent-Length: 3000000\r\n\r\n".encode())
            await answered(wire, status)
            # Either the server closes, or it must take the body off the wire before the next request.
            await wire.send(b"x" * 3_000_000 + http_request("GET", "/api/heartbeat"))
            after = await wire.reply()
            assert after is None or after.body == b"OK"
    assert await server.get(f"{place}/keys") == []


async def test_an_upload_need_not_wait_for_the_invitation(server: RunningServer, place: str) -> None:
    async with connect(server.url) as wire:
        await wire.send(http_request("POST", f"{place}/key/a", b"at once", EXPECT))
        answer = await wire.reply()
        assert answer is not None
        if answer.status == 100:
            answer = await wire.reply()
        assert answer is not None
        assert answer.status == 200
        await wire.send(http_request("GET", f"{place}/key/a"))
        await answered(wire, 200, b"at once")


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_other_expectations_do_no_harm(server: RunningServer, place: str, version: str) -> None:
    request = http_request(
        "POST", f"{place}/key/a", b"body", "Expect: 100-continue" if version == "1.0" else "Expect: miracles"
    )
    async with connect(server.url) as wire:
        await wire.send(request.replace(b"HTTP/1.1", f"HTTP/{version}".encode()))
        answer = await wire.reply()
        assert answer is not None
        assert answer.status in ((200,) if version == "1.0" else (200, 400, 417))


async def test_a_get_that_asks_first_is_answered(server: RunningServer, place: str) -> None:
    async with connect(server.url) as wire:
        await wire.send(http_request("GET", f"{place}/keys", b"", EXPECT))
        answer = await wire.reply()
        assert answer is not None
        if answer.status == 100:
            answer = await wire.reply()
        assert answer is not None
        assert answer.body == b"[]"


async def test_head_sends_no_body_and_keeps_the_connection(server: RunningServer, place: str) -> None:
    await server.post(f"{place}/key/a", b"x" * 300_000)
    paths = ("/api/heartbeat", f"{place}/keys", f"{place}/key/a", f"{place}/info", "/api/help", "/nosuch",
    f"{place}/nosuch",
             f"{place}/mutations", "/api//heartbeat")  # fmt: skip
    for path in paths:
        expected = await server.ask("GET", path)
        async with connect(server.url) as wire:
            await wire.send(http_request("HEAD", path) + http_request("GET", "/api/heartbeat"))
            head = await wire.reply(body=False)
            assert head is not None
            assert head.status == expected.status, path
            after = await wire.reply()
            assert after is None or after.body == b"OK", path


async def test_a_client_that_leaves_while_it_reads_ends_the_work(server: RunningServer, place: str) -> None:
    await server.post(f"{place}/key/large", b"x" * 30_000_000)
    for _ in range(5):
        async with connect(server.url) as wire:
            await wire.send(http_request("GET", f"{place}/key/large"))
    await eventually(lambda: idle(server))
    assert await server.get("/api/heartbeat") == b"OK"


async def test_a_client_that_leaves_while_it_writes_leaves_nothing(server: RunningServer, place: str) -> None:
    for _ in range(5):
        async with connect(server.url) as wire:
            await wire.send(
                f"POST {place}/key/a HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999\r\n\r\n".encode() + b"x" * 500_000
            )
    await eventually(lambda: idle(server))
    assert await server.get(f"{place}/keys") == []
