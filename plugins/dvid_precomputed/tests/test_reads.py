"""Volumes in every encoding, read by every endpoint."""

from __future__ import annotations

import asyncio
import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest

from dvid_core.testing.fixtures import RunningServer

from .conftest import Served
from .volumes import VOLUMES, Array, frames, labels, make_volume, picture, show, smooth

SIZE, BLOCK = (40, 70, 100), (16, 32, 32)
SHARDS = {
    "@type": "neuroglancer_uint64_sharded_v1",
    "hash": "murmurhash3_x86_128",
    "preshift_bits": 1,
    "minishard_bits": 1,
    "shard_bits": 1,
    "data_encoding": "gzip",
    "minishard_index_encoding": "gzip",
}
KINDS = [
    ("raw", smooth(SIZE), "uint8blk", "u1"),
    ("jpeg", smooth(SIZE), "uint8blk", "u1"),
    ("png", smooth(SIZE), "uint8blk", "u1"),
    ("png", smooth(SIZE).astype(np.uint16) * 200, "uint16blk", "<u2"),
    ("raw", smooth(SIZE).astype(np.float32) / 7, "float32blk", "<f4"),
    ("compressed_segmentation", labels(SIZE), "uint64blk", "<u8"),
    ("compressed_segmentation", labels(SIZE).astype(np.uint32), "uint32blk", "<u4"),
]


def same(got: Array, wanted: Array, encoding: str) -> bool:
    """Whether voxels are those that were written; JPEG loses a little."""
    return bool((np.abs(got.astype(float) - wanted) <= (6 if encoding == "jpeg" else 0)).all())


@pytest.mark.parametrize("sharding", [None, SHARDS], ids=["objects", "shards"])
@pytest.mark.parametrize(("encoding", "voxels", "typename", "item"), KINDS, ids=[f"{k[0]}-{k[2]}" for k in KINDS])
async def test_boxes_of_any_alignment_are_read(
    serve: Served, tmp_path: Path, encoding: str, voxels: Array, typename: str, item: str, sharding: object
) -> None:
    ref = await make_volume(tmp_path / "v", voxels, encoding, BLOCK, **({"sharding": sharding} if sharding else {}))
    async with serve(ng={"ref": ref}) as server:
        shown = await show(server, typename=typename, item=item)
        assert same(await shown.raw((0, 0, 0), SIZE), voxels, encoding)
        box = await shown.raw((-3, 30, 90), (50, 35, 40))
        assert same(box[3:43, :, :10], voxels[:, 30:65, 90:], encoding)
        box[3:43, :, :10] = 0
        assert not box.any()
        payloads = frames(await shown.get("subvolblocks/96_64_16/0_0_16?compression=uncompressed"))
        assert sorted(payloads) == [(1, y, x) for y in range(2) for x in range(3)]
        block = np.frombuffer(payloads[1, 1, 2], item).reshape(BLOCK)
        assert same(block, voxels[16:32, 32:64, 64:96], encoding)


async def test_blocks_at_the_far_faces_are_padded_with_0_and_none_are_beyond(serve: Served, tmp_path: Path) -> None:
    for encoding in ("raw", "jpeg"):
        voxels = smooth(SIZE)
        ref = await make_volume(tmp_path / encoding, voxels, encoding, BLOCK)
        async with serve(ng={"ref": ref}) as server:
            shown = await show(server)
            payloads = frames(await shown.get("specificblocks?blocks=3,2,2,4,2,2,3,3,2,3,2,3,-1,0,0,0,0,-1"))
            assert list(payloads) == [(2, 2, 3)]
            data = payloads[2, 2, 3]
            block = picture(data) if encoding == "jpeg" else np.frombuffer(data, np.uint8)
            block = block.reshape(BLOCK)
            assert (np.abs(block[:8, :6, :4].astype(int) - voxels[32:, 64:, 96:]) < 25).all()
            assert block[8:].max() < 25 and block[:8, 14:].max() < 25 and block[:8, :6, 12:].max() < 25
            exact = frames(await shown.get("specificblocks?blocks=3,2,2&compression=uncompressed"))[2, 2, 3]
            assert np.frombuffer(exact, np.uint8).reshape(BLOCK)[8:].max() == 0


async def test_whole_jpegs_are_passed_on_as_they_are(serve: Served, tmp_path: Path) -> None:
    ref = await make_volume(tmp_path / "v", smooth(SIZE), "jpeg", BLOCK, key="s0")
    there = (tmp_path / "v" / "s0" / "32-64_0-32_16-32").read_bytes()
    async with serve(ng={"ref": ref}) as server:
        shown = await show(server)
        for option in ("", "&compression=jpeg"):
            assert frames(await shown.get(f"specificblocks?blocks=1,0,1{option}")) == {(1, 0, 1): there}


async def test_a_jpeg_may_be_of_any_width(serve: Served, tmp_path: Path) -> None:
    from PIL import Image

    voxels = smooth(BLOCK)
    ref = await make_volume(tmp_path / "v", voxels, "jpeg", BLOCK, key="s0")
    chunk = tmp_path / "v" / "s0" / "0-32_0-32_0-16"
    Image.fromarray(voxels.reshape(16, 1024)).save(chunk, "JPEG", quality=100)
    async with serve(ng={"ref": ref}) as server:
        shown = await show(server)
        assert same(await shown.raw((0, 0, 0), BLOCK), voxels, "jpeg")
        assert frames(await shown.get("specificblocks?blocks=0,0,0")) == {(0, 0, 0): chunk.read_bytes()}


async def test_coordinates_count_from_the_first_voxel_whatever_its_offset(serve: Served, tmp_path: Path) -> None:
    voxels = smooth(SIZE)
    ref = await make_volume(tmp_path / "v", voxels, "raw", BLOCK, voxel_offset=(7, -32, 1000))
    async with serve(ng={"ref": ref}) as server:
        shown = await show(server)
        assert (await shown.raw((0, 0, 0), SIZE) == voxels).all()
        info = await shown.info()
        assert (info["MinPoint"], info["MaxPoint"]) == ([0, 0, 0], [99, 69, 39])


async def test_missing_chunks_read_as_0_and_as_background(serve: Served, tmp_path: Path) -> None:
    voxels = smooth(SIZE)
    voxels[:16, :32, 32:64] = 0
    ref = await make_volume(tmp_path / "v", voxels, "raw", BLOCK)
    async with serve(ng={"ref": ref}) as server:
        shown = await show(server, Background="9")
        assert (await shown.raw((0, 0, 0), SIZE) == voxels).all()
        row = np.frombuffer(await shown.get("blocks/0_0_0/5"), np.uint8).reshape(5, *BLOCK)
        assert (row[0] == voxels[:16, :32, :32]).all()
        assert (row[1] == 9).all() and (row[4] == 9).all()
        assert sorted(frames(await shown.get("subvolblocks/128_32_16/0_0_0"))) == [(0, 0, 0), (0, 0, 2), (0, 0, 3)]


async def test_slices_isotropic_and_tilted_planes_are_shown(serve: Served, tmp_path: Path) -> None:
    voxels = smooth(SIZE)
    ref = await make_volume(tmp_path / "v", voxels, "raw", BLOCK, resolution=(8, 8, 8))
    async with serve(ng={"ref": ref}) as server:
        shown = await show(server)
        assert (picture(await shown.get("raw/xy/100_70/0_0_5")) == voxels[5]).all()
        assert (picture(await shown.get("raw/xz/100_40/0_5_0")) == voxels[:, 5]).all()
        assert (picture(await shown.get("isotropic/yz/70_40/9_0_0")) == voxels[:, :, 9]).all()
        tilted = picture(await shown.get("arb/0_0_40/792_0_40/0_552_40/8"))
        assert (tilted == voxels[5]).all()


async def test_compressed_objects_are_unpacked(serve: Served, tmp_path: Path) -> None:
    voxels = smooth(SIZE)
    for suffix in ("", ".gz"):
        place = tmp_path / f"v{suffix}"
        ref = await make_volume(place, voxels, "raw", BLOCK, key="s0")
        for chunk in sorted((place / "s0").iterdir()):
            data = gzip.compress(chunk.read_bytes())
            chunk.unlink()
            (place / "s0" / f"{chunk.name}{suffix}").write_bytes(data)
        async with serve(ng={"ref": ref}) as server:
            shown = await show(server)
            assert (await shown.raw((0, 0, 0), SIZE) == voxels).all()


@pytest.mark.parametrize("encoding", ["raw", "jpeg", "png", "compressed_segmentation"])
async def test_a_damaged_chunk_is_an_error_for_its_own_requests_only(
    serve: Served, tmp_path: Path, encoding: str
) -> None:
    segments = encoding == "compressed_segmentation"
    voxels = labels(SIZE) if segments else smooth(SIZE)
    ref = await make_volume(tmp_path / "v", voxels, encoding, BLOCK, key="s0")
    whole = (tmp_path / "v" / "s0" / "0-32_0-32_0-16").read_bytes()
    bomb = gzip.compress(bytes(64 << 20))
    for damaged in (whole[: len(whole) // 2], b"", b"\xff" * 500, bomb):
        (tmp_path / "v" / "s0" / "0-32_0-32_0-16").write_bytes(damaged)
        async with serve(ng={"ref": ref}) as server:
            shown = await show(
                server, typename="uint64blk" if segments else "uint8blk", item="<u8" if segments else "u1"
            )
            answer = await shown.ask("GET", "raw/0_1_2/8_8_8/0_0_0")
            assert answer.status == 500
            there = await shown.raw((16, 0, 0), (16, 32, 32))
            assert same(there, voxels[16:32, :32, :32], encoding)


async def test_every_version_shows_the_same(server: RunningServer) -> None:
    shown = await show(server, "ng-raw")
    before = await shown.raw((0, 0, 0), (64, 64, 96))
    assert before.any()
    await server.commit(shown.uuid)
    child = await server.newversion(shown.uuid)
    data = await server.get(f"/api/node/{child}/shown/raw/0_1_2/96_64_64/0_0_0")
    assert data == before.tobytes()


async def test_boxes_far_larger_than_the_volume_cost_little(server: RunningServer) -> None:
    shown = await show(server, "ng-raw")
    async with asyncio.timeout(20):
        there = frames(await shown.get("subvolblocks/2147483616_2147483616_1048576/-1073741824_-1073741824_-524288"))
    assert len(there) == 11
    assert (await shown.ask("GET", "raw/0_1_2/100000_100000_100000/0_0_0")).status == 400


async def test_many_readers_at_once(serve: Served, tmp_path: Path) -> None:
    voxels = smooth((64, 128, 128))
    ref = await make_volume(tmp_path / "v", voxels, "raw", (16, 16, 16), sharding=SHARDS)
    async with serve(ng={"ref": ref}) as server:
        shown = await show(server)
        found = await asyncio.gather(*(shown.raw((n, n, n), (32, 64, 64)) for n in range(32)))
        assert all((box == voxels[n : n + 32, n : n + 64, n : n + 64]).all() for n, box in enumerate(found))


async def test_recorded_volumes_may_be_moved_while_the_server_is_down(serve: Served, tmp_path: Path) -> None:
    shutil.copytree(VOLUMES / "raw", tmp_path / "here")
    async with serve("rocksdb", ng={"ref": f"file://{tmp_path / 'here'}"}) as server:
        shown = await show(server)
        before = await shown.raw((0, 0, 0), (64, 64, 96))
    shutil.move(tmp_path / "here", tmp_path / "there")
    async with serve("rocksdb", ng={"ref": f"file://{tmp_path / 'there'}"}) as server:
        shown.api = server
        assert (await shown.raw((0, 0, 0), (64, 64, 96)) == before).all()
