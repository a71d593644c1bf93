"""Files of single supervoxels: put, get, delete, exist, and other extensions."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator

import pytest

from dvid_core.testing.fixtures import RunningServer

from .meshes import Meshes, new_meshes, noise, tarred

SIZES = (0, 1, 65_535, 65_536, 65_537, 1 << 20, 3_000_000)
HIGHEST = 2**64 - 1


@pytest.mark.parametrize("size", SIZES)
async def test_a_file_comes_back_as_it_was_sent(meshes: Meshes, size: int) -> None:
    data = noise(size, size)
    await meshes.put(HIGHEST, data)
    answer = await meshes.ask("GET", f"supervoxel/{HIGHEST}")
    assert (answer.status, answer.body) == (200, data)
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Length"] == str(size)
    head = await meshes.ask("HEAD", f"supervoxel/{HIGHEST}")
    assert (head.status, head.headers.get("Content-Length", "0")) == (200, str(size))


async def test_a_file_of_unknown_length_is_taken_in_pieces(meshes: Meshes) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for n in range(5):
            yield noise(n, 300_000)

    await meshes.put(7, pieces())
    assert await meshes.get(7) == b"".join(noise(n, 300_000) for n in range(5))


async def test_a_file_replaces_another_whatever_their_sizes(meshes: Meshes) -> None:
    for n, size in enumerate((10, 200_000, 20, 150_000, 0)):
        await meshes.put(1, noise(n, size))
        assert await meshes.get(1) == noise(n, size)
        assert await meshes.exist([1]) == [True]


async def test_a_deleted_file_is_gone_and_deleting_it_again_is_no_error(meshes: Meshes) -> None:
    for size in (10, 200_000):
        await meshes.put(1, noise(1, size))
        for _ in range(2):
            await meshes.api.delete(meshes.path("supervoxel/1"))
            answer = await meshes.ask("GET", "supervoxel/1")
            assert answer.status == 404 and "not found" in answer.text
            assert await meshes.exist([1]) == [False]


BAD_IDS = ("0", "-1", "1.5", "x", str(2**64), "+1", "1_0", "%20", "%EF%BC%91", "9" * 5000, "0x1", "00")


@pytest.mark.parametrize("text", BAD_IDS)
async def test_ids_that_are_none_are_refused(meshes: Meshes, text: str) -> None:
    for method in ("GET", "POST", "DELETE", "HEAD"):
        assert (await meshes.ask(method, f"supervoxel/{text}")).status == 400
    for word in ("tarfile", "missing"):
        assert (await meshes.ask("GET", f"{word}/{text}")).status == 400


async def test_zeros_may_come_before_an_id(meshes: Meshes) -> None:
    await meshes.put(18, b"x")
    assert await meshes.api.get(meshes.path("supervoxel/00018")) == b"x"


async def test_exists_answers_in_the_order_asked(meshes: Meshes) -> None:
    ids = list(range(1, 6000, 7))
    await meshes.load(tarred([(f"{n}.drc", b"%d" % n) for n in ids]))
    there = set(ids)
    asked = [*range(6100, 0, -1), 7, 8, 8, 0, HIGHEST]
    assert await meshes.exist(asked) == [n in there for n in asked]
    assert await meshes.exist([]) == []
    assert await meshes.api.get(meshes.path("exists"), body=b"null") == []


async def test_the_hash_of_a_list_is_checked(meshes: Meshes) -> None:
    body = b"[1, 2, 3]"
    good = hashlib.md5(body).hexdigest()
    assert await meshes.api.get(meshes.path(f"exists?hash={good}"), body=body) == [False] * 3
    assert (await meshes.ask("GET", f"exists?hash={good[::-1]}", body)).status == 400


BAD_LISTS = (
    b"", b"{}", b"[", b"[-1]", b"[1.5]", b'["1"]', b"[18446744073709551616]", b"[[1]]", b"[true]", b"[null]",
    b"[" * 100_000, b"[1" + b"0" * 5000 + b"]", b"7", b"[1] [2]",
)  # fmt: skip


@pytest.mark.parametrize("body", BAD_LISTS, ids=range(len(BAD_LISTS)))
async def test_lists_that_are_none_are_refused(meshes: Meshes, body: bytes) -> None:
    assert (await meshes.ask("GET", "exists", body)).status == 400


# -- extensions


async def test_a_change_of_the_extension_hides_files_and_changing_back_shows_them(meshes: Meshes) -> None:
    await meshes.put(1, b"old")
    await meshes.body(5, [1])
    await meshes.api.post(meshes.path("info"), json={"Extension": "ngmesh"})
    assert (await meshes.api.get(meshes.path("info")))["Extended"] == {"Extension": "ngmesh"}
    assert await meshes.get(1) is None and await meshes.exist([1]) == [False] and await meshes.missing(5) == [1]
    await meshes.put(1, b"new")
    assert await meshes.tar(5) == {"1.ngmesh": b"new"}
    await meshes.api.post(meshes.path("info"), json={"extension": ".drc"})
    assert await meshes.tar(5) == {"1.drc": b"old"}


@pytest.mark.parametrize("engine", ["rocksdb"])
async def test_a_changed_extension_is_that_of_all_versions_and_survives_a_restart(server: RunningServer) -> None:
    meshes = await new_meshes(server, versioned="true")
    child = await meshes.child()
    await server.post(child.path("info"), json={"Extension": "swc"})
    await server.restart()
    for place in (meshes, child):
        assert (await server.get(place.path("info")))["Extended"] == {"Extension": "swc"}


BAD_EXTENSIONS = ("", ".", "a/b", "a b", "ü", "a\x00", "x" * 61, "\n")


@pytest.mark.parametrize("extension", BAD_EXTENSIONS)
async def test_extensions_that_no_file_can_have_are_refused(meshes: Meshes, extension: str) -> None:
    answer = await meshes.ask("POST", "info", json={"Extension": extension})
    assert answer.status == 400 and "Extension" in answer.text
    body = {"typename": "tarsupervoxels", "dataname": "other", "Extension": extension}
    answer = await meshes.api.ask("POST", f"/api/repo/{meshes.uuid}/instance", json=body)
    assert answer.status == 400 and "Extension" in answer.text
    assert (await meshes.api.get(meshes.path("info")))["Extended"] == {"Extension": "drc"}


@pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b'{"Extension": 3}', b"null", b""])
async def test_an_info_without_an_extension_is_refused(meshes: Meshes, body: bytes) -> None:
    assert (await meshes.ask("POST", "info", body)).status == 400


async def test_a_dot_before_the_extension_is_dropped(server: RunningServer) -> None:
    meshes = await new_meshes(server, ".tar.gz")
    await meshes.load(tarred({"4.tar.gz": b"x"}))
    await meshes.body(1, [4, 5])
    assert await meshes.tar(1) == {"4.tar.gz": b"x", "5.missing": b""}
    assert (await server.get(meshes.path("info")))["Extended"] == {"Extension": "tar.gz"}


# -- versions


async def test_files_are_one_for_all_versions_and_branches(server: RunningServer) -> None:
    for versioned in ("true", "false"):
        meshes = await new_meshes(server, versioned=versioned)
        child = await meshes.child()
        side = Meshes(server, await server.branch(meshes.uuid, "side"))
        await child.put(1, b"a" * 100_000)
        await side.load(tarred({"2.drc": b"b"}))
        for place in (meshes, child, side):
            assert [await place.get(1), await place.get(2)] == [b"a" * 100_000, b"b"]
        await side.api.delete(side.path("supervoxel/1"))
        assert await meshes.exist([1, 2]) == await child.exist([1, 2]) == [False, True]


async def test_committed_versions_refuse_changes_only_if_the_instance_is_versioned(server: RunningServer) -> None:
    meshes = await new_meshes(server, versioned="true")
    await meshes.put(1, b"x")
    child = await meshes.child()
    for method, end, body in (
        ("POST", "supervoxel/1", b"y"),
        ("DELETE", "supervoxel/1", b""),
        ("POST", "load", tarred({"1.drc": b"y"})),
        ("POST", "info", b'{"Extension": "obj"}'),
    ):
        answer = await meshes.ask(method, end, body)
        assert answer.status == 400 and "committed" in answer.text
        assert await meshes.get(1) == b"x"
        await server.ask(method, meshes.path(f"{end}?admintoken=secret"), body)
        await server.post(child.path("info"), json={"Extension": "drc"})
        await child.put(1, b"x")
    free = await new_meshes(server, versioned="false")
    await free.child()
    await free.put(1, b"y")
    assert await free.get(1) == b"y"


async def test_no_log_of_mutations_is_kept(meshes: Meshes) -> None:
    await meshes.put(1, b"x")
    assert await meshes.api.get(meshes.path("mutations")) == []


async def test_of_posts_at_once_one_wins_whole(meshes: Meshes) -> None:
    files = [noise(n, 70_000 + n) for n in range(12)]
    await asyncio.gather(*(meshes.put(1, data) for data in files))
    assert await meshes.get(1) in files


async def test_settings_must_name_the_extension(server: RunningServer) -> None:
    uuid = await server.repo()
    body = json.dumps({"typename": "tarsupervoxels", "dataname": "m"})
    answer = await server.ask("POST", f"/api/repo/{uuid}/instance", body)
    assert answer.status == 400 and "Extension" in answer.text
