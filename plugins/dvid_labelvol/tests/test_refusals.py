"""Bad requests are refused with a sentence that names what is wrong, and change nothing."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from dvid_core.testing.fixtures import RunningServer
from dvid_voxels.testing.volume import Array, cells, points_of, sparse

from .pair import Pair, new_pair

LOW = (0, 0, 0)
SIZE = (32, 32, 32)
VOXELS = cells(SIZE, count=6)
FAR = 2**31 - 1


def runs(*rows: tuple[int, int, int, int], number: int | None = None, kind: int = 0) -> bytes:
    """A sparse volume of runs x, y, z, length, or one that claims another number of them."""
    count = len(rows) if number is None else number
    return struct.pack("<4B2I", kind, 3, 0, 0, 0, count) + np.array(rows, "<i4").tobytes()


@pytest_asyncio.fixture
async def pair(server: RunningServer) -> Pair:
    pair = await new_pair(server)
    await pair.seg.put(LOW, VOXELS)
    await pair.rest()
    return pair


async def state(pair: Pair) -> list[Any]:
    """All that clients can see."""
    await pair.rest()
    place = pair.bodies
    answers = [await place.ask("GET", path) for path in ("maxlabel", "nextlabel", "info", "mutations")]
    answers += [await place.ask("GET", f"sparsevol/{label}") for label in range(1, 12)]
    return [(a.status, a.body) for a in answers] + [(await pair.seg.get(LOW, SIZE)).tobytes()]


def voxel(label: int, n: int = 0) -> tuple[int, int, int]:
    """The n-th voxel x, y, z of a label."""
    z, y, x = np.argwhere(label == VOXELS)[n].tolist()
    return x, y, z


SPLITS = [
    b"",
    b"\x00\x03\x00",
    runs(),
    runs((*voxel(2), 1), kind=1),
    runs((*voxel(2), 1), number=2),
    runs((*voxel(2), 1), number=2**32 - 1),
    runs((*voxel(2), 0)),
    runs((*voxel(2), -1)),
    runs((*voxel(2), FAR)),
    runs((*voxel(3), 1)),
    runs((*voxel(2), 1), (*voxel(3), 1)),
    runs((*voxel(2), 1), (*voxel(2), 1)),
    runs((1000, 1000, 1000, 1)),
    runs((-FAR, 0, 0, 1)),
    runs((FAR, FAR, FAR, 1)),
]


@pytest.mark.parametrize("body", SPLITS)
async def test_splits_of_what_is_not_the_label_change_nothing(pair: Pair, body: bytes) -> None:
    before = await state(pair)
    await pair.bodies.refused("POST", "split/2", body)
    await pair.bodies.refused("POST", "split/2?splitlabel=77", body)
    assert await state(pair) == before


COARSE = [
    b"",
    b"\x00" * 11,
    runs(),
    runs((0, 0, 0, 1), kind=2),
    runs((0, 0, 0, 1), number=9),
    runs((9, 9, 9, 1)),
    runs((0, 0, 0, FAR)),
    runs((0, 0, 0, 1), (5, 0, 0, 1)),
    runs((FAR, 0, 0, 1)),
    runs((0, 0, 0, -5)),
]


@pytest.mark.parametrize("body", COARSE)
async def test_coarse_splits_of_blocks_without_the_label_change_nothing(pair: Pair, body: bytes) -> None:
    before = await state(pair)
    await pair.bodies.refused("POST", "split-coarse/2", body)
    assert await state(pair) == before


GOOD = runs((*voxel(2), 1))


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("split/2?splitlabel=x", GOOD, "splitlabel"),
        ("split/2?splitlabel=0", GOOD, "splitlabel"),
        ("split/2?splitlabel=2", GOOD, "splitlabel"),
        ("split/2?splitlabel=18446744073709551616", GOOD, "splitlabel"),
        ("split/2?splitlabel=-1", GOOD, "splitlabel"),
        ("split-coarse/2?splitlabel=1_000", GOOD, "splitlabel"),
        ("split/0", GOOD, "0"),
        ("split/x", GOOD, "label"),
        ("split", GOOD, "label"),
        ("split/99", GOOD, "99"),
        ("split-coarse/99", GOOD, "99"),
        ("split-coarse/18446744073709551616", GOOD, "label"),
        ("merge", b"", "JSON"),
        ("merge", b"[]", "two"),
        ("merge", b"[1]", "two"),
        ("merge", b"[1, 0]", "0"),
        ("merge", b"[0, 1]", "0"),
        ("merge", b"[1, 1]", "itself"),
        ("merge", b"[1, 2.5]", "JSON"),
        ("merge", b'[1, "2"]', "JSON"),
        ("merge", b"[1, 18446744073709551616]", "JSON"),
        ("merge", b"[1, " + b"9" * 5000 + b"]", "JSON"),
        ("merge", b"[" * 100_000, "JSON"),
        ("merge", "[1, \u0662]".encode(), "JSON"),
        ("resync/0", runs((0, 0, 0, 1)), "0"),
        ("resync/2", b"", "bytes"),
        ("resync/2", runs((0, 0, 0, FAR)), "voxels"),
        ("nextlabel/5", b"", "nextlabel"),
        ("maxlabel/5", b"", "maxlabel"),
        ("sync", b"{", "JSON"),
        ("sync", b"[]", "object"),
        ("sync", b'{"sync": 5}', "sync"),
        ("sync", b'{"sync": "nobody"}', "nobody"),
        ("sync", b'{"sync": "bodies"}', "bodies"),
    ],
)
async def test_what_is_wrong_is_named(pair: Pair, path: str, body: bytes, named: str) -> None:
    before = await state(pair)
    assert named in await pair.bodies.refused("POST", path, body)
    assert await state(pair) == before


@pytest.mark.parametrize(
    "path",
    ["sparsevol/0", "sparsevol/-1", "sparsevol/\u0661", "sparsevol/1?minx=1.5", "sparsevol/1?maxz=4294967296",
     "sparsevol/1?miny=", "sparsevol/1?compression=zip", "sparsevol", "sparsevol-size/1", "sparsevol-coarse/0",
     "sparsevol-by-point/1_1", "sparsevol-by-point/a_b_c", "sparsevol-by-point/5000_0_0", "sparsevol-by-point",
     "nothing"],
)  # fmt: skip
async def test_bad_reads_are_refused(pair: Pair, path: str) -> None:
    await pair.bodies.refused("GET", path.encode("utf-8").decode("latin-1") if path.isascii() else "sparsevol/%D9%A1")


@pytest.mark.parametrize(
    "path",
    ["area/2", "area/2/16_16_16", "area/2/15_16_16/0_0_0", "area/2/16_16_16/1_0_0", "area/0/16_16_16/0_0_0",
     "area/2/0_16_16/0_0_0", "area/2/16_16/0_0_0", "area/x/16_16_16/0_0_0"],
)  # fmt: skip
async def test_bad_areas_are_refused(pair: Pair, path: str) -> None:
    before = await state(pair)
    await pair.bodies.refused("DELETE", path)
    assert await state(pair) == before


async def test_an_edit_that_is_too_large_changes_nothing(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    from dvid_labelvol import LabelVol
    from msgspec.structs import replace

    before = await state(pair)
    monkeypatch.setattr(LabelVol, "relabel_rules", replace(LabelVol.relabel_rules, limit=100))
    assert "100 bytes" in await pair.bodies.refused("POST", "merge", b"[1, 2]")
    assert "100 bytes" in await pair.bodies.refused("POST", "split/2", GOOD)
    assert await state(pair) == before


async def test_blocks_of_another_size_cannot_be_followed(server: RunningServer, pair: Pair) -> None:
    await server.instance(pair.uuid, "large", "labelblk", BlockSize="32,32,32")
    assert "large" in await pair.bodies.refused("POST", "sync", b'{"sync": "large"}')
    assert (await server.get(f"{pair.bodies.path}/info"))["Base"]["Syncs"] == ["seg"]


@pytest.mark.parametrize(
    ("setting", "value"),
    [("BlockSize", "32,32"), ("BlockSize", "x"), ("BlockSize", "0,32,32"), ("BlockSize", "20,32,32"),
     ("BlockSize", "1024,1024,1024"), ("VoxelSize", "1,2"), ("VoxelSize", "nan,1,1"), ("BlockSize", 32)],
)  # fmt: skip
async def test_wrong_settings_are_named(server: RunningServer, setting: str, value: Any) -> None:
    uuid = await server.repo()
    for kind in ("labelvol", "labelblk"):
        body = {"typename": kind, "dataname": "data", setting: value}
        answer = await server.ask("POST", f"/api/repo/{uuid}/instance", json=body)
        assert answer.status == 400 and setting in answer.text


async def test_an_area_goes_here_alone_and_resync_brings_it_back(server: RunningServer, pair: Pair) -> None:
    whole = await pair.points(2)
    assert whole is not None
    await server.demand("DELETE", f"{pair.bodies.path}/area/2/16_32_32/16_0_0")
    left = await pair.points(2)
    assert left is not None and np.array_equal(left, whole[whole[:, 2] < 16])
    await pair.rest()
    assert (await pair.seg.get(LOW, SIZE) == VOXELS).all()
    await server.post(f"{pair.bodies.path}/resync/2", runs((1, 0, 0, 1), (1, 1, 0, 1), (1, 0, 1, 1), (1, 1, 1, 1)))
    assert np.array_equal(await pair.points(2), whole)  # type: ignore[arg-type]
    await pair.check(LOW, SIZE)


async def test_a_split_label_raises_the_largest_label(server: RunningServer, pair: Pair) -> None:
    assert await pair.split(2, GOOD, "?splitlabel=5000") == 5000
    assert await server.get(f"{pair.bodies.path}/maxlabel") == {"maxlabel": 5000}
    assert await pair.split(3, runs((*voxel(3), 1))) == 5001


async def test_all_of_a_label_can_be_split_off(pair: Pair) -> None:
    new = await pair.split(4, sparse(_all(4)))
    assert await pair.points(4) is None
    assert np.array_equal(await pair.points(new), _all(4))  # type: ignore[arg-type]
    await pair.check(LOW, SIZE, 4)


def _all(label: int) -> Array:
    found: Array = np.argwhere(label == VOXELS)
    return found


async def test_merges_and_splits_are_in_the_log(server: RunningServer, pair: Pair) -> None:
    await pair.merge(1, 2)
    new = await pair.split(3, runs((*voxel(3), 1)))
    log = await server.get(f"{pair.bodies.path}/mutations")
    assert [(e["Action"], e["Target"], e.get("Labels"), e.get("NewLabel")) for e in log] == [
        ("merge", 1, [2], None),
        ("split", 3, None, new),
    ]


async def test_compressed_replies_hold_the_same(pair: Pair) -> None:
    import gzip

    import lz4.block  # type: ignore[import-untyped]

    plain = (await pair.bodies.ask("GET", "sparsevol/2")).body
    assert gzip.decompress((await pair.bodies.ask("GET", "sparsevol/2?compression=gzip")).body) == plain
    packed = (await pair.bodies.ask("GET", "sparsevol/2?compression=lz4")).body
    assert lz4.block.decompress(packed, uncompressed_size=len(plain)) == plain
    empty = (await pair.bodies.ask("GET", "sparsevol/2?minx=900&compression=gzip")).body
    assert len(points_of(gzip.decompress(empty))) == 0
