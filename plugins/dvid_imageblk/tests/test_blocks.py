"""Blocks: in rows, and as streams of frames."""

from __future__ import annotations

import gzip
import io
import struct
from collections.abc import AsyncIterator

import lz4.block  # type: ignore[import-untyped]
import numpy as np
import pytest
from PIL import Image

from dvid_core.testing.fixtures import RunningServer

from .images import ITEMS, Array, Images, Triple, frames, new_images, noise

BLOCK = (4, 8, 16)


def block_of(voxels: Array, at: Triple) -> bytes:
    z, y, x = (slice(a * b, (a + 1) * b) for a, b in zip(at, BLOCK))
    return voxels[z, y, x].tobytes()


@pytest.mark.parametrize("typename", ITEMS)
async def test_a_row_of_blocks_is_written_and_read(server: RunningServer, typename: str) -> None:
    images = await new_images(server, typename, Background="7")
    rows = noise((3, 4 * 8 * 16, 1), images.item).tobytes()
    size = len(rows) // 3
    await server.post(f"{images.place}/blocks/-1_2_-3/3?mutate=true", rows + b"what follows is not read")
    assert await server.get(f"{images.place}/blocks/-1_2_-3/3") == rows
    blank = b"\x07" * size
    assert await server.get(f"{images.place}/blocks/-3_2_-3/6") == blank * 2 + rows + blank
    assert await server.get(f"{images.place}/blocks/0_0_0/0") == b""
    voxels = await images.get((-12, 16, -16), (4, 8, 48))
    assert voxels[:, :, 16:32].tobytes() == rows[size : 2 * size]
    assert await images.extents() is None


async def test_a_long_row_of_few_blocks(gray: Images, server: RunningServer) -> None:
    await server.post(f"{gray.place}/blocks/500_0_0/1", b"\x01" * 512)
    await server.post(f"{gray.place}/blocks/9000_0_0/2", b"\x02" * 1024)
    found = np.frombuffer(await server.get(f"{gray.place}/blocks/-5_0_0/10000"), np.uint8).reshape(10000, 512)
    assert np.flatnonzero(found.any(axis=1)).tolist() == [505, 9005, 9006]
    assert (found[505] == 1).all()
    assert (found[9005:9007] == 2).all()


async def test_a_short_row_without_length_writes_nothing(gray: Images) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"\x01" * 256

    assert "1024 bytes" in await gray.refused("POST", "blocks/0_0_0/2", pieces())
    assert not (await gray.get((0, 0, 0), (4, 8, 32))).any()


@pytest.mark.parametrize("checksum", ["none", "crc32"])
@pytest.mark.parametrize("compression", [None, "none", "lz4", "snappy", "gzip", "gzip:1"])
async def test_streams_send_the_blocks_that_exist(
    server: RunningServer, compression: str | None, checksum: str
) -> None:
    given = {} if compression is None else {"Compression": compression}
    images = await new_images(server, "uint16blk", Checksum=checksum, **given)
    voxels = (noise((8, 16, 32)) // 64).astype("<u2")
    await images.put((0, 0, 0), voxels)
    await images.put((12, 0, 0), voxels[:4, :8, :16])
    wanted = {(z, y, x): block_of(voxels, (z, y, x)) for z in (0, 1) for y in (0, 1) for x in (0, 1)}
    wanted[3, 0, 0] = wanted[0, 0, 0]
    box = f"{images.place}/subvolblocks/64_32_24/-16_-8_-4"
    assert frames(await server.get(f"{box}?compression=uncompressed")) == wanted
    stored = frames(await server.get(box))
    assert stored.keys() == wanted.keys()
    for at, payload in stored.items():
        if compression in (None, "lz4"):
            assert struct.unpack_from("<I", payload)[0] == 1024
            assert lz4.block.decompress(payload[4:], uncompressed_size=1024) == wanted[at]
        elif compression == "none":
            assert payload == wanted[at]
        elif compression is not None and compression.startswith("gzip"):
            assert gzip.decompress(payload) == wanted[at]
    names = [(1, 1, 1), (0, 1, 0), (9, 9, 9), (1, 1, 1), (-1, 0, 0)]
    listed = ",".join(f"{x},{y},{z}" for z, y, x in names)
    some = frames(await server.get(f"{images.place}/specificblocks?blocks={listed}&compression=uncompressed"))
    assert some == {at: wanted[at] for at in ((1, 1, 1), (0, 1, 0))}
    assert frames(await server.get(f"{images.place}/specificblocks?blocks={listed}")) == {at: stored[at] for at in some}


async def test_a_large_stream_has_every_block_once(server: RunningServer) -> None:
    images = await new_images(server, block="8,8,8")
    voxels = noise((64, 64, 64))
    await images.put((0, 0, 0), voxels)
    found = frames(await server.get(f"{images.place}/subvolblocks/800_800_800/-80_-80_-80?compression=uncompressed"))
    assert len(found) == 512
    for (z, y, x), data in found.items():
        assert data == voxels[z * 8 : z * 8 + 8, y * 8 : y * 8 + 8, x * 8 : x * 8 + 8].tobytes()


async def test_the_length_of_a_short_stream_of_voxels_is_told(server: RunningServer) -> None:
    images = await new_images(server, block="8,8,8")
    await images.put((0, 0, 0), noise((16, 16, 16)))
    few = await server.ask("GET", f"{images.place}/subvolblocks/64_64_64/0_0_0?compression=uncompressed")
    assert len(frames(few.body)) == 8
    assert few.headers["Content-Length"] == str(8 * (16 + 512))
    some = await server.ask("GET", f"{images.place}/specificblocks?blocks=0,0,0,9,9,9&compression=uncompressed")
    assert some.headers["Content-Length"] == str(16 + 512)
    none = await server.ask("GET", f"{images.place}/subvolblocks/8_8_8/64_64_64?compression=uncompressed")
    assert (none.status, none.body) == (200, b"")


async def test_a_stream_of_packed_and_raw_blocks(server: RunningServer) -> None:
    images = await new_images(server, block="32,32,32")
    voxels = np.zeros((32, 32, 64), np.uint8)
    voxels[:, :, 32:] = noise((32, 32, 32))
    await images.put((0, 0, 0), voxels)
    for path in ("subvolblocks/64_32_32/0_0_0?", "specificblocks?blocks=1,0,0,0,0,0&"):
        found = frames(await server.get(f"{images.place}/{path}compression=uncompressed"))
        assert found == {(0, 0, x): voxels[:, :, 32 * x : 32 * x + 32].tobytes() for x in (0, 1)}


async def test_jpeg_blocks_are_sent_as_they_are_stored(server: RunningServer) -> None:
    images = await new_images(server, Compression="jpeg")
    z, y, x = np.indices(BLOCK)
    await images.put((0, 0, 0), (20 * z + 4 * y + x).astype(np.uint8))
    plain = frames(await server.get(f"{images.place}/subvolblocks/16_8_4/0_0_0"))
    assert plain == frames(await server.get(f"{images.place}/specificblocks?blocks=0,0,0&compression=jpeg"))
    with Image.open(io.BytesIO(plain[0, 0, 0])) as image:
        assert (image.format, image.size) == ("JPEG", (16, 32))
    voxels = frames(await server.get(f"{images.place}/subvolblocks/16_8_4/0_0_0?compression=uncompressed"))[0, 0, 0]
    assert (await images.get((0, 0, 0), BLOCK)).tobytes() == voxels
    assert np.abs(np.frombuffer(voxels, np.uint8).astype(int) - (20 * z + 4 * y + x).reshape(-1)).max() < 20


async def test_prefetch_and_an_empty_list_send_nothing(gray: Images) -> None:
    await gray.put((0, 0, 0), noise((4, 8, 16)))
    for query in ("blocks=0,0,0&prefetch=on", "blocks=0,0,0&prefetch=true", "", "blocks="):
        answer = await gray.ask("GET", f"specificblocks?{query}")
        assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("subvolblocks/15_8_4/0_0_0", "size"),
        ("subvolblocks/16_8_4/0_0_1", "offset"),
        ("subvolblocks/16_8/0_0", "size"),
        ("subvolblocks/16_8_4", "offset"),
        ("subvolblocks/16_8_-4/0_0_0", "size"),
        ("subvolblocks/16_0_4/0_0_0", "size"),
        ("subvolblocks/16_8_4/0_0_0?compression=gzip", "compression"),
        ("subvolblocks/16_8_4/0_0_0?compression=jpeg", "JPEG"),
        ("specificblocks?blocks=0,0", "blocks"),
        ("specificblocks?blocks=0,0,a", "blocks"),
        ("specificblocks?blocks=0,0,0&compression=zip", "compression"),
        ("specificblocks?blocks=0,0,0&compression=jpeg", "JPEG"),
        ("blocks/0_0/1", "block"),
        ("blocks/0_0_1", "span"),
        ("blocks/0_0_1/a", "span"),
        ("blocks/0_0_1/-1", "span"),
        ("blocks/0_0_1/99999999", "size"),
        ("rawkey?x=a", "x"),
    ],
)
async def test_bad_requests_for_blocks_are_refused_naming_the_field(gray: Images, path: str, word: str) -> None:
    assert word in await gray.refused("GET", path)


async def test_the_key_of_a_block_is_shown(gray: Images, server: RunningServer) -> None:
    first = await server.get(f"{gray.place}/rawkey?x=1&y=2&z=-3")
    assert bytes.fromhex(first["Key"])
    assert first != await server.get(f"{gray.place}/rawkey?x=1&y=2&z=3")
