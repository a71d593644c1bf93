"""Posted streams of blocks that were cut, changed or made up: refused, or stored and right; the server goes on."""

from __future__ import annotations

import asyncio
import gzip
import struct
import tempfile
from pathlib import Path

import dvid_labelmap
import numpy as np
import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dvid_core.testing.fixtures import running
from dvid_voxels.segmentation.compiled import warm

from .segmentation import SIDE, Array, Segmentation, cells, encode, frames, new_segmentation, stream

BASE = cells((SIDE, SIDE, 2 * SIDE), seed=3)
BLOCK = encode(cells((SIDE, SIDE, SIDE), seed=4, first=50))

PLACES = (0, 8, 12, 16, 18, 24, 32, 40, len(BLOCK) - 1)
BYTES = st.binary(max_size=6) | st.sampled_from([b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x01", b"\x80"])


@st.composite
def changed(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes with some of them cut out, put in or replaced."""
    raw = bytearray(data)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(raw)) | st.sampled_from(PLACES).map(lambda n: min(n, len(raw))))
        how = draw(st.sampled_from(["replace", "insert", "cut", "end"]))
        new = draw(BYTES)
        if how == "replace":
            raw[at : at + len(new)] = new
        elif how == "insert":
            raw[at:at] = new
        elif how == "cut":
            del raw[at : at + draw(st.integers(1, 40))]
        else:
            del raw[at:]
    return bytes(raw)


@st.composite
def posted(draw: st.DrawFn) -> bytes:
    """A stream of one frame, broken in one of its layers, behind a good one or alone."""
    block = draw(changed(BLOCK))
    payload = gzip.compress(block, 1)
    if draw(st.booleans()):
        payload = draw(changed(payload))
    coordinates = draw(st.tuples(*[st.integers(0, 1) | st.sampled_from([-1, 2**20, 2**31 - 1, -(2**31)])] * 3))
    frame = struct.pack("<4i", *coordinates, len(payload)) + payload
    if draw(st.integers(0, 3)) == 0:
        frame = draw(changed(frame))
    good = stream((0, 0, 5), cells((SIDE, SIDE, SIDE), seed=5)) if draw(st.booleans()) else b""
    return good + frame


@pytest.fixture(scope="module", autouse=True)
def warmed() -> None:
    """Compiling takes longer than a test may."""
    warm()


async def known(seg: Segmentation) -> dict[tuple[int, int, int], Array]:
    """All blocks that there are."""
    data = await seg.api.get(f"{seg.place}/blocks/1024_1024_1024/-512_-512_-512?compression=uncompressed")
    return {at: np.frombuffer(raw, "<u8") for at, raw in frames(data).items()}


async def sizes(seg: Segmentation) -> dict[int, int]:
    """The voxels of all bodies by their indices."""
    data = await seg.api.get(f"{seg.place}/listlabels?sizes=true")
    return dict(np.frombuffer(data, "<u8").reshape(-1, 2).tolist())


async def attack(streams: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with running("memory", Path(folder), plugins=[dvid_labelmap]) as server:
            seg = await new_segmentation(server)
            await seg.put((0, 0, 0), BASE)
            for data in streams:
                before = await known(seg)
                counted = await sizes(seg)
                answer = await seg.ask("POST", "blocks?downres=true", data)
                assert answer.status in (200, 400), answer.text
                after = await known(seg)
                if answer.status == 400:
                    assert answer.text
                    assert after.keys() == before.keys()
                    assert all((after[at] == before[at]).all() for at in before)
                    assert await sizes(seg) == counted
                far = [at for at in after if max(map(abs, at)) > 30]
                assert not far or answer.status == 200
                labels, counts = np.unique(np.concatenate(list(after.values())), return_counts=True)
                inside = dict(zip(labels.tolist(), counts.tolist()))
                inside.pop(0, None)
                found = await sizes(seg)
                assert all(found.get(label, 0) >= n for label, n in inside.items())
                coarse = await seg.ask("GET", "raw/0_1_2/32_32_32/-16_-16_-16?scale=1&compression=lz4")
                assert coarse.status == 200


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(posted(), min_size=8, max_size=8))
def test_whatever_is_posted_is_refused_or_stored_and_right(streams: list[bytes]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(attack(streams))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.binary(max_size=200) | changed(b"\x0a\x08\x08\x01\x12\x04\x0a\x02\x08\x05\x10\x07"), max_size=8))
def test_whatever_is_posted_as_a_message_is_refused_or_taken(bodies: list[bytes]) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with running("memory", Path(folder), plugins=[dvid_labelmap]) as server:
                seg = await new_segmentation(server)
                for data in bodies:
                    for path in ("indices", "index/7", "mappings"):
                        assert (await seg.ask("POST", path, data)).status in (200, 400)
                    assert (await seg.ask("GET", "existing-labels")).status == 200
                    assert (await seg.ask("GET", "mappings")).status == 200
                    for label in await seg.labels():
                        assert (await seg.ask("GET", f"index/{label}")).status == 200

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
