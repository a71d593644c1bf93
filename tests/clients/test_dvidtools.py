"""dvidtools, as it is on PyPI, against a server with core and keyvalue."""

from __future__ import annotations

import asyncio
import json
import struct
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeVar

import pytest

from dvid_core.testing.fixtures import RunningServer

T = TypeVar("T")

BODY, OTHER, NONE = 5813027016, 17, 99
MESH = struct.pack("<I12f6I", 4, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0, 0, 8, 0, 1, 2, 0, 2, 3)
"""neuroglancer's format: the number of vertices, their x, y, z, and the vertices of each triangle."""
SWC = """# {"mutation id": 1000000007}
# made for a test
1 0 1 2 3 0.5 -1
2 0 4 5 6 0.5 1
3 0 7 8 9 0.25 2
"""
OBJ = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"

InThread = Callable[..., Any]


@pytest.fixture
def dvid() -> Iterator[Any]:
    """The module, whose connections are closed at the end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import dvid  # type: ignore[import-untyped]
        from dvid import fetch
    before = dict(vars(fetch))
    yield dvid
    for session in fetch.DVID_SESSIONS.values():
        session.close()
    fetch.DVID_SESSIONS.clear()
    for name in ("server", "node", "user"):
        if name not in before:
            vars(fetch).pop(name, None)


async def call(function: Callable[..., T], *args: Any, **options: Any) -> T:
    """Call in a thread, since the server runs in this one."""

    def quiet() -> T:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*args, **options)

    return await asyncio.to_thread(quiet)


@pytest.fixture
async def node(server: RunningServer, dvid: Any) -> AsyncIterator[str]:
    """An open version with what dvidtools reads of keyvalue; the defaults of dvidtools point to it."""
    uuid = await server.repo(alias="hemibrain", description="a test")
    for name in ("meshes", "meshes_mutid", "skeletons", "annotations"):
        await server.instance(uuid, f"segmentation_{name}")
    for name in ("rois", "roi_data"):
        await server.instance(uuid, name)
    pairs = {
        f"segmentation_meshes/key/{BODY}.ngmesh": MESH,
        f"segmentation_meshes/key/{OTHER}.ngmesh": MESH,
        f"segmentation_meshes_mutid/key/{BODY}": b"1000000007",
        f"segmentation_skeletons/key/{BODY}_swc": SWC.encode(),
        f"segmentation_annotations/key/{BODY}": json.dumps({"status": "Traced", "body ID": BODY}).encode(),
        "rois/key/MB": json.dumps({"->": {"key": "mb.obj"}}).encode(),
        "rois/key/LH": b"{}",
        "roi_data/key/mb.obj": OBJ.encode(),
    }
    for path, value in pairs.items():
        await server.post(f"/api/node/{uuid}/{path}", value)
    dvid.setup(server=server.url + "/", node=uuid, user="tester")
    yield uuid


async def test_projects_and_versions_are_listed(server: RunningServer, dvid: Any, node: str) -> None:
    other = await server.repo(alias="other")
    projects = await call(dvid.list_projects)
    assert set(projects.Root) == {node, other}
    assert set(projects.Alias) == {"hemibrain", "other"}
    assert await call(dvid.get_master_node, node) == node

    await server.commit(node)
    side = await server.branch(node, "side")
    child = await server.newversion(node)
    await server.commit(child)
    leaf = await server.newversion(child)
    for name in (node, child, leaf, side, node[:8]):
        assert await call(dvid.get_branch_history, name) == [leaf, child, node]
    assert await call(dvid.get_master_node, node) == leaf
    with pytest.raises(Exception, match="400"):
        await call(dvid.get_branch_history, "0" * 32)


async def test_meshes_are_found_and_read(dvid: Any, node: str) -> None:
    assert (await call(dvid.has_mesh, [BODY, NONE, OTHER], progress=False)).tolist() == [True, False, True]
    (mesh,) = await call(dvid.get_meshes, BODY, output="trimesh", progress=False)
    assert mesh.vertices.tolist() == [[0, 0, 0], [8, 0, 0], [0, 8, 0], [0, 0, 8]]
    assert mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3]]
    assert mesh.mutation_id == 1000000007
    both = await call(dvid.get_meshes, [BODY, OTHER, NONE], output="trimesh", on_error="skip", progress=False)
    assert sorted(str(m.mutation_id) for m in both) == ["1000000007", "None"]
    with pytest.raises(Exception, match="404"):
        await call(dvid.get_meshes, NONE, output="trimesh", on_error="raise", progress=False)


async def test_skeletons_are_found_and_read(dvid: Any, node: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert (await call(dvid.has_skeleton, [BODY, NONE], progress=False)).tolist() == [True, False]
    (skeleton,) = await call(dvid.get_skeletons, BODY, output="swc", progress=False)
    assert skeleton.node_id.tolist() == [1, 2, 3]
    assert skeleton.radius.tolist() == [0.5, 0.5, 0.25]
    assert skeleton.mutation_id == 1000000007
    assert await call(dvid.get_skeleton_mutation, BODY) == 1000000007
    assert await call(dvid.get_skeleton_mutation, NONE) is None  # it looks for "not found" in the text
    assert "not found" in capsys.readouterr().out


async def test_annotations_are_read_and_edited(server: RunningServer, dvid: Any, node: str) -> None:
    assert await call(dvid.get_annotation, BODY) == {"status": "Traced", "body ID": BODY}
    assert await call(dvid.get_annotation, NONE, verbose=False) == {}
    await call(dvid.edit_annotation, BODY, {"name": "é", "status": "Done"}, verbose=False)
    await call(dvid.edit_annotation, str(NONE), {"name": "new"}, verbose=False)
    assert await call(dvid.get_annotation, BODY) == {"status": "Done", "body ID": BODY, "name": "é"}
    assert await server.get(f"/api/node/{node}/segmentation_annotations/keys") == [str(BODY), str(NONE)]
    await server.commit(node)
    with pytest.raises(Exception, match="400"):
        await call(dvid.edit_annotation, BODY, {"name": "late"}, verbose=False)
    child = await server.newversion(node)
    await call(dvid.edit_annotation, BODY, {"name": "later"}, node=child, verbose=False)
    assert (await call(dvid.get_annotation, BODY, node=child))["name"] == "later"
    assert (await call(dvid.get_annotation, BODY, node=node))["name"] == "é"


async def test_rois_are_read_from_their_two_instances(server: RunningServer, dvid: Any, node: str) -> None:
    assert await call(dvid.get_available_rois) == ["LH", "MB"]
    mesh = await call(dvid.get_roi, "MB")
    assert mesh.faces.tolist() == [[0, 1, 2]]
    # Without these instances dvidtools goes on to the ROI itself; what tells it is a 400.
    bare = await server.repo()
    with pytest.raises(Exception, match=r"400.*/MB/roi"):
        await call(dvid.get_roi, "MB", node=bare)


async def test_branches_and_prefixes_name_versions(server: RunningServer, dvid: Any, node: str) -> None:
    await server.commit(node)
    side = await server.branch(node, "side")
    await server.delete(f"/api/node/{side}/segmentation_skeletons/key/{BODY}_swc")
    for name, there in ((node[:7], True), (f"{node[:7]}:side", False), (f"{node}:master", True)):
        assert (await call(dvid.has_skeleton, BODY, progress=False, node=name)).tolist() == [there]


async def test_many_threads_share_the_server(dvid: Any, node: str) -> None:
    """As its users do it: a pool of threads, each with a connection of its own."""
    found: list[Any] = []

    def read() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.append(dvid.get_meshes([BODY, OTHER] * 5, output="trimesh", max_threads=5, progress=False))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert [len(meshes) for meshes in found] == [10] * 4
