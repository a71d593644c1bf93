"""What neuroglancer asks of core and keyvalue, from a page of another origin."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest

from dvid_core.testing.fixtures import running

ORIGIN = {"Origin": "https://neuroglancer-demo.appspot.com"}


@pytest.mark.parametrize("domains", [("*",), (ORIGIN["Origin"],)])
async def test_neuroglancer_reads_meshes_and_skeletons(
    engine: str, plugins: Sequence[ModuleType], tmp_path: Path, domains: tuple[str, ...]
) -> None:
    async with running(engine, tmp_path, plugins=plugins, cors_domains=domains) as server:
        uuid = await server.repo(alias="a", description="b")
        for name in ("segmentation_meshes", "segmentation_skeletons"):
            await server.instance(uuid, name)
        await server.post(f"/api/node/{uuid}/segmentation_meshes/key/7.ngmesh", b"\x00" * 100)
        await server.post(f"/api/node/{uuid}/segmentation_skeletons/key/7_swc", b"1 0 0 0 0 1 -1\n")

        async def ask(path: str) -> tuple[int, bytes]:
            answer = await server.ask("GET", f"{path}?app=Neuroglancer", headers=ORIGIN)
            assert answer.headers["Access-Control-Allow-Origin"] in ("*", ORIGIN["Origin"])
            return answer.status, answer.body

        status, body = await ask("/api/repos/info")
        assert status == 200
        for repo in json.loads(body).values():
            assert isinstance(repo["Alias"], str)
            assert isinstance(repo["Description"], str)
            assert isinstance(repo["DataInstances"], dict)
            assert isinstance(repo["DAG"]["Nodes"], dict)
            assert {i["Base"]["TypeName"] for i in repo["DataInstances"].values()} == {"keyvalue"}
        for node in (uuid, uuid[:6], f"{uuid}:master"):
            assert await ask(f"/api/node/{node}/segmentation_meshes/key/7.ngmesh") == (200, b"\x00" * 100)
            assert await ask(f"/api/node/{node}/segmentation_skeletons/key/7_swc") == (200, b"1 0 0 0 0 1 -1\n")
            assert (await ask(f"/api/node/{node}/segmentation_meshes/key/8.ngmesh"))[0] == 404
        assert (await ask("/api/node/000/x/key/y"))[0] == 400
        for method in ("GET", "POST", "DELETE", "HEAD"):
            asked = {
                **ORIGIN,
                "Access-Control-Request-Method": method,
                "Access-Control-Request-Headers": "authorization,content-type",
            }
            preflight = await server.ask("OPTIONS", f"/api/node/{uuid}/segmentation_meshes/key/7.ngmesh", headers=asked)
            assert preflight.status in (200, 204)
            assert preflight.headers["Access-Control-Allow-Origin"] in ("*", ORIGIN["Origin"])
            if domains != ("*",):
                assert method in preflight.headers["Access-Control-Allow-Methods"]
                assert "content-type" in preflight.headers["Access-Control-Allow-Headers"].lower()
