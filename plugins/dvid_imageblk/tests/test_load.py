"""Whole files as bodies of POST load, and the notes of loads."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]
import pytest
import tifffile
from PIL import Image

from dvid_core.testing.fixtures import RunningServer

from .images import ITEMS, Array, Images, new_images, noise, picture, xyz


def tiff(voxels: Array, **options: Any) -> bytes:
    """A TIFF with an image for each section."""
    file = io.BytesIO()
    tifffile.imwrite(file, voxels, **{"photometric": "minisblack", "metadata": None} | options)
    return file.getvalue()


def saved(section: Array, form: str, **options: Any) -> bytes:
    """One image."""
    file = io.BytesIO()
    Image.fromarray(section).save(file, form, **options)
    return file.getvalue()


OPTIONS = [
    {},
    {"compression": "lzw"},
    {"compression": "zlib", "predictor": True},
    {"compression": "zstd"},
    {"compression": "packbits"},
    {"tile": (16, 32)},
    {"bigtiff": True},
    {"byteorder": ">"},
    {"rowsperstrip": 7},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
async def test_a_stack_of_sections_is_written_where_it_is_told(gray: Images, options: dict[str, Any]) -> None:
    voxels = noise((7, 33, 50))
    answer = await gray.ask("POST", "load/-5_3_-2", tiff(voxels, **options))
    assert (answer.status, answer.text[:300]) == (200, '{"MinPoint":[-5,3,-2],"MaxPoint":[44,35,4]}')
    assert (await gray.get((-2, 3, -5), voxels.shape) == voxels).all()
    assert await gray.extents() == ((-2, 3, -5), (4, 35, 44))
    around = await gray.get((-4, 0, -16), (12, 48, 80))
    around = around.copy()
    around[2:9, 3:36, 11:61] = 0
    assert not around.any()


async def test_what_was_there_stays_around_a_stack(gray: Images) -> None:
    before = noise((8, 40, 64), seed=1)
    await gray.put((0, 0, 0), before)
    voxels = noise((3, 10, 20))
    assert (await gray.ask("POST", "load/5_7_2", tiff(voxels))).status == 200
    after = before.copy()
    after[2:5, 7:17, 5:25] = voxels
    assert (await gray.get((0, 0, 0), before.shape) == after).all()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF"])
async def test_one_image_is_one_section(gray: Images, form: str) -> None:
    section = np.add.outer(np.arange(40), np.arange(60)).astype(np.uint8)
    answer = await gray.ask("POST", "load", saved(section, form, **({"quality": 95} if form == "JPEG" else {})))
    assert answer.json() == {"MinPoint": [0, 0, 0], "MaxPoint": [59, 39, 0]}
    got = picture((await gray.ask("GET", "raw/xy/60_40/0_0_0")).body).astype(int)
    assert np.abs(got - section).max() <= (3 if form == "JPEG" else 0)


@pytest.mark.parametrize(
    ("typename", "item", "order"),
    [("uint16blk", "u2", "<"), ("uint16blk", "u2", ">"), ("uint32blk", "u4", "<"), ("float32blk", "f4", "<")],
)
async def test_wide_voxels_are_loaded(server: RunningServer, typename: str, item: str, order: str) -> None:
    images = await new_images(server, typename)
    voxels = (np.arange(5 * 9 * 20).reshape(5, 9, 20) * 63).astype(item)
    answer = await images.ask("POST", "load/1_2_3", tiff(voxels, byteorder=order))
    assert answer.status == 200, answer.text
    assert (await images.get((3, 2, 1), voxels.shape) == voxels).all()


async def test_narrow_voxels_fit_into_wide_ones_and_colors_into_rgba(server: RunningServer) -> None:
    wide = await new_images(server, "uint64blk")
    voxels = noise((3, 9, 20))
    assert (await wide.ask("POST", "load", tiff(voxels))).status == 200
    assert (await wide.get((0, 0, 0), voxels.shape) == voxels).all()
    colors = await new_images(server, "rgba8blk")
    rgb = noise((9, 20 * 3, 1)).reshape(1, 9, 20, 3)
    assert (await colors.ask("POST", "load", saved(rgb[0], "PNG"))).status == 200
    got = (await colors.get((0, 0, 0), (1, 9, 20))).view(np.uint8).reshape(1, 9, 20, 4)
    assert (got[..., :3] == rgb).all() and (got[..., 3] == 255).all()


async def test_a_body_without_a_length_is_taken_in_any_pieces(gray: Images, server: RunningServer) -> None:
    voxels = noise((5, 16, 16))
    data = tiff(voxels)

    async def pieces() -> Any:
        for at in range(40):
            yield data[at : at + 1]
        yield data[40:]

    answer = await server.ask("POST", f"{gray.place}/load/0_0_0", pieces())
    assert answer.status == 200
    assert (await gray.get((0, 0, 0), voxels.shape) == voxels).all()


def classic(*tags: tuple[int, int, int, int], following: int = 0) -> bytes:
    """A little-endian TIFF with one directory of these tags: code, type, count, value."""
    table = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<H", len(tags)) + table + struct.pack("<I", following)


def square(side: int, *more: tuple[int, int, int, int]) -> bytes:
    """A TIFF that says it is a gray image of side x side pixels."""
    fields = {256: side, 257: side, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: side, 279: 100}
    fields |= {code: value for code, _, _, value in more}
    return classic(*((code, 4, 1, value) for code, value in sorted(fields.items()))) + bytes(200)


VOXELS = noise((4, 16, 32))
GOOD = tiff(VOXELS)
BAD = {
    "empty": b"",
    "junk": b"no image at all",
    "a short head": b"II*\x00",
    "no directory": b"II*\x00\x00\x00\x00\x00" + bytes(20),
    "a directory beyond the end": b"II*\x00\xff\xff\xff\x7f" + bytes(20),
    "breaks off": GOOD[: len(GOOD) // 2],
    "a circle": classic((256, 4, 1, 4), (257, 4, 1, 4), (273, 4, 1, 8), (279, 4, 1, 16), following=8),
    "huge": square(1 << 30),
    "too large": square(20_000),
    "huge tiles": square(16, (322, 4, 1, 1 << 30), (323, 4, 1, 1 << 30), (324, 4, 1, 8), (325, 4, 1, 100)),
    "huge tags": classic((256, 4, 1, 16), (257, 4, 1, 16), (270, 2, 1 << 30, 8)) + bytes(200),
    "many tags": struct.pack("<2sHIH", b"II", 42, 8, 65_535) + bytes(65_535 * 12 + 4),
    "many images": b"".join(
        [struct.pack("<2sHI", b"II", 42, 8)]
        + [struct.pack("<HHHIII", 1, 256, 4, 1, 1, 26 + 18 * n) for n in range(70_000)]
    ),
    "wide": tiff(VOXELS.astype(np.uint16)),
    "signed": tiff(VOXELS.astype(np.int8)),
    "colors": saved(noise((5, 6 * 3, 1)).reshape(5, 6, 3), "PNG"),
    "a large png": b"\x89PNG\r\n\x1a\n"
    + b"".join(
        struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d))
        for k, d in ((b"IHDR", struct.pack(">2I5B", 60_000, 60_000, 8, 0, 0, 0, 0)), (b"IEND", b""))
    ),
    "a png that breaks off": saved(VOXELS[0], "PNG")[:-30],
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_file_is_refused_and_changes_nothing(gray: Images, name: str) -> None:
    await gray.put((0, 0, 0), noise((4, 16, 32), seed=1))
    sentence = await gray.refused("POST", "load/0_0_0", BAD[name])
    assert len(sentence) > 20
    assert (await gray.get((0, 0, 0), (4, 16, 32)) == noise((4, 16, 32), seed=1)).all()
    assert await gray.extents() == ((0, 0, 0), (3, 15, 31))


async def test_images_of_different_sizes_are_refused(gray: Images) -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(VOXELS[0], metadata=None)
        writer.write(VOXELS[0, :8], metadata=None)
    assert "image 1" in await gray.refused("POST", "load", file.getvalue())
    assert await gray.extents() is None


async def test_a_bad_place_or_version_is_refused(gray: Images, server: RunningServer) -> None:
    for offset in ("1_2", "x_0_0", "2147483647_0_0"):
        assert "offset" in await gray.refused("POST", f"load/{offset}", GOOD)
    await server.commit(gray.uuid)
    assert "committed" in await gray.refused("POST", "load/0_0_0", GOOD)
    assert await gray.extents() is None


async def test_broken_files_of_all_kinds_never_hurt_the_server(server: RunningServer, engine: str) -> None:
    if engine != "memory":
        pytest.skip("once is enough")
    gray = await new_images(server)
    random = np.random.default_rng(7)
    whole = [tiff(VOXELS, **options) for options in OPTIONS] + [saved(VOXELS[0], form) for form in ("PNG", "JPEG")]
    for n in range(300):
        data = bytearray(whole[n % len(whole)])
        for _ in range(random.integers(1, 6)):
            # Heads and directories are at the begin and the end.
            at = int(random.integers(0, len(data)))
            at = min(at, 300) if random.random() < 0.5 else at
            data[at] = int(random.choice([0, 1, 127, 255, int(random.integers(256))]))
        answer = await gray.ask("POST", "load/0_0_0", bytes(data))
        assert answer.status in (200, 400), answer.text
    assert (await gray.ask("POST", "load/0_0_0", GOOD)).status == 200
    assert (await gray.get((0, 0, 0), VOXELS.shape) == VOXELS).all()


async def test_a_large_stack_takes_little_memory(server: RunningServer, engine: str) -> None:
    if engine == "memory":
        pytest.skip("it keeps the voxels in memory")
    images = await new_images(server, block="64,64,64")
    voxels = np.zeros((300, 1024, 1024), np.uint8)
    voxels[::50] = 7
    data = tiff(voxels, compression="zlib")
    del voxels
    process = psutil.Process()
    before = process.memory_info().rss
    assert (await images.ask("POST", "load/0_0_0", data)).status == 200
    assert process.memory_info().rss - before < 160 << 20
    assert (await images.get((249, 5, 5), (3, 1, 1))).reshape(-1).tolist() == [0, 7, 0]


# -- notes of loads

NOTE = {"source": "a.tif", "offset": [0, 0, -5], "size": [10, 10, 10], "done": 1, "of": 3, "user": "me"}


async def test_notes_of_loads_are_seen_from_the_version_and_its_descendants(
    gray: Images, server: RunningServer
) -> None:
    assert (await gray.ask("GET", "load")).json() == {}
    assert (await gray.ask("GET", "load/ab")).status == 404
    await server.demand("PUT", f"{gray.place}/load/ab", json=NOTE)
    assert (await gray.ask("GET", "load/ab")).json() == NOTE
    await server.commit(gray.uuid)
    child = gray.at(await server.newversion(gray.uuid))
    await server.demand("PUT", f"{child.place}/load/ab", json=NOTE | {"done": 3})
    assert (await child.ask("GET", "load")).json() == {"ab": NOTE | {"done": 3}}
    assert (await gray.ask("GET", "load")).json() == {"ab": NOTE}
    assert (await server.ask("PUT", f"{gray.place}/load/ab", json=NOTE)).status == 400


@pytest.mark.parametrize(
    ("id", "change"),
    [
        ("xyz", {}),
        ("a" * 65, {}),
        ("ab", {"done": 4}),
        ("ab", {"done": -1}),
        ("ab", {"of": "3"}),
        ("ab", {"offset": [0, 0]}),
        ("ab", {"offset": [0, 0, 1 << 40]}),
        ("ab", {"source": "x" * 5000}),
        ("ab", {"source": None}),
    ],
)
async def test_bad_notes_are_refused(gray: Images, server: RunningServer, id: str, change: dict[str, Any]) -> None:
    answer = await server.ask("PUT", f"{gray.place}/load/{id}", json=NOTE | change)
    assert answer.status == 400
    assert (await gray.ask("GET", "load")).json() == {}


async def test_help_tells_of_loading(server: RunningServer) -> None:
    text = (await server.ask("GET", "/api/help/uint8blk")).text
    assert "load/" in text and "dvid load" in text and xyz((1000, 0, 0)) in text


def test_all_types_are_known() -> None:
    from dvid_voxels.load.transfer import TYPES

    assert ITEMS.keys() <= TYPES.keys()
