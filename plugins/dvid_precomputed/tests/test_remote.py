"""Volumes behind HTTP, and behind servers that speak S3 or as Google's storage does."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from dvid_core import ConfigError

from .conftest import Served
from .test_reads import SHARDS
from .volumes import VOLUMES, make_volume, show, smooth


class Bucket:
    """Files below a folder, served with ranges; `asked` has the paths."""

    def __init__(self, root: Path, prefix: str = "") -> None:
        self.root, self.prefix = root, prefix
        self.asked: list[str] = []
        self.status = 0
        self.hold: asyncio.Event | None = None
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.answer)
        self.server = TestServer(app)

    @functools.cached_property
    def url(self) -> str:
        return str(self.server.make_url("/")).rstrip("/")

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        self.asked.append(path)
        if self.hold is not None:
            await self.hold.wait()
        if self.status:
            return web.Response(status=self.status)
        file = self.root / path.removeprefix(self.prefix).lstrip("/")
        return web.FileResponse(file) if file.is_file() else web.Response(status=404)


@pytest_asyncio.fixture
async def bucket(tmp_path: Path) -> AsyncIterator[Bucket]:
    found = Bucket(tmp_path / "files")
    await found.server.start_server()
    yield found
    if found.hold is not None:
        found.hold.set()
    await found.server.close()


async def test_a_volume_is_read_over_http(serve: Served, bucket: Bucket) -> None:
    bucket.root = VOLUMES
    async with serve(ng={"ref": f"{bucket.url}/unsharded"}, here={"ref": f"file://{VOLUMES}/unsharded"}) as server:
        far, near = await show(server, "ng"), await show(server, "here")
        assert (await far.raw((0, 0, 0), (80, 100, 152)) == await near.raw((0, 0, 0), (80, 100, 152))).all()
        assert await far.get("specificblocks?blocks=1,0,0") == b""


async def test_indexes_of_shards_are_asked_for_once(serve: Served, bucket: Bucket) -> None:
    voxels = smooth((32, 64, 64))
    await make_volume(bucket.root, voxels, "raw", (16, 16, 16), key="s0", sharding=SHARDS)
    async with serve(ng={"ref": bucket.url}) as server:
        shown = await show(server)
        for _ in range(2):
            bucket.asked.clear()
            assert (await shown.raw((0, 0, 0), voxels.shape) == voxels).all()
        assert len(bucket.asked) <= 32, "one request for each chunk, none for an index"


async def test_a_place_that_fails_is_503_and_works_again_afterwards(serve: Served, bucket: Bucket) -> None:
    bucket.root = VOLUMES
    async with serve(ng={"ref": f"{bucket.url}/raw", "timeout": 2.0}) as server:
        shown = await show(server)
        bucket.status = 403
        answer = await shown.ask("GET", "raw/0_1_2/8_8_8/0_0_0")
        assert (answer.status, "'ng'" in answer.text) == (503, True)
        bucket.status = 0
        assert (await shown.raw((0, 0, 0), (8, 8, 8))).any()


async def test_a_place_that_hangs_is_503_and_holds_up_nobody(serve: Served, bucket: Bucket) -> None:
    bucket.root = VOLUMES
    here = {"ref": f"file://{VOLUMES}/raw"}
    async with serve(ng={"ref": f"{bucket.url}/raw", "timeout": 1.0}, here=here) as server:
        far, near = await show(server), await show(server, "here")
        bucket.hold = asyncio.Event()
        hanging = asyncio.create_task(far.ask("GET", "raw/0_1_2/8_8_8/0_0_0"))
        assert (await near.raw((0, 0, 0), (8, 8, 8))).any()
        assert not hanging.done()
        assert (await hanging).status == 503


async def test_a_server_does_not_wait_for_ever_for_a_volume(serve: Served, bucket: Bucket) -> None:
    bucket.hold = asyncio.Event()
    with pytest.raises(ConfigError, match=r"within 0\.5 seconds"):
        async with serve(ng={"ref": bucket.url, "timeout": 0.5}):
            pass


async def test_a_volume_is_read_from_s3(serve: Served, bucket: Bucket) -> None:
    bucket.root, bucket.prefix = VOLUMES, "mine/"
    options: dict[str, Any] = {"ref": "s3://mine/sharded", "endpoint": bucket.url, "anonymous": True}
    async with serve(ng=options, here={"ref": f"file://{VOLUMES}/sharded"}) as server:
        far, near = await show(server), await show(server, "here")
        assert (await far.raw((0, 0, 0), (70, 140, 200)) == await near.raw((0, 0, 0), (70, 140, 200))).all()
