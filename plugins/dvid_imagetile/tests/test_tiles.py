"""Tiles come back as they were posted; where none is, black or 404."""

from __future__ import annotations

import random

import numpy as np
import pytest

from dvid_core.testing.fixtures import RunningServer

from .tiles import Tiles, new_tiles, noise, picture, png

ONE = ((8, 8, 8), (32, 24, 16))


@pytest.mark.parametrize("size", [1, 1000, 65_536, 65_537, 3_000_000])
async def test_a_tile_of_any_size_comes_back_byte_for_byte(server: RunningServer, size: int) -> None:
    tiles = await new_tiles(server)
    await tiles.describe(ONE)
    body = random.Random(size).randbytes(size)
    await tiles.put("xy/0/1_2_3", body)
    answer = await tiles.ask("GET", "tile/xy/0/1_2_3")
    assert (answer.body, answer.headers["Content-Type"]) == (body, "image/png")
    assert answer.headers["Content-Length"] == str(size)


async def test_tiles_of_other_planes_levels_and_places_are_others(server: RunningServer) -> None:
    tiles = await new_tiles(server)
    await tiles.describe(ONE, ((16, 16, 16), (32, 24, 16)))
    places = ["xy/0/1_2_3", "xz/0/1_2_3", "yz/0/1_2_3", "xy/1/1_2_3", "xy/0/2_1_3", "xy/0/1_2_4", "xy/0/-1_-2_-3"]
    for place in places:
        await tiles.put(place, place.encode())
    for place in places:
        assert await tiles.server.get(tiles.path(f"tile/{place}")) == place.encode()


@pytest.mark.parametrize(("plane", "shape"), [("xy", (24, 32)), ("xz", (16, 32)), ("yz", (16, 24))])
async def test_where_no_tile_is_a_black_one_of_the_levels_size_comes(
    server: RunningServer, plane: str, shape: tuple[int, int]
) -> None:
    tiles = await new_tiles(server)
    await tiles.describe(ONE)
    for form, kind in (("", "png"), ("/png", "png"), ("/jpg:50", "jpeg"), ("/tiff", "tiff"), ("/bmp", "bmp")):
        answer = await tiles.ask("GET", f"tile/{plane}/0/5_5_5{form}")
        assert answer.headers["Content-Type"] == f"image/{kind}"
        assert picture(answer.body).shape == shape
        assert not picture(answer.body).any()
    answer = await tiles.ask("GET", f"tile/{plane}/0/5_5_5?noblanks=true")
    assert answer.status == 404
    assert "not found" in answer.text


async def test_an_empty_tile_counts_as_none(server: RunningServer) -> None:
    tiles = await new_tiles(server)
    await tiles.describe(ONE)
    await tiles.put("xy/0/0_0_0", b"")
    assert not (await tiles.image("tile/xy/0/0_0_0")).any()
    assert (await tiles.ask("GET", "tile/xy/0/0_0_0?noblanks=true")).status == 404


@pytest.mark.parametrize(
    "end",
    [
        "tile", "tile/xy", "tile/xy/0", "tile/qq/0/0_0_0", "tile/vol/0/0_0_0", "tile/xy/x/0_0_0", "tile/xy/256/0_0_0",
        "tile/xy/-1/0_0_0", "tile/xy/\uff11/0_0_0", "tile/xy/0/0_0", "tile/xy/0/a_b_c", "tile/xy/0/0_0_2147483648",
        "tile/xy/0/1.5_0_0", "tile/xy/1/0_0_0", "tile/xy/0/0_0_0/gif", "tile/xy/0/0_0_0/jpg:x", "tilekey/xy/0/0_0",
        "tilekey/vol/0/0_0_0",
    ],
)  # fmt: skip
async def test_a_tile_that_cannot_be_is_refused(server: RunningServer, end: str) -> None:
    tiles = await new_tiles(server)
    await tiles.describe(ONE)
    answer = await tiles.ask("GET", end.encode("ascii", "xmlcharrefreplace").decode())
    assert answer.status == 400
    assert answer.text.strip()


async def test_nothing_is_served_before_levels_are_set_but_tiles_can_be_posted(server: RunningServer) -> None:
    tiles = await new_tiles(server)
    await tiles.put("xy/0/0_0_0", b"early")
    for end in ("metadata", "tile/xy/0/0_0_0", "tile/xy/0/0_0_0?noblanks=true", "raw/xy/5_5/0_0_0"):
        assert (await tiles.ask("GET", end)).status == 400
    await tiles.describe(ONE)
    assert await tiles.server.get(tiles.path("tile/xy/0/0_0_0")) == b"early"


async def test_keys_of_tiles_are_stable_and_differ(server: RunningServer) -> None:
    tiles = await new_tiles(server)
    places = ["xy/0/1_2_3", "xz/0/1_2_3", "xy/1/1_2_3", "xy/0/1_2_4"]
    keys = [(await tiles.server.get(tiles.path(f"tilekey/{place}")))["key"] for place in places]
    assert len(set(keys)) == len(places)
    assert (await tiles.server.get(tiles.path(f"tilekey/{places[0]}")))["key"] == keys[0]
    assert all(int(key, 16) for key in keys)


async def test_a_child_sees_and_replaces_tiles_of_its_parent(server: RunningServer) -> None:
    tiles = await new_tiles(server)
    await tiles.describe(ONE)
    await tiles.put("xy/0/0_0_0", b"old")
    child = await tiles.child()
    assert (await tiles.ask("POST", "tile/xy/0/0_0_0", b"late")).status == 400
    await child.put("xy/0/0_0_0", b"new")
    assert await tiles.server.get(tiles.path("tile/xy/0/0_0_0")) == b"old"
    assert await child.server.get(child.path("tile/xy/0/0_0_0")) == b"new"


@pytest.mark.parametrize("engine", ["rocksdb"], indirect=True)
async def test_tiles_and_levels_are_there_after_a_restart(server: RunningServer) -> None:
    tiles = await new_tiles(server, Format="JPG", Placeholder="1", Source="src")
    await tiles.describe(ONE, ((16, 16, 16), (32, 24, 16)))
    await tiles.put("xy/1/0_0_0", b"kept" * 50_000)
    before = await server.get(tiles.path("info"))
    await server.restart()
    assert await server.get(tiles.path("info")) == before
    assert await server.get(tiles.path("tile/xy/1/0_0_0")) == b"kept" * 50_000
    assert before["Extended"]["Encoding"] == 2


async def test_raw_is_the_crop_of_the_tiles(server: RunningServer) -> None:
    tiles = await new_tiles(server, Source="src")
    await server.instance(tiles.uuid, "src", "uint8blk")
    await tiles.describe(((8, 8, 8), (10, 7, 5)))
    ground = np.zeros((70, 100), np.uint8)
    for y in range(10):
        for x in range(10):
            if (x + y) % 3:
                tile = noise((7, 10), 10 * y + x)
                await tiles.put(f"xy/0/{x}_{y}_4", tile)
                ground[7 * y : 7 * y + 7, 10 * x : 10 * x + 10] = tile
    rng = random.Random(4)
    for _ in range(20):
        w, h, x, y = rng.randint(1, 60), rng.randint(1, 50), rng.randint(0, 40), rng.randint(0, 20)
        assert np.array_equal(await tiles.image(f"raw/xy/{w}_{h}/{x}_{y}_4"), ground[y : y + h, x : x + w])
    corner = await tiles.image("raw/xy/20_20/-5_-6_4")
    assert np.array_equal(corner[6:, 5:], ground[:14, :15])
    assert not corner[:6].any()


async def test_what_is_no_image_is_black_in_raw(server: RunningServer) -> None:
    tiles = await new_tiles(server, Source="src")
    await server.instance(tiles.uuid, "src", "uint8blk")
    await tiles.describe(((8, 8, 8), (16, 16, 16)))
    good = noise((16, 16))
    await tiles.put("xy/0/0_0_0", good)
    bad = [b"text", png(good)[:60], png(good)[:33] + b"\x00" * 50, bomb(30_000), b"\x89PNG\r\n\x1a\n", b"BM", b"GIF89a"]
    for n, data in enumerate(bad, 1):
        await tiles.put(f"xy/0/{n}_0_0", data)
    found = await tiles.image(f"raw/xy/{16 * (len(bad) + 1)}_16/0_0_0")
    assert np.array_equal(found[:, :16], good)
    assert not found[:, 32:].any()


def bomb(side: int) -> bytes:
    """A small PNG that claims to be large."""
    data = bytearray(png(np.zeros((4, 4), np.uint8)))
    data[16:24] = side.to_bytes(4, "big") * 2
    return bytes(data)


async def test_placeholders_show_where_no_tile_is(server: RunningServer) -> None:
    tiles = await new_tiles(server, Source="src", Placeholder="true")
    await server.instance(tiles.uuid, "src", "uint8blk")
    await tiles.describe(((8, 8, 8), (128, 64, 64)))
    await tiles.put("xy/0/0_0_0", np.zeros((64, 128), np.uint8))
    found = await tiles.image("raw/xy/256_64/0_0_0")
    assert not found[:, :128].any()
    assert found[:, 128:].any()


@pytest.mark.parametrize(
    "end",
    [
        "raw/vol/4_4_4/0_0_0", "raw/xy/4_4_4/0_0_0", "raw/xy/4_4/0_0", "raw/qq/4_4/0_0_0", "raw/xy/0_4/0_0_0",
        "raw/xy/-4_4/0_0_0", "raw/xy/4_4/0_0_0/gif", "raw/xy/100000_100000/0_0_0", "raw/xy/2147483647_1/0_0_0",
        "raw/xy/5000_5000/0_0_0", "isotropic/xy/5_5/2147483647_0_0", "raw/xy/5_5", "raw/xy/70000_5/0_0_0/jpg",
    ],
)  # fmt: skip
async def test_an_image_that_cannot_be_is_refused(server: RunningServer, end: str) -> None:
    tiles = await new_tiles(server, Source="src")
    await server.instance(tiles.uuid, "src", "uint8blk")
    await tiles.describe(((8, 8, 8), (16, 16, 16)))
    assert (await tiles.ask("GET", end)).status == 400


@pytest.mark.parametrize("source", ["", "nothing", "t"])
async def test_raw_needs_a_source_with_voxels(server: RunningServer, source: str) -> None:
    tiles: Tiles = await new_tiles(server, Source=source)
    await tiles.describe(((8, 8, 8), (16, 16, 16)))
    assert (await tiles.ask("GET", "raw/xy/5_5/0_0_0")).status == 400
    assert (await tiles.ask("POST", "generate")).status == 400
