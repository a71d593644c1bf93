"""Loading a tar: all of its files or none, from any writer of tars, and nothing that a tar claims is believed."""

from __future__ import annotations

import asyncio
import gzip
import io
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import psutil  # type: ignore[import-untyped]
import pytest
from dvid_tarsupervoxels import loads, uploads
from hypothesis import given, settings
from hypothesis import strategies as st

from dvid_core.testing.fixtures import RunningServer
from dvid_core.testing.process import process_of

from .meshes import Meshes, noise, tarred

FORMS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
async def test_all_forms_of_tar_are_taken(meshes: Meshes, form: int) -> None:
    files = {n: noise(n, n * n % 200_000) for n in range(1, 400)}
    await meshes.load(tarred([(f"{n}.drc", data) for n, data in files.items()], form))
    for n in (1, 2, 256, 257, 399):
        assert await meshes.get(n) == files[n]
    assert all(await meshes.exist(list(files)))


async def test_attributes_that_writers_add_do_no_harm(meshes: Meshes) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "ü"}) as tar:
        for n in (1, 2):
            info = tarfile.TarInfo(f"{n}.drc")
            info.size, info.mtime, info.uname = 3, 1.5, "ü" * 40
            info.pax_headers = {"SCHILY.xattr.user.x": "y" * 1000}
            tar.addfile(info, io.BytesIO(b"abc"))
    await meshes.load(out.getvalue())
    assert [await meshes.get(1), await meshes.get(2)] == [b"abc"] * 2


async def test_an_empty_body_and_an_empty_tar_store_nothing(meshes: Meshes) -> None:
    await meshes.load(b"")
    await meshes.load(tarred({}))
    await meshes.load(bytes(512))
    assert await meshes.exist([1]) == [False]


async def test_a_load_replaces_what_was_there(meshes: Meshes) -> None:
    await meshes.put(1, b"a" * 100_000)
    await meshes.put(2, b"b")
    await meshes.load(tarred({"1.drc": b"c", "3.drc": b"d"}))
    assert [await meshes.get(n) for n in (1, 2, 3)] == [b"c", b"b", b"d"]


BAD_NAMES = (
    "200.dat", "mesh.drc", "200", "sub/200.drc", "0.drc", "./200.drc", "/200.drc", "200.drc.gz", "200.DRC", ".drc",
    "-1.drc", "18446744073709551616.drc", "+2.drc", "1_0.drc", "\uff11.drc", "200.", "2 .drc", "200.drc ",
    "9" * 90 + ".drc", "9" * 900 + ".drc",
)  # fmt: skip


@pytest.mark.parametrize("name", BAD_NAMES, ids=range(len(BAD_NAMES)))
async def test_a_file_with_another_name_is_refused_by_name(meshes: Meshes, name: str) -> None:
    await meshes.refused(tarred([("7.drc", b"good"), (name, b"bad"), ("8.drc", b"good")]), "file 2")
    assert await meshes.exist([7, 8, 200]) == [False] * 3


KINDS = {
    "hard link": tarfile.LNKTYPE, "symbolic link": tarfile.SYMTYPE, "folder": tarfile.DIRTYPE,
    "device": tarfile.CHRTYPE, "fifo": tarfile.FIFOTYPE, "sparse": tarfile.GNUTYPE_SPARSE, "unknown": b"Z",
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
async def test_only_plain_files_are_taken(meshes: Meshes, kind: bytes) -> None:
    info = tarfile.TarInfo("8.drc")
    info.type, info.linkname = kind, "/etc/passwd"
    tar = tarred({"7.drc": b"x"})[:1024] + info.tobuf(tarfile.GNU_FORMAT) + bytes(1024)
    await meshes.refused(tar)
    assert await meshes.exist([7, 8]) == [False, False]


async def test_two_files_of_one_supervoxel_are_refused(meshes: Meshes) -> None:
    await meshes.refused(tarred([("7.drc", b"x"), ("8.drc", b"y"), ("007.drc", b"z")]), "supervoxel 7")
    assert await meshes.exist([7, 8]) == [False, False]


async def test_a_tar_that_is_cut_off_anywhere_is_refused(meshes: Meshes) -> None:
    tar = tarred([("7.drc", noise(1, 1000)), ("8.drc", noise(2, 70_000)), ("9.drc", b"")])
    end = tar.index(b"9.drc") + 512
    for length in (1, 511, 512, 700, 1536, 2000, 2048, 2049, 2600, 60_000, end - 512, end - 1, end, end + 511):
        await meshes.refused(tar[:length])
    assert await meshes.exist([7, 8, 9]) == [False] * 3
    await meshes.load(tar[: end + 512])
    assert all(await meshes.exist([7, 8, 9]))


async def test_what_is_no_tar_is_refused(meshes: Meshes) -> None:
    for body in (b"x", b"this is not a tar file" * 100, noise(1, 5000), gzip.compress(tarred({"1.drc": b""}))):
        await meshes.refused(body, "no tar")


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.type = kind
    raw = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    raw[124:136] = tarfile.itn(size, 12, tarfile.GNU_FORMAT)  # type: ignore[attr-defined]
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\x00 " % sum(raw)
    return bytes(raw)


@pytest.mark.parametrize("size", [513, 2**33, 2**62, 2**63, 2**64, 2**80, -1, -512, -(2**40)])
@pytest.mark.parametrize("kind", [b"0", b"x", b"g", b"L", b"K", b"S"])
async def test_sizes_that_are_merely_claimed_are_refused_at_no_cost(
    server: RunningServer, meshes: Meshes, size: int, kind: bytes
) -> None:
    before = psutil.Process().memory_info().rss
    for first in (b"", tarred({"6.drc": b"good"})[:1024]):
        await meshes.refused(first + header("7.drc", size, kind) + b"a" * 512)
    assert psutil.Process().memory_info().rss - before < 32 << 20
    assert await meshes.exist([6, 7]) == [False, False]


async def test_headers_without_end_are_refused(meshes: Meshes) -> None:
    pax = header("x", 512, b"x") + (b"512 a=" + b"b" * 505 + b"\n")
    await meshes.refused(pax * 2000, "header")
    sparse = bytearray(header("7.drc", 0, b"S"))
    sparse[482] = 1
    sparse[148:156] = b" " * 8
    sparse[148:156] = b"%06o\x00 " % sum(sparse)
    await meshes.refused(bytes(sparse) + (b"1" * 504 + b"\x01" + bytes(7)) * 10_000, "header")
    spread = [
        header("x", 512, b"g") + (b"19 k%010d=v\n" % n).ljust(512, b"\n") + header(f"{n}.drc", 0) for n in range(1, 300)
    ]
    await meshes.refused(b"".join(spread) + bytes(1024))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_broken_tars_are_refused_and_never_an_error_of_the_server(data: st.DataObject) -> None:
    tar = bytearray(tarred([("7.drc", b"x" * 600), ("8.drc", b"y")], data.draw(st.sampled_from(list(FORMS.values())))))
    for _ in range(data.draw(st.integers(1, 4))):
        tar[data.draw(st.integers(0, len(tar) - 1))] = data.draw(st.integers(0, 255))
    tar = tar[: data.draw(st.integers(0, len(tar)))]

    class Held(uploads.Upload):
        def __init__(self) -> None:
            self._file, self._held, self.size = None, bytearray(tar), len(tar)

    try:
        found = list(uploads._files(Held(), "drc")) if tar else []
    except uploads.BadRequest:
        return
    for supervoxel, start, size in found:
        assert 1 <= supervoxel < 2**64 and 0 <= start <= start + size <= len(tar)


async def test_a_limit_on_the_number_of_files_is_told(meshes: Meshes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "FILES", 3)
    await meshes.refused(tarred([(f"{n}.drc", b"") for n in range(1, 5)]), "several requests")
    monkeypatch.setattr(loads, "LARGE", 1)
    await meshes.refused(tarred([(f"{n}.drc", bytes(70_000)) for n in range(1, 3)]), "at most 1")


# -- loads that are more than one commit


FEW = [(f"{n}.drc", noise(n, 300 + n)) for n in range(1, 60)]


async def test_many_small_files_are_loaded_in_steps(meshes: Meshes, monkeypatch: pytest.MonkeyPatch) -> None:
    for together, count in ((1000, 7), (1, 1), (10_000, 10_000), (10_000, 1)):
        monkeypatch.setattr(loads, "TOGETHER", together)
        monkeypatch.setattr(loads, "COUNT", count)
        files = [(name, b"%d" % count + data) for name, data in FEW]
        await meshes.load(tarred([*files, ("99.drc", bytes(100_000)), ("98.drc", b"")]))
        for name, data in files:
            assert await meshes.get(int(name[:-4])) == data
        assert await meshes.get(99) == bytes(100_000) and await meshes.get(98) == b""


@pytest.mark.parametrize("engine", ["rocksdb"])
async def test_a_load_that_a_stop_cuts_short_is_finished_at_the_next_start(
    server: RunningServer, meshes: Meshes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cut(*_: object) -> None:
        raise RuntimeError("the server stops here")

    moved = 0
    real = loads._move

    async def twice(*args: object) -> None:
        nonlocal moved
        moved += 1
        await (real if moved < 3 else cut)(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(loads, "COUNT", 10)
    monkeypatch.setattr(loads, "_move", twice)
    assert (await meshes.ask("POST", "load", tarred(FEW))).status == 500
    assert sum(await meshes.exist(list(range(1, 60)))) == 20
    await meshes.put(1, b"later")
    monkeypatch.setattr(loads, "_move", real)
    await server.restart()
    assert await meshes.get(1) == b"later"
    assert [await meshes.get(int(name[:-4])) for name, _ in FEW[1:]] == [data for _, data in FEW[1:]]
    await server.restart()
    await meshes.api.delete(meshes.path("supervoxel/30"))
    await server.restart()
    assert await meshes.get(30) is None


async def test_a_client_that_leaves_in_the_middle_of_a_tar_stores_nothing(meshes: Meshes) -> None:
    tar = tarred([(f"{n}.drc", bytes(100_000)) for n in range(1, 40)])

    async def pieces() -> AsyncIterator[bytes]:
        yield tar[:2_000_000]
        raise ConnectionError

    with pytest.raises((aiohttp.ClientError, ConnectionError)):
        await meshes.ask("POST", "load", pieces())
    assert not any(await meshes.exist(list(range(1, 40))))


async def test_loads_at_once_are_each_whole(meshes: Meshes) -> None:
    async def load(k: int) -> None:
        await meshes.load(tarred([(f"{n}.drc", b"%d" % k * n) for n in range(1, 100)]))

    await asyncio.gather(*(load(k) for k in range(1, 7)))
    first = await meshes.get(1)
    assert first is not None
    assert [await meshes.get(n) for n in range(1, 100)] == [first * n for n in range(1, 100)]


async def test_acknowledged_loads_survive_a_kill_and_others_are_whole_or_absent(tmp_path: Path) -> None:
    async with process_of(tmp_path, plugins=["dvid_tarsupervoxels"]) as process:
        uuid = await process.repo()
        place = await process.instance(uuid, "meshes", "tarsupervoxels", Extension="drc", versioned="false")
        done: set[int] = set()
        enough = asyncio.Event()

        def files(k: int) -> list[tuple[str, bytes]]:
            return [(f"{10_000 * k + n}.drc", b"%d" % k * 10) for n in range(3000)] + [
                (f"{10_000 * k + 5000}.drc", bytes(200_000))
            ]

        async def load(client: int) -> None:
            for k in range(client * 1000 + 1, client * 1000 + 1000):
                try:
                    await process.post(f"{place}/load", tarred(files(k)))
                except (aiohttp.ClientError, OSError, AssertionError, RuntimeError):
                    return
                done.add(k)
                if len(done) > 6:
                    enough.set()

        clients = [asyncio.ensure_future(load(c)) for c in range(3)]
        await enough.wait()
        await process.kill()
        await asyncio.gather(*clients)
        await process.start()
        for k in [c * 1000 + n for c in range(3) for n in range(1, 30)]:
            found = await process.get(f"{place}/exists", json=[int(name[:-4]) for name, _ in files(k)])
            assert all(found) or (not any(found) and k not in done), k
