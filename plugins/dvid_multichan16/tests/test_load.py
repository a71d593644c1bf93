"""Volumes are loaded, and every channel comes back slice by slice."""

from __future__ import annotations

import asyncio
import io
import struct
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dvid_core.testing.fixtures import Answer, RunningServer

MARK = b"raw_image_stack_by_hpeng"


def v3draw(channels: NDArray[Any], order: str = "<") -> bytes:
    """A V3D raw file of (channel, z, y, x)."""
    count, z, y, x = channels.shape
    head = MARK + (b"L" if order == "<" else b"B") + struct.pack(f"{order}H4I", channels.itemsize, x, y, z, count)
    return head + channels.astype(channels.dtype.newbyteorder(order)).tobytes()


def noise(shape: Sequence[int], dtype: str = "u2", seed: int = 0) -> NDArray[Any]:
    info = np.iinfo(dtype)
    return np.random.default_rng(seed).integers(7, info.max, shape, dtype=dtype)


class Brain:
    """The instance `mc` at a version."""

    def __init__(self, server: RunningServer, uuid: str) -> None:
        self.server, self.uuid = server, uuid

    def path(self, end: str) -> str:
        return f"/api/node/{self.uuid}/mc/{end}"

    async def ask(self, method: str, end: str, body: Any = None, **options: Any) -> Answer:
        return await self.server.ask(method, self.path(end), body, **options)

    async def load(self, body: Any, options: str = "") -> Any:
        return await self.server.post(self.path(f"load{options}"), body)

    async def image(self, end: str) -> NDArray[Any]:
        return np.asarray(Image.open(io.BytesIO(await self.server.get(self.path(end)))))

    async def info(self) -> Any:
        return (await self.server.get(self.path("info")))["Extended"]


@pytest.fixture
async def brain(server: RunningServer) -> Brain:
    uuid = await server.repo()
    await server.instance(uuid, "mc", "multichan16", BlockSize="16,16,16")
    return Brain(server, uuid)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["u1", "u2"])
async def test_channels_come_back_in_every_plane(brain: Brain, dtype: str, order: str) -> None:
    volume = noise((4, 20, 30, 50), dtype)
    told = await brain.load(v3draw(volume, order))
    assert told == {"NumChannels": 4, "MinPoint": [0, 0, 0], "MaxPoint": [49, 29, 19]}
    for n in range(4):
        found = await brain.image(f"xy/40_25/3_4_11?channel={n + 1}")
        assert np.array_equal(found, volume[n, 11, 4:29, 3:43])
        assert np.array_equal(await brain.image(f"xz/40_15/3_4_2?channel={n + 1}"), volume[n, 2:17, 4, 3:43])
        assert np.array_equal(await brain.image(f"1_2/25_15/3_4_2?channel={n + 1}"), volume[n, 2:17, 4:29, 3])


@pytest.mark.parametrize("count", [1, 2, 3, 5])
async def test_the_composite_has_the_first_three_channels_scaled_by_their_ranges(brain: Brain, count: int) -> None:
    volume = noise((count, 6, 20, 20)) // np.array([1, 3, 50, 1, 1], "u2")[:count, None, None, None]
    await brain.load(v3draw(volume))
    found = await brain.image("xy/20_20/0_0_3")
    assert found.shape == (20, 20, 4)
    assert (found[..., 3] == 255).all()
    for n in range(3):
        wanted = np.zeros((20, 20), int)
        if n < count:
            low, high = int(volume[n].min()), int(volume[n].max())
            wanted = 255 * (volume[n, 3].astype(int) - low) // max(1, high - low)
        assert np.array_equal(found[..., n], wanted)


async def test_a_channel_of_one_value_is_black_in_the_composite(brain: Brain) -> None:
    await brain.load(v3draw(np.full((1, 2, 4, 4), 500, "u2")))
    assert not (await brain.image("xy/4_4/0_0_0"))[..., :3].any()


async def test_where_nothing_was_loaded_voxels_are_0(brain: Brain) -> None:
    volume = noise((2, 10, 10, 10))
    await brain.load(v3draw(volume), "?offset=-5_100_3")
    found = await brain.image("xy/20_20/-10_95_7?channel=2")
    assert np.array_equal(found[5:15, 5:15], volume[1, 4])
    assert not found[:5].any()
    assert not found[:, 15:].any()
    assert (await brain.info())["MinPoint"] == [-5, 100, 3]


async def test_a_volume_can_be_loaded_in_parts(brain: Brain) -> None:
    volume = noise((2, 25, 20, 20))
    for z in (0, 9, 18):
        part = volume[:, z : z + 9]
        await brain.load(v3draw(part), f"?offset=0_0_{z}")
    for z in (0, 8, 9, 17, 24):
        assert np.array_equal(await brain.image(f"xy/20_20/0_0_{z}?channel=1"), volume[0, z])
    assert (await brain.info())["MaxPoint"] == [19, 19, 24]
    low, high = int(volume[0].min()), int(volume[0].max())
    composite = await brain.image("xy/20_20/0_0_20")
    assert np.array_equal(composite[..., 0], 255 * (volume[0, 20].astype(int) - low) // (high - low))


async def test_info_shows_the_channels_of_its_version(brain: Brain) -> None:
    assert (await brain.info())["NumChannels"] == 0
    await brain.server.commit(brain.uuid)
    child = Brain(brain.server, await brain.server.newversion(brain.uuid))
    await child.load(v3draw(noise((3, 4, 4, 4))))
    shown = await child.info()
    assert shown["NumChannels"] == 3
    assert [value["Label"] for value in shown["Values"]] == ["channel1", "channel2", "channel3"]
    assert (await brain.info())["NumChannels"] == 0
    assert (await brain.ask("GET", "xy/4_4/0_0_0")).status == 400


async def test_branches_have_their_own_volumes_and_a_merge_shows_the_channels_of_both(brain: Brain) -> None:
    server = brain.server
    await server.commit(brain.uuid)
    sides = []
    for n, name in enumerate(("one", "two")):
        made = await server.post(f"/api/node/{brain.uuid}/branch", json={"branch": name})
        side = Brain(server, made["child"])
        await side.load(v3draw(noise((2, 16, 16, 16), seed=n)), f"?offset={16 * n}_0_0")
        await server.commit(side.uuid)
        sides.append(side)
    merged = Brain(server, await server.merge(*(s.uuid for s in sides)))
    assert (await merged.info())["NumChannels"] == 2
    for n in range(2):
        wanted = noise((2, 16, 16, 16), seed=n)[0, 5]
        assert np.array_equal(await merged.image(f"xy/16_16/{16 * n}_0_5?channel=1"), wanted)
    await merged.load(v3draw(noise((2, 4, 4, 4), seed=9)))
    assert np.array_equal(await merged.image("xy/4_4/0_0_1?channel=2"), noise((2, 4, 4, 4), seed=9)[1, 1])


async def test_another_number_of_channels_is_refused(brain: Brain) -> None:
    volume = noise((2, 4, 4, 4))
    await brain.load(v3draw(volume))
    assert (await brain.ask("POST", "load", v3draw(noise((3, 4, 4, 4))))).status == 400
    assert np.array_equal(await brain.image("xy/4_4/0_0_0?channel=1"), volume[0, 0])


GOOD = v3draw(noise((2, 4, 5, 6)))


def changed(at: int, data: bytes) -> bytes:
    return GOOD[:at] + data + GOOD[at + len(data) :]


WRONG = {
    "nothing": b"",
    "a piece of a head": GOOD[:30],
    "another mark": changed(0, b"RAW"),
    "another order": changed(24, b"X"),
    "four bytes a value": changed(25, b"\x04\x00"),
    "no channels": changed(39, b"\x00\x00\x00\x00"),
    "too many channels": changed(39, b"\x00\x01\x00\x00"),
    "no width": changed(27, b"\x00\x00\x00\x00"),
    "a huge width": changed(27, b"\xff\xff\xff\xff"),
    "huge sizes": changed(27, b"\xff\xff\xff\x7f" * 3),
    "one byte short": GOOD[:-1],
    "one byte too many": GOOD + b"\x00",
    "one channel short": GOOD[: -4 * 5 * 6 * 2],
}


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("body", [pytest.param(v, id=k) for k, v in WRONG.items()])
async def test_a_body_that_is_no_whole_volume_is_refused_and_changes_nothing(
    brain: Brain, body: bytes, chunked: bool
) -> None:
    volume = noise((2, 4, 5, 6), seed=5)
    await brain.load(v3draw(volume))
    answer = await brain.ask("POST", "load", pieces(body) if chunked else body)
    assert answer.status == 400
    assert answer.text.strip()
    for n in range(2):
        assert np.array_equal(await brain.image(f"xy/6_5/0_0_3?channel={n + 1}"), volume[n, 3])


async def pieces(data: bytes, step: int = 7) -> AsyncIterator[bytes]:
    for at in range(0, len(data), step):
        yield data[at : at + step]


@pytest.mark.parametrize("dtype", ["u1", "u2"])
async def test_a_body_without_a_length_is_loaded_too(brain: Brain, dtype: str) -> None:
    volume = noise((3, 8, 9, 10), dtype)
    await brain.load(pieces(v3draw(volume)))
    assert np.array_equal(await brain.image("xy/10_9/0_0_7?channel=3"), volume[2, 7])


async def test_a_large_volume_is_loaded_whole(brain: Brain) -> None:
    volume = noise((3, 70, 300, 400))
    await brain.load(v3draw(volume))
    for n, z in ((0, 0), (1, 33), (2, 69)):
        assert np.array_equal(await brain.image(f"xy/400_300/0_0_{z}?channel={n + 1}"), volume[n, z])


@pytest.mark.parametrize("options", ["?offset=1_2", "?offset=a_b_c", "?offset=2147483647_0_0"])
async def test_a_place_that_is_none_is_refused(brain: Brain, options: str) -> None:
    assert (await brain.ask("POST", f"load{options}", GOOD)).status == 400
    assert (await brain.info())["NumChannels"] == 0


async def test_a_load_that_breaks_off_can_be_sent_again(brain: Brain) -> None:
    volume = noise((2, 40, 40, 40))
    body = v3draw(volume)
    path = brain.path("load").encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", brain.server.port)
    writer.write(
        b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (path, len(body)) + body[: len(body) // 3]
    )
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert reader is not None
    await brain.load(body)
    assert np.array_equal(await brain.image("xy/40_40/0_0_39?channel=2"), volume[1, 39])


async def test_a_committed_version_takes_no_volume(brain: Brain) -> None:
    await brain.server.commit(brain.uuid)
    assert (await brain.ask("POST", "load", GOOD)).status == 400


@pytest.mark.parametrize(
    "end",
    [
        "xy/4_4/0_0_0?channel=3", "xy/4_4/0_0_0?channel=-1", "xy/4_4/0_0_0?channel=x", "xy/4_4/0_0", "xy/4/0_0_0", "xy",
        "xy/0_4/0_0_0", "xy/4_4/0_0_0/gif", "vol/4_4_4/0_0_0", "0_1_2/4_4_4/0_0_0", "xy/100000_100000/0_0_0",
        "qq/4_4/0_0_0", "xy/4_4/2147483647_0_0",
    ],
)  # fmt: skip
async def test_a_slice_that_cannot_be_is_refused(brain: Brain, end: str) -> None:
    await brain.load(GOOD)
    assert (await brain.ask("GET", end)).status == 400


async def test_slices_come_in_every_format(brain: Brain) -> None:
    await brain.load(GOOD)
    for form, kind in (("", "png"), ("/png", "png"), ("/jpg:60", "jpeg"), ("/tif", "tiff"), ("/bmp", "bmp")):
        for channel in (0, 2):
            answer = await brain.ask("GET", f"xy/6_5/0_0_0{form}?channel={channel}")
            assert answer.headers["Content-Type"] == f"image/{kind}"
            assert Image.open(io.BytesIO(answer.body)).size == (6, 5)


@pytest.mark.parametrize("name", ["xy", "XY", "0_1", "0,1"])
async def test_a_plane_has_several_names(brain: Brain, name: str) -> None:
    await brain.load(GOOD)
    assert (await brain.image(f"{name}/6_5/0_0_0?channel=1")).shape == (5, 6)


async def test_simultaneous_loads_of_different_volumes_leave_one_number_of_channels(brain: Brain) -> None:
    volumes = [noise((n, 16, 32, 32), seed=n) for n in (1, 2, 3)]
    answers = await asyncio.gather(*(brain.ask("POST", "load", v3draw(volume)) for volume in volumes))
    [kept] = [volume for volume, answer in zip(volumes, answers) if answer.status == 200]
    assert (await brain.info())["NumChannels"] == len(kept)
    for n in range(len(kept)):
        assert np.array_equal(await brain.image(f"xy/32_32/0_0_9?channel={n + 1}"), kept[n, 9])


@pytest.mark.parametrize("engine", ["rocksdb"], indirect=True)
async def test_volumes_are_there_after_a_restart(brain: Brain) -> None:
    volume = noise((2, 4, 5, 6))
    await brain.load(v3draw(volume))
    before = await brain.info()
    await brain.server.restart()
    assert await brain.info() == before
    assert np.array_equal(await brain.image("xy/6_5/0_0_3?channel=2"), volume[1, 3])
