"""Generated tiles beside a plain model of the pyramid."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from dvid_imagetile import generation
from numpy.typing import NDArray

from dvid_core.testing.fixtures import RunningServer
from dvid_voxels.codecs import Codec

from .tiles import new_tiles, noise, spec, with_source

LEVELS = spec(((8, 8, 8), (16, 16, 16)), ((16, 16, 8), (16, 16, 16)), ((32, 32, 32), (16, 16, 16)))
MERGES = [(2, 2, 1), (2, 2, 4)]
"""Pixels of one level that make one of the next, x, y, z."""

AXES = {"xy": (0, 1, 2), "xz": (0, 2, 1), "yz": (1, 2, 0)}
"""Across, down, normal."""


def model(voxels: NDArray[Any], offset: tuple[int, int, int], side: int = 16) -> Iterator[tuple[str, NDArray[Any]]]:
    """All tiles of `LEVELS` that the volume reaches, as their places and pixels."""
    margin = 64
    low = [-(-abs(min(0, o)) // margin) * margin for o in offset]
    sizes = [-(-(lo + o + s) // margin) * margin for lo, o, s in zip(low, offset, voxels.shape[::-1])]
    space = np.zeros(sizes[::-1], np.uint8)
    z, y, x = (slice(lo + o, lo + o + s) for lo, o, s in zip(low[::-1], offset[::-1], voxels.shape))
    space[z, y, x] = voxels
    for plane, (across, down, normal) in AXES.items():
        for n in range(voxels.shape[2 - normal]):
            at = offset[normal] + n
            pixels = np.take(space, at + low[normal], axis=2 - normal)
            cover = [1, 1, 1]
            for level in range(3):
                if level:
                    wide, high = MERGES[level - 1][across], MERGES[level - 1][down]
                    h, w = pixels.shape
                    pixels = pixels.reshape(h // high, high, w // wide, wide).astype(int).sum(axis=(1, 3)) // (
                        wide * high
                    )
                    cover = [c * m for c, m in zip(cover, MERGES[level - 1])]
                columns, rows = (
                    range(
                        offset[a] // (side * cover[a]), (offset[a] + voxels.shape[2 - a] - 1) // (side * cover[a]) + 1
                    )
                    for a in (across, down)
                )
                for row in rows:
                    for column in columns:
                        left = column * side + low[across] // cover[across]
                        top = row * side + low[down] // cover[down]
                        place = [at, at, at]
                        place[across], place[down] = column, row
                        yield (
                            f"{plane}/{level}/{'_'.join(map(str, place))}",
                            pixels[top : top + side, left : left + side],
                        )


@pytest.mark.parametrize("offset", [(0, 0, 0), (5, 3, 9), (-20, -7, 30)])
async def test_all_tiles_are_those_of_the_model(server: RunningServer, offset: tuple[int, int, int]) -> None:
    voxels = noise((9, 21, 37))
    tiles = await with_source(server, voxels, offset)
    ended = await tiles.generate(levels=LEVELS)
    assert (ended["State"], ended["Error"]) == ("done", "")
    assert ended["Slices"] == ended["SlicesDone"] == sum(voxels.shape)
    count = 0
    for place, pixels in model(voxels, offset):
        count += 1
        assert np.array_equal(await tiles.image(f"tile/{place}?noblanks=true"), pixels), place
    assert ended["Tiles"] == count


async def test_a_block_is_decoded_once_for_each_tile_and_plane(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = np.add.outer(np.arange(64), np.add.outer(np.arange(64), np.arange(64)) // 16).astype(np.uint8)
    tiles = await with_source(server, plain)
    decoded = 0
    unpack = Codec.unpack

    def counted(codec: Codec, stored: Any) -> Any:
        nonlocal decoded
        decoded += 1
        return unpack(codec, stored)

    monkeypatch.setattr(Codec, "unpack", counted)
    ended = await tiles.generate(levels=spec(((8, 8, 8), (64, 64, 64)), ((16, 16, 16), (64, 64, 64))))
    assert (ended["State"], ended["Tiles"]) == ("done", 2 * 3 * 64)
    assert decoded == 3 * 64
    monkeypatch.undo()
    for n in (0, 31, 32, 63):
        assert np.array_equal(await tiles.image(f"tile/xy/0/0_0_{n}?noblanks=true"), plain[n])
        assert np.array_equal(await tiles.image(f"tile/xz/0/0_{n}_0?noblanks=true"), plain[:, n])
        assert np.array_equal(await tiles.image(f"tile/yz/0/{n}_0_0?noblanks=true"), plain[:, :, n])


async def test_raw_of_generated_tiles_is_the_slice(server: RunningServer) -> None:
    voxels = noise((20, 50, 70))
    tiles = await with_source(server, voxels)
    await tiles.generate(levels=LEVELS)
    assert np.array_equal(await tiles.image("raw/xy/60_40/5_3_11"), voxels[11, 3:43, 5:65])
    assert np.array_equal(await tiles.image("raw/xz/60_10/5_3_7"), voxels[7:17, 3, 5:65])
    assert np.array_equal(await tiles.image("raw/yz/40_10/33_3_7"), voxels[7:17, 3:43, 33])


async def test_without_levels_tiles_of_512_pixels_double_until_one_covers_all(server: RunningServer) -> None:
    tiles = await with_source(server, noise((2, 530, 1100)), voxel_size="4,4,40")
    ended = await tiles.generate("?planes=xy")
    assert ended["State"] == "done"
    metadata = await server.get(tiles.path("metadata"))
    assert [level["Resolution"] for level in metadata["Levels"].values()] == [[4, 4, 40], [8, 8, 40], [16, 8, 40]]
    assert all(level["TileSize"] == [512, 512, 512] for level in metadata["Levels"].values())
    assert (await tiles.image("tile/xy/2/0_0_1?noblanks=true")).shape == (512, 512)
    assert (metadata["MinTileCoord"], metadata["MaxTileCoord"]) == ([0, 0, 0], [0, 0, 0])


async def test_planes_and_ranges_choose_the_slices(server: RunningServer) -> None:
    tiles = await with_source(server, noise((20, 18, 16)))
    ended = await tiles.generate("?planes=XY;1,2&zrange=5,7&xrange=14,99&yrange=3,4", LEVELS)
    assert (ended["Planes"], ended["Slices"]) == (["xy", "yz"], 5)
    for place, status in (("xy/0/0_0_5", 200), ("xy/0/0_0_7", 200), ("xy/0/0_0_8", 404), ("yz/0/14_0_0", 200),
                          ("yz/0/13_0_0", 404), ("xz/0/0_3_0", 404)):  # fmt: skip
        assert (await tiles.ask("GET", f"tile/{place}?noblanks=true")).status == status


@pytest.mark.parametrize(("typename", "dtype"), [("uint16blk", "<u2"), ("rgba8blk", "<u4"), ("uint8blk", "u1")])
async def test_tiles_have_the_pixels_of_their_source(server: RunningServer, typename: str, dtype: str) -> None:
    voxels = np.random.default_rng(1).integers(0, 2**31, (4, 16, 16)).astype(dtype)
    tiles = await with_source(server, voxels, typename=typename)
    await tiles.generate("?planes=xy", LEVELS)
    pixels = await tiles.image("tile/xy/0/0_0_2?noblanks=true")
    wanted = voxels[2].view(np.uint8).reshape(16, 16, 4) if dtype == "<u4" else voxels[2]
    assert np.array_equal(pixels, wanted)
    assert np.array_equal(await tiles.image("raw/xy/10_10/3_3_2"), wanted[3:13, 3:13])


async def test_jpg_tiles_are_jpegs(server: RunningServer) -> None:
    smooth = np.add.outer(np.arange(16), np.add.outer(np.arange(64), np.arange(64))).astype(np.uint8)
    tiles = await with_source(server, smooth, Format="jpg")
    await tiles.generate("?planes=xy", spec(((8, 8, 8), (64, 64, 64))))
    answer = await tiles.ask("GET", "tile/xy/0/0_0_3?noblanks=true")
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.body[:2] == b"\xff\xd8"
    found = (await tiles.image("raw/xy/64_64/0_0_3")).astype(int)
    assert np.abs(found - smooth[3]).max() <= 8


@pytest.mark.parametrize(
    "options",
    ["?planes=vol", "?planes=ab", "?planes=", "?zrange=1", "?zrange=5,4", "?zrange=a,b", "?xrange=1,99999999999"],
)
async def test_wrong_options_are_refused(server: RunningServer, options: str) -> None:
    tiles = await with_source(server, noise((4, 4, 4)))
    assert (await tiles.ask("POST", f"generate{options}")).status == 400
    assert await tiles.state() == {"State": "none"}


@pytest.mark.parametrize(
    "levels",
    [
        spec(((8, 8, 8), (16, 16, 16)), ((16, 16, 16), (24, 20, 16))),
        spec(((8, 8, 8), (16, 16, 16)), ((8e6, 8e6, 8), (16, 16, 16))),
        spec(((8, 8, 8), (16, 16, 16)), ((12, 12, 12), (16, 16, 16))),
        {"1": {"Resolution": [8, 8, 8], "TileSize": [16, 16, 16]}},
    ],
)
async def test_levels_that_cannot_be_generated_are_refused(server: RunningServer, levels: Any) -> None:
    tiles = await with_source(server, noise((4, 4, 4)))
    assert (await tiles.ask("POST", "generate", json=levels)).status == 400
    assert await tiles.state() == {"State": "none"}
    assert (await tiles.ask("GET", "metadata")).status == 400


async def test_a_source_without_voxels_is_refused(server: RunningServer) -> None:
    tiles = await new_tiles(server, Source="src")
    await server.instance(tiles.uuid, "src", "uint8blk")
    assert "no voxels" in (await tiles.ask("POST", "generate")).text


async def test_a_volume_that_only_claims_to_be_vast_is_refused(server: RunningServer) -> None:
    tiles = await with_source(server, noise((4, 4, 4)))
    corners = {"MinPoint": [0, 0, 0], "MaxPoint": [2**31 - 2] * 3}
    await server.post(f"/api/node/{tiles.uuid}/src/extents", json=corners)
    assert (await tiles.ask("POST", "generate")).status == 400
    assert (await tiles.ask("POST", "generate?planes=xy&zrange=0,1", json=LEVELS)).status == 400


async def test_a_committed_version_gets_no_tiles(server: RunningServer) -> None:
    tiles = await with_source(server, noise((4, 4, 4)))
    await server.commit(tiles.uuid)
    assert (await tiles.ask("POST", "generate")).status == 400


async def test_one_generation_runs_at_a_time_and_can_be_stopped(
    server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    tiles = await with_source(server, noise((64, 64, 64)))
    await server.post(f"/api/node/{tiles.uuid}/src/extents", json={"MinPoint": [0, 0, 0], "MaxPoint": [999, 999, 9999]})
    caplog.set_level(logging.INFO)
    assert (await tiles.ask("DELETE", "generate")).status == 400
    started = await server.post(tiles.path("generate?planes=xy"), json=LEVELS)
    assert (started["State"], started["Slices"]) == ("running", 10_000)
    assert (await tiles.ask("POST", "generate", json=LEVELS)).status == 400
    stopped = await server.delete(tiles.path("generate"))
    assert stopped["State"] == "stopped"
    assert (await tiles.state())["State"] == "stopped"
    assert (await tiles.generate("?zrange=0,3&planes=xy", LEVELS))["State"] == "done"
    told = [record.message for record in caplog.records if record.name == generation.__name__]
    assert any("10000 slices" in line for line in told)
    assert any("stopped" in line for line in told)


async def test_a_commit_ends_the_generation_and_says_so(server: RunningServer) -> None:
    tiles = await with_source(server, noise((64, 64, 64)))
    await server.post(f"/api/node/{tiles.uuid}/src/extents", json={"MinPoint": [0, 0, 0], "MaxPoint": [999, 999, 9999]})
    await server.post(tiles.path("generate?planes=xy"), json=LEVELS)
    await server.commit(tiles.uuid)
    ended = await tiles.end()
    assert ended["State"] == "failed"
    assert "committed" in ended["Error"]


async def test_the_server_stops_while_tiles_are_made(server: RunningServer) -> None:
    tiles = await with_source(server, noise((64, 64, 64)))
    await server.post(f"/api/node/{tiles.uuid}/src/extents", json={"MinPoint": [0, 0, 0], "MaxPoint": [999, 999, 9999]})
    await server.post(tiles.path("generate?planes=xy"), json=LEVELS)
    await server.stop()


async def test_deleting_the_instance_ends_its_generation(server: RunningServer) -> None:
    tiles = await with_source(server, noise((64, 64, 64)))
    await server.post(f"/api/node/{tiles.uuid}/src/extents", json={"MinPoint": [0, 0, 0], "MaxPoint": [999, 999, 9999]})
    await server.post(tiles.path("generate?planes=xy"), json=LEVELS)
    run = server.server.repos.find(tiles.uuid)[0].instance("t").generation  # type: ignore[attr-defined]
    await server.delete(f"/api/repo/{tiles.uuid}/instance/t", admin=True)
    await run.stop()
    assert not run.running
