"""Streamed replies: one that ends wrong is never taken for a whole one, and what was sent is not kept."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from types import ModuleType

import aiohttp
import pytest

from dvid_core import Instance, Reply, View, get, hookimpl
from dvid_core.testing.fixtures import RunningServer

MIB = 1 << 20


async def send(view: View, made: int, promised: int, size: int) -> Reply:
    """`made` pieces of `size` bytes where `promised` bytes are announced; with 0 none are, and it fails at its end."""

    async def pieces() -> AsyncIterator[bytes]:
        for n in range(made):
            yield bytes((n % 256,)) * size
        if not promised:
            raise RuntimeError("half way")

    return Reply(stream=pieces(), length=promised or None)


class Stream(Instance):
    """Sends what it is asked for."""

    typename = "stream"
    routes = (get("send/{made}/{promised}/{size}", send),)


@hookimpl
def dvid_datatypes() -> Sequence[type[Instance]]:
    return [Stream]


@pytest.fixture
def plugins() -> Sequence[ModuleType]:
    return (sys.modules[__name__],)


@pytest.fixture
def engine() -> str:
    return "memory"


async def read(server: RunningServer, path: str) -> int:
    """The length of a reply, read piece by piece."""
    size = 0
    async with server.client.get(f"{server.url}{path}") as reply:
        assert reply.status == 200
        async for piece in reply.content.iter_any():
            size += len(piece)
    return size


@pytest.mark.parametrize("made", [1, 7])
async def test_a_stream_of_the_promised_length_arrives_whole(server: RunningServer, made: int) -> None:
    place = await server.instance(await server.repo(), "s", "stream")
    for size in (10, 100_000, MIB):
        assert await read(server, f"{place}/send/{made}/{made * size}/{size}") == made * size


@pytest.mark.parametrize(("made", "promised"), [(3, 4 * MIB), (3, 3 * MIB - 1), (1, 2 * MIB), (3, 0)])
async def test_a_stream_that_ends_wrong_is_cut(
    server: RunningServer, made: int, promised: int, caplog: pytest.LogCaptureFixture
) -> None:
    place = await server.instance(await server.repo(), "s", "stream")
    with pytest.raises(aiohttp.ClientError):
        await read(server, f"{place}/send/{made}/{promised}/{MIB}")
    assert "broke off" in caplog.text
    assert await read(server, f"{place}/send/1/5/5") == 5


async def test_a_short_reply_of_another_length_is_an_error(server: RunningServer) -> None:
    place = await server.instance(await server.repo(), "s", "stream")
    assert (await server.ask("GET", f"{place}/send/1/6/5")).status == 500


async def test_one_piece_is_in_memory_at_a_time(server: RunningServer) -> None:
    place = await server.instance(await server.repo(), "s", "stream")
    await read(server, f"{place}/send/2/{16 * MIB}/{8 * MIB}")
    tracemalloc.start()
    try:
        await read(server, f"{place}/send/6/{48 * MIB}/{8 * MIB}")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 15 * MIB
