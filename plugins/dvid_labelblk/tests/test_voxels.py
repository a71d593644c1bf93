"""What is written to a labelblk is what is read, in every form."""

from __future__ import annotations

import gzip
import random

import lz4.block  # type: ignore[import-untyped]
import numpy as np
import pytest
import pytest_asyncio

from dvid_core.testing.fixtures import RunningServer
from dvid_voxels.testing.meaning import frames, google, wide_png
from dvid_voxels.testing.volume import Place, Triple, cells, xyz

LOW: Triple = (-48, 32, -96)
SIZE: Triple = (96, 64, 64)
VOXELS = cells(SIZE, seed=4, count=40)
VOXELS[VOXELS > 20] += np.uint64(2**63)


async def new_volume(server: RunningServer, **settings: str) -> Place:
    """An empty labelblk in a new repo."""
    uuid = await server.repo()
    await server.instance(uuid, "seg", "labelblk", **{"BlockSize": "32,16,24", **settings})
    return Place(server, uuid, "seg")


@pytest_asyncio.fixture
async def volume(server: RunningServer) -> Place:
    """One with the voxels."""
    found = await new_volume(server)
    await found.put(LOW, VOXELS)
    return found


async def test_any_box_reads_as_it_was_written_and_zeros_around(volume: Place) -> None:
    around = np.zeros([s + 40 for s in SIZE], np.uint64)
    around[20:-20, 20:-20, 20:-20] = VOXELS
    choose = random.Random(1)
    for _ in range(20):
        low = [choose.randrange(s) for s in around.shape]
        size = [choose.randrange(1, s - o + 1) for s, o in zip(around.shape, low)]
        at = tuple(o + a - 20 for o, a in zip(low, LOW))
        wanted = around[tuple(slice(o, o + s) for o, s in zip(low, size))]
        assert (await volume.get(at, tuple(size)) == wanted).all()  # type: ignore[arg-type]


@pytest.mark.parametrize("compression", ["", "lz4", "gzip"])
async def test_bodies_are_taken_in_every_compression(server: RunningServer, compression: str) -> None:
    volume = await new_volume(server)
    data = VOXELS.tobytes()
    packed = {"": data, "lz4": lz4.block.compress(data, store_size=False), "gzip": gzip.compress(data, 1)}[compression]
    path = f"{volume.path}/raw/0_1_2/{xyz(SIZE)}/{xyz(LOW)}?compression={compression}"
    await server.post(path, packed)
    assert (await volume.get(LOW, SIZE) == VOXELS).all()


async def test_blocks_points_slices_and_googles_form_agree_with_raw(server: RunningServer, volume: Place) -> None:
    size, low = (48, 32, 32), (-24, 48, -64)
    part = VOXELS[24:72, 16:48, 32:64]
    for form in ("lz4", "uncompressed"):
        found = frames(await server.get(f"{volume.path}/blocks/{xyz(size)}/{xyz(low)}?compression={form}"))
        assert list(found) == [(-2, 3, -1), (-2, 4, -1), (-2, 3, 0), (-2, 4, 0)]
        for (_, y, z), payload in found.items():
            data = (
                payload if form == "uncompressed" else lz4.block.decompress(payload, uncompressed_size=8 * 32 * 16 * 24)
            )
            block = np.frombuffer(data, "<u8").reshape(24, 16, 32)
            assert (block == part[24 * (z + 1) :, 16 * (y - 3) :][:24, :16]).all()
    points = [[-64 + x, 48 + y, -24 + z] for z, y, x in ((0, 0, 0), (47, 31, 31), (5, 17, 9))] + [[1000, 0, 0]]
    wanted = [int(part[0, 0, 0]), int(part[47, 31, 31]), int(part[5, 17, 9]), 0]
    answer = await server.ask("GET", f"{volume.path}/labels", json=points)
    assert answer.json() == wanted
    for point, label in zip(points, wanted):
        assert await server.get(f"{volume.path}/label/{'_'.join(map(str, point))}") == {"Label": label}
    image = wide_png(await server.get(f"{volume.path}/raw/xz/32_48/{xyz(low)}"))
    assert (image == part[:, 0, :]).all()
    data = await server.get(f"{volume.path}/raw/0_1_2/{xyz(size)}/{xyz(low)}?compression=google")
    assert (google(data, size[::-1]) == part).all()


async def test_versions_keep_their_blocks(server: RunningServer, volume: Place) -> None:
    await server.post(f"/api/node/{volume.uuid}/commit", json={"note": ""})
    child = Place(server, (await server.post(f"/api/node/{volume.uuid}/newversion", json={}))["child"], "seg")
    block = cells((24, 16, 32), seed=9)
    await child.put((0, 32, 0), block)
    assert (await child.get((0, 32, 0), block.shape) == block).all()  # type: ignore[arg-type]
    assert (await child.get(LOW, SIZE) == VOXELS).all()
    assert (await volume.get((0, 32, 0), block.shape) == 0).all()  # type: ignore[arg-type]
    assert "committed" in await volume.refused("POST", "raw/0_1_2/32_16_24/0_32_0", block.tobytes())


async def test_a_file_of_sections_is_loaded(server: RunningServer) -> None:
    import io

    import tifffile

    volume = await new_volume(server)
    voxels = cells((24, 32, 64), count=200).astype(np.uint16)
    file = io.BytesIO()
    tifffile.imwrite(file, voxels, photometric="minisblack")
    found = await server.post(f"{volume.path}/load/0_16_-24", file.getvalue())
    assert found == {"MinPoint": [0, 16, -24], "MaxPoint": [63, 47, -1]}
    assert (await volume.get((-24, 16, 0), (24, 32, 64)) == voxels).all()


@pytest.mark.parametrize(
    ("method", "path", "body", "named"),
    [
        ("POST", "raw/0_1_2/32_16_24/1_0_0", b"", "offset"),
        ("POST", "raw/0_1_2/32_16_25/0_0_0", b"", "size"),
        ("POST", "raw/0_1_2/32_16_24/0_0_0", b"1", "bytes"),
        ("POST", "raw/0_1_2/32_16_24/0_0_0?compression=google", b"1", "compression"),
        ("POST", "raw/0_1_2/32_16_24/0_0_0?compression=gzip", b"none", "gzip"),
        ("POST", "raw/0_1_2/32_16_24/0_0_0?compression=lz4", b"", "LZ4"),
        ("POST", "raw/0_1_2/32000_16000_24000/0_0_0", b"", "size"),
        ("POST", "raw/0_1_2/32_16_24/2147483616_0_0", b"", "offset"),
        ("POST", "raw/0_1_2/32_16_24/0_0_0?roi=none", b"", "none"),
        ("POST", "isotropic/0_1_2/32_16_24/0_0_0", b"", "isotropic"),
        ("POST", "blocks/32_16_24/0_0_0", b"", "blocks"),
        ("POST", "labels", b"[[1,2,3]]", "labels"),
        ("GET", "raw/0_1_2/0_1_1/0_0_0", None, "size"),
        ("GET", "raw/0_1_2/1_1/0_0_0", None, "size"),
        ("GET", "raw/0_1_2/2000_2000_2000/0_0_0", None, "size"),
        ("GET", "raw/0_1_2/1_1_1/0_0_0?compression=zip", None, "compression"),
        ("GET", "raw/0_1_2/9_8_8/0_0_0?compression=google", None, "size"),
        ("GET", "pseudocolor/0_1_2/8_8_8/0_0_0", None, "plane"),
        ("GET", "blocks/32_16_24", None, "blocks"),
        ("GET", "blocks", None, "blocks"),
        ("GET", "blocks/32_16_23/0_0_0", None, "size"),
        ("GET", "blocks/32_16_24/0_0_0?compression=gzip", None, "compression"),
        ("GET", "label/1_2", None, "point"),
        ("GET", "label/1_2_3_4", None, "point"),
        ("GET", "labels", b"[[1,2]]", "JSON"),
        ("GET", "labels", b"[[1,2,3,4]]", "JSON"),
        ("GET", "labels", b"[[1,2,99999999999]]", "JSON"),
        ("GET", "labels?hash=00", b"[]", "hash"),
        ("POST", "resolution", b"[1,2]", "three"),
        ("POST", "resolution", b"[1,2,0]", "positive"),
        ("POST", "resolution", b"[1,2,1e999]", "JSON"),
        ("POST", "sync", b'{"sync": "seg"}', "seg"),
        ("GET", "sparsevol/1", None, "sparsevol"),
    ],
)
async def test_bad_requests_are_refused_by_name_and_change_nothing(
    server: RunningServer, volume: Place, method: str, path: str, body: bytes | None, named: str
) -> None:
    async with server.unchanged():
        assert named in await volume.refused(method, path, body)
    assert (await volume.get(LOW, SIZE) == VOXELS).all()


async def test_options_of_other_label_volumes_are_ignored(volume: Place) -> None:
    assert (await volume.get(LOW, SIZE, "?scale=3&supervoxels=true&u=me") == VOXELS).all()


async def test_unequal_voxels_make_slices_by_the_nearest(server: RunningServer, volume: Place) -> None:
    await server.post(f"{volume.path}/resolution", json=[4, 4, 8])
    image = wide_png(await server.get(f"{volume.path}/isotropic/xz/40_20/{xyz(LOW)}"))
    rows = np.arange(20) * 10 // 20
    assert (image == VOXELS[:, 0, :][rows][:, :40]).all()


async def test_info_of_an_instance_shows_what_was_asked_for(server: RunningServer) -> None:
    volume = await new_volume(server, Compression="gzip:5", Background="7", MaxDownresLevel="3")
    info = await server.get(f"{volume.path}/info")
    assert info["Base"]["Compression"].startswith("gzip")
    assert info["Extended"]["Background"] == 7 and "MaxDownresLevel" not in info["Extended"]
    assert (await server.post(f"{volume.path}/info", b"{}")) == info
    await volume.put((0, 0, 0), cells((24, 16, 32)))
    assert len(frames(await server.get(f"{volume.path}/blocks/32_16_24/0_0_0"))) == 1
