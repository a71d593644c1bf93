"""Boxes of labels: written in all ways, read back at all scales."""

from __future__ import annotations

import gzip
import struct

import lz4.block  # type: ignore[import-untyped]
import numpy as np
import pytest

from .segmentation import (
    SIDE,
    Array,
    Segmentation,
    cells,
    decode,
    encode,
    frame,
    frames,
    halved,
    mapping_ops,
    stream,
    xyz,
)

BOX = (64, 64, 64)


@pytest.mark.parametrize("low", [(0, 0, 0), (-2, -4, -4)])
async def test_blocks_are_read_back_at_every_scale(seg: Segmentation, low: tuple[int, int, int]) -> None:
    voxels = cells(BOX)
    await seg.post_blocks(low, voxels, "?downres=true")
    await seg.check_indices(low, voxels)
    for scale in range(3):
        start = tuple((SIDE * at) >> scale for at in low)
        assert (await seg.get(start, voxels.shape, f"?scale={scale}") == voxels).all()  # type: ignore[arg-type]
        if scale < 2:
            voxels = halved(voxels)
    assert not (await seg.get((0, 0, 0), (8, 8, 8), "?scale=3")).any()


@pytest.mark.parametrize("compression", ["", "lz4", "gzip"])
async def test_raw_voxels_are_read_back_in_every_form(seg: Segmentation, compression: str) -> None:
    voxels = cells((16, 32, 48), seed=3)
    data = voxels.tobytes()
    pack = {"": bytes, "lz4": lambda d: lz4.block.compress(d, store_size=False), "gzip": gzip.compress}[compression]
    path = f"{seg.place}/raw/0_1_2/48_32_16/0_0_0?compression={compression}"
    await seg.api.post(path, pack(data))
    await seg.check_indices((0, 0, 0), voxels)
    size = (9, 21, 33)
    part = voxels[5 : 5 + 9, 7 : 7 + 21, 11 : 11 + 33]
    place = f"{seg.place}/raw/0_1_2/{xyz(size)}/11_7_5"
    assert await seg.api.get(place) == part.tobytes()
    assert lz4.block.decompress(await seg.api.get(f"{place}?compression=lz4"), part.nbytes) == part.tobytes()
    assert gzip.decompress(await seg.api.get(f"{place}?compression=gzip")) == part.tobytes()


async def test_a_large_box_is_streamed_whole(seg: Segmentation) -> None:
    voxels = cells((160, 160, 160), seed=5)
    await seg.put((0, 0, 0), voxels)
    wide = (200, 220, 230)
    wanted = np.zeros(wide, np.uint64)
    wanted[20:180, 30:190, 40:200] = voxels
    place = f"{seg.place}/raw/0_1_2/{xyz(wide)}/-40_-30_-20"
    assert (np.frombuffer(await seg.api.get(place), "<u8").reshape(wide) == wanted).all()
    assert lz4.block.decompress(await seg.api.get(f"{place}?compression=lz4"), wanted.nbytes) == wanted.tobytes()
    assert gzip.decompress(await seg.api.get(f"{place}?compression=gzip")) == wanted.tobytes()


async def test_posted_blocks_come_back_untouched_unless_something_in_them_is_mapped(seg: Segmentation) -> None:
    ones, twos = np.full((SIDE,) * 3, 1, np.uint64), cells((SIDE,) * 3, first=2)
    body = frame((0, 0, 0), ones) + frame((0, 0, 1), twos)
    await seg.api.post(f"{seg.place}/blocks", body)
    await seg.api.post(f"{seg.place}/mappings", mapping_ops((50, [1])))
    got = frames(await seg.api.get(f"{seg.place}/blocks/32_16_16/0_0_0?compression=blocks"))
    sent = frames(body)
    assert got[0, 0, 1] == sent[0, 0, 1]
    assert (decode(gzip.decompress(got[0, 0, 0])) == 50).all()
    path = f"{seg.place}/blocks/32_16_16/0_0_0?compression=blocks&supervoxels=true"
    assert frames(await seg.api.get(path)) == sent


async def test_an_index_is_right_after_blocks_are_written_again(seg: Segmentation) -> None:
    voxels = cells((32, 32, 32), seed=1)
    for _ in range(2):
        await seg.post_blocks((0, 0, 0), voxels)
        await seg.check_indices((0, 0, 0), voxels)
    voxels[:, :16, 16:] = cells((32, 16, 16), seed=2, first=8)
    await seg.put((0, 0, 16), voxels[:, :16, 16:])
    await seg.check_indices((0, 0, 0), voxels)
    voxels[:] = 0
    await seg.post_blocks((0, 0, 0), voxels)
    assert await seg.labels() == []


async def test_noindexing_leaves_indices_and_a_later_write_sets_them_right(seg: Segmentation) -> None:
    voxels = cells((16, 16, 32))
    await seg.post_blocks((0, 0, 0), voxels, "?noindexing=true")
    assert await seg.labels() == []
    assert (await seg.api.get(f"{seg.place}/maxlabel"))["maxlabel"] == voxels.max()
    await seg.post_blocks((0, 0, 0), voxels)
    await seg.check_indices((0, 0, 0), voxels)


async def test_ingested_supervoxels_leave_everything_else_alone(seg: Segmentation) -> None:
    await seg.api.post(f"{seg.place}/ingest-supervoxels?scale=1", stream((0, 0, 0), cells((16, 16, 16))))
    assert await seg.labels() == []
    assert (await seg.api.get(f"{seg.place}/info"))["Extended"]["MinPoint"] is None
    assert (await seg.get((0, 0, 0), (16, 16, 16), "?scale=1")).any()
    await seg.refused("GET", "maxlabel")


async def test_an_octant_that_is_not_written_keeps_what_it_was(seg: Segmentation) -> None:
    voxels = cells((32, 32, 32), seed=4)
    await seg.post_blocks((0, 0, 0), voxels, "?downres=true")
    voxels[16:, 16:, 16:] = 7
    await seg.post_blocks((1, 1, 1), voxels[16:, 16:, 16:], "?downres=true")
    assert (await seg.get((0, 0, 0), (16, 16, 16), "?scale=1") == halved(voxels)).all()
    # Background is a label like others for what it replaces.
    voxels[:16, :16, :16] = 0
    await seg.post_blocks((0, 0, 0), voxels[:16, :16, :16], "?downres=true")
    assert (await seg.get((0, 0, 0), (16, 16, 16), "?scale=1") == halved(voxels)).all()


async def test_of_a_block_that_a_stream_brings_twice_the_last_counts(seg: Segmentation) -> None:
    first, last = cells((16, 16, 16), seed=1), cells((16, 16, 16), seed=2)
    await seg.api.post(f"{seg.place}/blocks?downres=true", frame((0, 0, 0), first) + frame((0, 0, 0), last))
    assert (await seg.get((0, 0, 0), (16, 16, 16)) == last).all()
    await seg.check_indices((0, 0, 0), last)


HEAD = struct.Struct("<4I")


def blocks_that_are_wrong() -> dict[str, bytes]:
    good = encode(cells((16, 16, 16)))
    return {
        "empty": b"",
        "cut": good[:-1],
        "too long": good + b"\0",
        "another size": encode(cells((16, 16, 32))),
        "no table": HEAD.pack(2, 2, 2, 0),
        "a table beyond the end": HEAD.pack(2, 2, 2, 2**31),
        "a grid beyond all": HEAD.pack(2**31, 2, 2, 1) + bytes(8),
        "indices beyond the table": HEAD.pack(2, 2, 2, 2) + bytes(16) + struct.pack("<8H", *[1] * 8) + b"\xff" * 32,
    }


@pytest.mark.parametrize("name", blocks_that_are_wrong())
@pytest.mark.parametrize("endpoint", ["blocks", "ingest-supervoxels", "blocks?noindexing=true"])
async def test_what_is_no_block_is_refused_and_changes_nothing(seg: Segmentation, name: str, endpoint: str) -> None:
    bad = gzip.compress(blocks_that_are_wrong()[name])
    text = await seg.refused("POST", endpoint, struct.pack("<4i", 3, 2, 1, len(bad)) + bad)
    assert "block 3, 2, 1" in text
    assert await seg.api.get(f"{seg.place}/blocks/128_128_128/0_0_0") == b""
    assert await seg.labels() == []


async def test_a_bomb_is_refused_by_what_it_would_unpack_to(seg: Segmentation) -> None:
    bomb = gzip.compress(gzip.compress(bytes(1 << 26))[:10] + bytes(1 << 26))
    await seg.refused("POST", "blocks", struct.pack("<4i", 0, 0, 0, len(bomb)) + bomb)
    await seg.refused("POST", "raw/0_1_2/1024_1024_64/0_0_0?compression=lz4", b"\x1f" + bytes(100))
    await seg.refused("POST", "blocks", struct.pack("<4i", 0, 0, 0, 2**31 - 1))
    await seg.refused("POST", "blocks", struct.pack("<4i", 0, 0, 0, -5))


async def test_blocks_that_an_index_cannot_name_are_refused(seg: Segmentation) -> None:
    text = await seg.refused("POST", "blocks", frame((0, 0, 1 << 20), cells((16, 16, 16))))
    assert "1048576" in text
    assert await seg.labels() == []


async def test_a_whole_block_that_was_read_before_shows_what_was_written_and_merged_since(seg: Segmentation) -> None:
    async def read() -> Array:
        data = await seg.api.get(f"{seg.place}/raw/0_1_2/16_16_16/0_0_0?compression=lz4")
        return np.frombuffer(lz4.block.decompress(data, uncompressed_size=8 * 16**3), "<u8").reshape(16, 16, 16)

    voxels = cells((16, 16, 16))
    await seg.post_blocks((0, 0, 0), voxels)
    for _ in range(2):
        assert (await read() == voxels).all()
    one, two = (int(n) for n in np.unique(voxels[voxels > 0])[:2])
    await seg.ask("POST", "merge", f"[{one},{two}]".encode())
    assert (await read() == np.where(voxels == two, one, voxels)).all()
    await seg.post_blocks((0, 0, 0), voxels[::-1].copy(), "?mutate=true")
    assert (await read() == np.where(voxels == two, one, voxels)[::-1]).all()
