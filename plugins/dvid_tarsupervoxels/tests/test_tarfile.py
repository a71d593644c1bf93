"""The tar of a body, what is missing, and that they follow the synced labels."""

from __future__ import annotations

import io
import tarfile

import psutil  # type: ignore[import-untyped]
import pytest
from dvid_tarsupervoxels.tars import head

from dvid_core.testing.fixtures import RunningServer

from .meshes import Meshes, new_meshes, noise, tarred, untarred

SIZES = (0, 1, 511, 512, 513, 65_536, 65_537, 1_048_576, 1_500_000)


async def test_a_tar_has_each_supervoxel_once_with_its_file_or_as_missing(meshes: Meshes) -> None:
    files = {n: noise(n, size) for n, size in enumerate(SIZES, 2**63)}
    for n, data in files.items():
        await meshes.put(n, data)
    absent = [3, 2**64 - 1, 2**40]
    await meshes.body(9, sorted([*files, *absent]))
    wanted = {f"{n}.drc": data for n, data in files.items()} | {f"{n}.missing": b"" for n in absent}
    assert await meshes.tar(9) == wanted
    assert await meshes.missing(9) == sorted(absent)
    assert not await meshes.complete(9)
    for n in absent:
        await meshes.put(n, b"")
    assert await meshes.complete(9) and await meshes.missing(9) == []
    assert (await meshes.tar(9)).keys() == {f"{n}.drc" for n in (*files, *absent)}


async def test_a_body_of_ten_thousand_supervoxels(meshes: Meshes) -> None:
    ids = list(range(1, 30_000, 3))
    await meshes.load(tarred([(f"{n}.drc", b"%d" % n * (n % 50)) for n in ids]))
    await meshes.body(4, [*ids, 30_001])
    tar = await meshes.tar(4)
    assert len(tar) == len(ids) + 1
    assert all(tar[f"{n}.drc"] == b"%d" % n * (n % 50) for n in ids)
    assert await meshes.missing(4) == [30_001]


async def test_unknown_bodies_are_refused(meshes: Meshes) -> None:
    await meshes.body(2, [])
    for label in (1, 2):
        for method, word in (("GET", "tarfile"), ("HEAD", "tarfile"), ("GET", "missing")):
            answer = await meshes.ask(method, f"{word}/{label}")
            assert answer.status == 400
            assert method == "HEAD" or f"label {label}" in answer.text


async def test_bodies_are_those_of_the_version_asked(server: RunningServer) -> None:
    for versioned in ("true", "false"):
        old = await new_meshes(server, versioned=versioned)
        await old.load(tarred({f"{n}.drc": b"%d" % n for n in (1, 2, 3)}))
        await old.body(1, [1, 2, 3])
        new = await old.child()
        await new.body(1, [1, 2])
        await new.body(7, [3, 4])
        assert (await old.tar(1)).keys() == {"1.drc", "2.drc", "3.drc"}
        assert (await new.tar(1)).keys() == {"1.drc", "2.drc"}
        assert (await new.tar(7)).keys() == {"3.drc", "4.missing"}
        assert (await old.ask("GET", "tarfile/7")).status == 400
        prefix = Meshes(server, new.uuid[:12])
        assert (await prefix.tar(1)).keys() == {"1.drc", "2.drc"}


async def test_without_a_sync_to_labels_tars_are_refused(server: RunningServer) -> None:
    meshes = await new_meshes(server, sync="")
    await meshes.body(1, [1])
    await server.instance(meshes.uuid, "deaf", "deaf")
    for sync in ("", "deaf"):
        await server.post(meshes.path("sync"), json={"sync": sync})
        for word in ("tarfile/1", "missing/1"):
            answer = await meshes.ask("GET", word)
            assert answer.status == 400 and "sync" in answer.text
        assert not await meshes.complete(1)
    await server.post(meshes.path("sync"), json={"sync": "seg"})
    assert await meshes.missing(1) == [1]
    await server.post(meshes.path("sync?replace=true"), json={"sync": ""})
    assert (await meshes.ask("GET", "missing/1")).status == 400


async def test_other_methods_of_tarfile_are_refused(meshes: Meshes) -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert (await meshes.ask(method, "tarfile/1")).status == 400


async def test_a_tar_far_larger_than_memory_may_grow_is_streamed(meshes: Meshes) -> None:
    piece = noise(1, 4_000_000)
    for n in range(1, 61):
        await meshes.put(n, piece + b"%d" % n)
    await meshes.body(1, range(1, 61))
    process = psutil.Process()
    idle, peak, size = process.memory_info().rss, 0, 0
    async with meshes.api.client.get(meshes.api.url + meshes.path("tarfile/1")) as reply:
        async for some in reply.content.iter_any():
            size += len(some)
            peak = max(peak, process.memory_info().rss - idle)
    assert size > 240_000_000
    assert peak < 64 << 20


@pytest.mark.parametrize("name", ["1.drc", "18446744073709551615.missing", "x" * 99, "x" * 100, "x" * 300])
@pytest.mark.parametrize("size", [0, 1, 511, 8**11 - 1, 8**11, 2**40])
def test_a_header_is_the_one_that_tarfile_makes(name: str, size: int) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o755
    assert head(name, size) == info.tobuf(tarfile.GNU_FORMAT)


async def test_a_tar_can_be_loaded_into_another_instance(meshes: Meshes) -> None:
    files = {n: noise(n, 1000 * n) for n in range(1, 100)}
    await meshes.load(tarred([(f"{n}.drc", data) for n, data in files.items()]))
    await meshes.body(1, files)
    tar = (await meshes.ask("GET", "tarfile/1")).body
    other = await new_meshes(meshes.api)
    await other.load(tar)
    assert await other.exist(list(files)) == [True] * len(files)
    with tarfile.open(fileobj=io.BytesIO(tar)) as read:
        assert len(read.getnames()) == len(files) == len(untarred(tar))
