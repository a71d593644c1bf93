"""Streams of blocks as they come and go."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvid_voxels import labels
from dvid_voxels.labels import FrameReader

FRAMES = [((1, -2, 3), b"one"), ((0, 0, 0), b"x" * 1000), ((-(2**31), 2**31 - 1, 7), b"\0")]
STREAM = b"".join(labels.frame(at, payload) for at, payload in FRAMES)


def read(data: bytes, step: int, limit: int = 1000) -> list[tuple[tuple[int, int, int], bytes]]:
    reader = FrameReader(limit)
    found = [frame for at in range(0, len(data), step) for frame in reader.feed(data[at : at + step])]
    reader.end()
    return found


def test_a_frame_is_x_y_z_and_length_before_its_payload() -> None:
    assert labels.frame((3, 2, 1), b"abc") == struct.pack("<4i", 1, 2, 3, 3) + b"abc"


@given(st.integers(1, 1100))
def test_frames_are_read_however_they_are_cut(step: int) -> None:
    assert read(STREAM, step) == FRAMES


def test_an_empty_stream_has_no_frames() -> None:
    assert read(b"", 1) == []


@given(st.integers(1, len(STREAM) - 1))
def test_a_stream_that_ends_within_a_frame_is_refused(end: int) -> None:
    whole = {0, 19, 19 + 1016}
    if end in whole:
        assert len(read(STREAM[:end], 64)) == sorted(whole).index(end)
        return
    with pytest.raises(ValueError, match="ends within"):
        read(STREAM[:end], 64)


@pytest.mark.parametrize("n", [0, -1, 1001, 2**31 - 1])
def test_a_payload_of_a_wrong_length_is_refused_before_it_comes(n: int) -> None:
    reader = FrameReader(1000)
    frames = reader.feed(labels.frame((0, 0, 0), b"good") + struct.pack("<4i", 5, 6, 7, n))
    assert next(frames) == ((0, 0, 0), b"good")
    with pytest.raises(ValueError, match="frame 1, block 5, 6, 7"):
        next(frames)


def test_gzip_goes_and_comes() -> None:
    for data in (b"", b"a", bytes(100_000)):
        assert labels.gunzip(labels.gzipped(data), len(data)) == data
        assert gzip.decompress(labels.gzipped(data)) == data
        assert labels.gunzip(gzip.compress(data), len(data)) == data
        assert labels.gunzip(gzip.compress(data) + gzip.compress(b"more"), len(data) + 4) == data + b"more"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x1f",
        b"no gzip at all, but long enough for a head",
        zlib.compress(b"abc"),
        gzip.compress(b"abc")[:-1],
        gzip.compress(b"abc")[:-5] + b"\xff" * 5,
        gzip.compress(b"abc") + b"x",
        gzip.compress(b"abcde"),
        gzip.compress(b"abcd") + gzip.compress(b"e"),
        gzip.compress(b"") * 100_000,
    ],
    ids=range(10),
)
def test_what_is_no_such_gzip_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match="gzip"):
        labels.gunzip(payload, 4)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_broken_gzip_is_refused_or_right(data: st.DataObject) -> None:
    payload = bytearray(gzip.compress(b"some text that is packed" * 20))
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = labels.gunzip(bytes(payload), 480)
    except ValueError:
        return
    assert found == b"some text that is packed" * 20


def test_a_gzip_that_holds_far_more_takes_no_room() -> None:
    bomb = gzip.compress(bytes(100 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="more than 1000"):
            labels.gunzip(bomb, 1000)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
