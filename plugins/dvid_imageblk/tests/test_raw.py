"""Boxes of voxels: written, read, refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import psutil  # type: ignore[import-untyped]
import pytest

from dvid_core import Mutation, View
from dvid_core.testing import Api
from dvid_core.testing.fixtures import RunningServer

from .images import ITEMS, Array, Images, Triple, new_images, noise, xyz

BLOCK = (4, 8, 16)


def world() -> Array:
    """Voxels from -40 to 39 on each axis, 0."""
    return np.zeros((80, 80, 80), np.uint8)


def part(array: Array, low: Triple, size: Triple) -> Array:
    z, y, x = (slice(o + 40, o + 40 + s) for o, s in zip(low, size))
    return array[z, y, x]


def somewhere(rng: np.random.Generator) -> tuple[Triple, Triple]:
    """A box in the world: its first corner and its size."""
    z, y, x = rng.integers(-40, 36, 3).tolist()
    return (z, y, x), (int(rng.integers(1, 41 - z)), int(rng.integers(1, 41 - y)), int(rng.integers(1, 41 - x)))


@pytest.mark.parametrize("typename", ITEMS)
async def test_what_is_written_is_read(server: RunningServer, typename: str) -> None:
    images = await new_images(server, typename)
    voxels = noise((8, 16, 32), images.item)
    await images.put((4, -8, 16), voxels)
    assert (await images.get((4, -8, 16), (8, 16, 32))).tobytes() == voxels.tobytes()
    assert (await images.get((6, -3, 20), (5, 9, 21))).tobytes() == voxels[2:7, 5:14, 4:25].tobytes()
    assert not (await images.get((100, 0, 0), (2, 2, 2))).view("u1").any()


async def test_boxes_of_any_place_and_size_are_read(gray: Images) -> None:
    everything = world()
    for seed, (low, size) in enumerate(
        [((-8, -16, -32), (16, 16, 48)), ((4, 0, 0), (8, 24, 16)), ((20, 24, -16), (4, 8, 16))]
    ):
        voxels = noise(size, seed=seed)
        part(everything, low, size)[:] = voxels
        await gray.put(low, voxels)
    rng = np.random.default_rng(5)
    for _ in range(60):
        low, size = somewhere(rng)
        assert (await gray.get(low, size) == part(everything, low, size)).all(), (low, size)


async def test_boxes_that_cut_blocks_are_written_when_that_is_asked_for(gray: Images) -> None:
    everything = world()
    rng = np.random.default_rng(6)
    for seed in range(12):
        low, size = somewhere(rng)
        voxels = noise(size, seed=seed)
        part(everything, low, size)[:] = voxels
        await gray.put(low, voxels, "?unaligned=true")
    assert (await gray.get((-40, -40, -40), (80, 80, 80)) == everything).all()


async def test_writers_of_one_block_keep_one_anothers_voxels(gray: Images) -> None:
    voxels = noise((4, 8, 16))
    await asyncio.gather(
        *(
            gray.put((z, y, 0), voxels[z : z + 1, y : y + 2], "?unaligned=true")
            for z in range(4)
            for y in range(0, 8, 2)
        )
    )
    assert (await gray.get((0, 0, 0), (4, 8, 16)) == voxels).all()
    assert await gray.extents() == ((0, 0, 0), (3, 7, 15))


async def test_a_large_box_is_written_and_read_in_steps(server: RunningServer) -> None:
    images = await new_images(server, "uint16blk", "64,32,16")
    voxels = noise((48, 256, 512), "<u2")
    await images.put((-16, 0, 64), voxels)
    assert (await images.get((-16, 0, 64), (48, 256, 512)) == voxels).all()
    assert (await images.get((-15, 3, 60), (46, 253, 514)))[:, :, 4:].tobytes() == voxels[1:47, 3:, :510].tobytes()


async def test_a_layer_too_large_for_memory_goes_through_a_file(server: RunningServer) -> None:
    images = await new_images(server, block="64,64,64")
    voxels = noise((64, 768, 832))
    await images.put((0, 0, 0), voxels)
    assert (await images.get((0, 0, 0), (64, 768, 832)) == voxels).all()
    assert (await images.get((1, 1, 1), (63, 767, 831)) == voxels[1:, 1:, 1:]).all()


async def test_a_body_without_length_is_taken(gray: Images) -> None:
    voxels = noise((8, 16, 32))

    async def pieces(data: bytes) -> AsyncIterator[bytes]:
        for at in range(0, len(data), 700):
            yield data[at : at + 700]

    path = f"raw/0_1_2/{xyz(voxels.shape)}/0_0_0"
    for wrong in (voxels.tobytes()[:-1], voxels.tobytes() + b"\x00"):
        assert "4096 bytes" in await gray.refused("POST", path, pieces(wrong))
    assert await gray.extents() is None
    assert not (await gray.get((0, 0, 0), (8, 16, 32))).any()
    assert (await gray.ask("POST", path, pieces(voxels.tobytes()))).status == 200
    assert (await gray.get((0, 0, 0), (8, 16, 32)) == voxels).all()


@pytest.mark.parametrize("name", ["vol", "VOL", "0,1,2", "0_1_2"])
async def test_a_box_has_many_names(gray: Images, name: str) -> None:
    await gray.put((0, 0, 0), noise((4, 8, 16)))
    for form in ("", "/", "/nD", "/octet-stream", "/jpg:50"):
        answer = await gray.ask("GET", f"raw/{name}/16_8_4/0_0_0{form}")
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.body == noise((4, 8, 16)).tobytes()


async def test_head_tells_the_length(gray: Images) -> None:
    for size in ("2_3_4", "300_300_300"):
        answer = await gray.ask("HEAD", f"raw/0_1_2/{size}/0_0_0")
        wanted = np.prod([int(n) for n in size.split("_")])
        assert (answer.status, answer.headers["Content-Length"], answer.body) == (200, str(wanted), b"")


BAD_READS = {
    "raw": "plane",
    "raw/xy": "size",
    "raw/xy/4_3": "offset",
    "raw/zz/4_3/0_0_0": "plane",
    "raw/2_1/4_3/0_0_0": "plane",
    "raw/0_1_2/4_3/0_0_0": "size",
    "raw/xy/4_3_2/0_0_0": "size",
    "raw/0_1_2/4_3_0/0_0_0": "size",
    "raw/0_1_2/4_3_-1/0_0_0": "size",
    "raw/0_1_2/4_3_a/0_0_0": "size",
    "raw/0_1_2/4_3_2/0_0": "offset",
    "raw/0_1_2/4_3_2/1.5_0_0": "offset",
    "raw/0_1_2/4_3_2/0_0_2147483646": "offset",
    "raw/0_1_2/2000_2000_2000/0_0_0": "size",
    "raw/xy/100000_100000/0_0_0": "size",
    "raw/xy/4_3/0_0_0/gif": "format",
    "raw/xy/4_3/0_0_0/jpg:x": "format",
    "raw/xy/70000_3/0_0_0/jpg": "size",
    "raw/0_1_2/4_4_4/0_0_0?roi=none": "none",
    "raw/0_1_2/4_4_4/0_0_0?roi=images": "RoiMask",
    "raw/0_1_2/64_1024_1024/0_0_0/jpeg": "size",
    "isotropic/xy/4_3": "offset",
    "isotropic/xy/4_3/0_0_0/gif": "format",
}


@pytest.mark.parametrize("path", BAD_READS)
async def test_a_bad_read_is_refused_naming_the_field(gray: Images, path: str) -> None:
    assert BAD_READS[path] in await gray.refused("GET", path)


BOX = "raw/0_1_2/16_8_4"
BAD_WRITES = [
    (f"{BOX}/1_0_0", 512, "offset"),
    (f"{BOX}/0_0_-1", 512, "offset"),
    ("raw/0_1_2/16_8_3/0_0_0", 384, "size"),
    ("raw/0_1_2/20_8_4/0_0_0", 640, "size"),
    (f"{BOX}/0_0_0", 511, "511 bytes"),
    (f"{BOX}/0_0_0", 513, "513 bytes"),
    (f"{BOX}/0_0_0", 0, "0 bytes"),
    ("raw/xy/16_8/0_0_0", 128, "plane"),
    ("raw/0_1_2/16_8_4000000/0_0_0", 512, "512 bytes"),
    ("raw/0_1_2/65536_65536_4/0_0_0", 512, "size"),
    (f"{BOX}/0_0_0?roi=none", 512, "none"),
    ("isotropic/0_1_2/16_8_4/0_0_0", 512, "POST"),
    ("specificblocks", 0, "POST"),
    ("subvolblocks/16_8_4/0_0_0", 512, "POST"),
    ("nosuch", 0, "nosuch"),
    ("raw/0_1_2/16_8_4", 512, "offset"),
    ("blocks/0_0_0/2", 1023, "1023 bytes"),
    ("blocks/0_0_0/-1", 512, "span"),
    ("blocks/0_0/1", 512, "block"),
    ("blocks/0_0_0", 512, "span"),
    ("blocks/0_0_0/x", 512, "span"),
    ("blocks/0_0_0/99999999999", 512, "size"),
    ("blocks/2147483647_0_0/1", 512, "offset"),
    ("extents", 3, "JSON"),
    ("extents", 0, "JSON"),
    ("resolution", 3, "JSON"),
    ("info", 2, "info"),
]


@pytest.mark.parametrize(("path", "size", "word"), BAD_WRITES)
async def test_a_bad_write_is_refused_and_changes_nothing(gray: Images, path: str, size: int, word: str) -> None:
    voxels = noise((8, 16, 32))
    await gray.put((0, 0, 0), voxels)
    before = await gray.api.get(f"{gray.place}/info")
    assert word in await gray.refused("POST", path, b"\x01" * size)
    assert await gray.api.get(f"{gray.place}/info") == before
    assert (await gray.get((0, 0, 0), (8, 16, 32)) == voxels).all()
    assert not (await gray.get((0, 0, 32), (8, 16, 32))).any()


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_other_methods_are_refused(gray: Images, method: str) -> None:
    await gray.refused(method, f"{BOX}/0_0_0", b"\x01" * 512)
    assert await gray.extents() is None


async def test_written_voxels_outlive_a_restart(server: RunningServer, engine: str) -> None:
    if engine == "memory":
        pytest.skip("nothing in it outlives the server")
    images = await new_images(server, "uint32blk", VoxelSize="4.5,4,40", Compression="gzip", Checksum="crc32")
    voxels = noise((8, 16, 32), "<u4")
    await images.put((0, 0, 0), voxels)
    before = await server.get(f"{images.place}/info")
    await server.restart()
    assert (await images.get((0, 0, 0), (8, 16, 32)) == voxels).all()
    assert await server.get(f"{images.place}/info") == before


async def test_a_damaged_block_fails_its_own_requests_only(gray: Images, server: RunningServer) -> None:
    await gray.put((0, 0, 0), noise((4, 8, 32)))
    repo, node = server.server.repos.find(gray.uuid)
    instance = repo.instance("images")

    async def damage(m: Mutation) -> None:
        m.put(instance.keys[0].key((0, 0, 1)), b"\x02\xff\xff\xff\x7fjunk")

    await View(instance, node).edit("test", damage)
    assert (await gray.ask("GET", "raw/0_1_2/16_8_4/16_0_0")).status == 500
    assert (await gray.get((0, 0, 0), (4, 8, 16)) == noise((4, 8, 32))[:, :, :16]).all()


async def test_throttled_requests_are_told_to_come_again(gray: Images, server: RunningServer) -> None:
    for path in (
        "raw/0_1_2/4_4_4/0_0_0",
        "raw/0_1_2/400_400_400/0_0_0",
        "subvolblocks/16_8_4/0_0_0",
        "arb/0_0_0/80_0_0/0_80_0/8",
    ):
        for option in ("throttle=true", "throttle=on"):
            assert (await gray.ask("GET", f"{path}?{option}")).status == 200
            assert server.server.throttled == 0
        server.server.throttled = server.server.throttle
        answer = await gray.ask("GET", f"{path}?throttle=on")
        assert answer.status == 503
        assert "later" in answer.text
        assert (await gray.ask("GET", f"{path}?throttle=off")).status == 200
        server.server.throttled = 0
    server.server.throttled = 1
    await gray.refused("POST", f"{BOX}/0_0_0?throttle=true", bytes(512), 503)
    assert await gray.extents() is None


async def test_options_that_nobody_knows_are_ignored(server: Api, gray: Images) -> None:
    await gray.put((0, 0, 0), noise((4, 8, 16)), "?u=me&app=neuclease&mutate=true&nosuch=1")
    assert (await gray.get((0, 0, 0), (4, 8, 16), "?u=me&scale=7&attenuation=x") == noise((4, 8, 16))).all()


async def test_blocks_of_one_voxel_and_thin_boxes(server: RunningServer) -> None:
    images = await new_images(server, block="1,1,1")
    voxels = noise((16, 12, 14))
    await images.put((-3, -5, 2), voxels)
    assert (await images.get((-3, -5, 2), (16, 12, 14)) == voxels).all()
    thin = await new_images(server, "uint16blk")
    column = noise((5000, 2, 3), "<u2")
    await thin.put((-7, 5, 15), column, "?unaligned=true")
    assert (await thin.get((-7, 5, 15), (5000, 2, 3)) == column).all()


async def test_a_claim_of_gigabytes_takes_no_memory(gray: Images, server: RunningServer) -> None:
    """Blocks of one voxel make the most layers of a claimed length."""
    images = await new_images(server, block="1,1,1")
    path = f"{images.place}/raw/0_1_2/1_1_2000000000/0_0_0"
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    before = psutil.Process().memory_info().rss
    writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000000\r\n\r\n".encode() + b"\x01" * 1000)
    await writer.drain()
    assert (await gray.get((0, 0, 0), (4, 8, 16))).shape == (4, 8, 16)
    assert psutil.Process().memory_info().rss - before < 64 << 20
    writer.close()
    await writer.wait_closed()
