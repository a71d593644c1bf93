"""Bytes that are no label blocks: refused, whatever they are, and nothing is allocated for what they claim."""

from __future__ import annotations

import struct
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dvid_voxels import labels
from dvid_voxels.geometry import Box
from dvid_voxels.labels import BadBlock, Blocks

from . import slow

SIZE = (16, 16, 24)
GOOD = [slow.random_block(SIZE, np.random.default_rng(n), most) for n, most in ((0, 4), (1, 12), (2, 30))]


def blocks_of(block: bytes) -> Blocks:
    return Blocks.of([((0, 0, 0), block)], SIZE)


READERS: dict[str, Callable[[bytes], Any]] = {
    "check": lambda block: labels.check(block, SIZE),
    "examine": lambda block: labels.examine(block, SIZE),
    "counts": labels.counts,
    "size_of": labels.size_of,
    "table": labels.table,
    "is_solid": labels.is_solid,
    "decode": lambda block: labels.decode(block, SIZE),
    "decode its own size": labels.decode,
    "compact": labels.compact,
    "label_at": lambda block: [labels.label_at(block, *at) for at in ((0, 0, 0), (7, 9, 23), (15, 15, 23))],
    "labels_at": lambda block: labels.labels_at(block, np.array([(0, 0, 0), (7, 9, 7)])),
    "relabel": lambda block: labels.relabel(block, labels.table(block)),
    "replace": lambda block: labels.replace(block, {1: 2, 0: 2}),
    "split": lambda block: labels.split(block, 1, np.array([(0, 0, 0, 1)], np.int32), 5, 6),
    "downres": lambda block: labels.downres([block, None] * 4, SIZE, block),
    "many: counts": lambda block: blocks_of(block).counts(),
    "many: tables": lambda block: blocks_of(block).tables(),
    "assemble": lambda block: labels.assemble(blocks_of(block), Box((3, -3, 1), (9, 30, 30))),
    "lz4": lambda block: labels.lz4_of(blocks_of(block), Box((3, -3, 1), (9, 30, 30))),
    "google": lambda block: labels.google(blocks_of(block), Box((0, 0, 0), (8, 16, 16))),
    "runs": lambda block: labels.runs(blocks_of(block), np.array([1, 2], np.uint64)),
    "sparse_blocks": lambda block: labels.sparse_blocks(blocks_of(block), np.array([1, 2], np.uint64)),
}


def read_all(block: bytes) -> None:
    """Every function survives; if the check lets a block pass, all agree with the slow decoder."""
    try:
        labels.check(block, SIZE)
        good = True
    except BadBlock:
        good = False
    for name, read in READERS.items():
        try:
            read(block)
        except (ValueError, IndexError) as err:
            assert not good or (name == "split" and isinstance(err, labels.BadRuns)), name
    if good:
        voxels = slow.decode(block)
        assert np.array_equal(labels.decode(block), voxels)
        assert np.array_equal(labels.decode(labels.compact(block)), voxels)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
@example(b"")
@example(bytes(24))
@example(b"\xff" * 200)
def test_random_bytes_are_refused(block: bytes) -> None:
    read_all(block)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(range(len(GOOD))), st.binary(max_size=200), st.sampled_from([1, 2, 3, 50, 2**32 - 1]))
def test_random_bytes_behind_a_good_head_are_refused(n: int, rest: bytes, entries: int) -> None:
    read_all(struct.pack("<4I", 3, 2, 2, entries) + rest)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_changed_blocks_are_refused_or_read_as_they_are(data: st.DataObject) -> None:
    block = bytearray(data.draw(st.sampled_from(GOOD)))
    head = 16 + 8 * struct.unpack_from("<I", block, 12)[0]
    for _ in range(data.draw(st.integers(1, 5))):
        # Most are changed where the structure is.
        end = data.draw(st.sampled_from([16, head, head + 24, head + 200, len(block)]))
        at = data.draw(st.integers(0, end - 1))
        block[at] = data.draw(st.sampled_from([0, 1, 2, 127, 128, 255]) | st.integers(0, 255))
    read_all(bytes(block))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(GOOD), st.data())
def test_cut_and_lengthened_blocks_are_refused(block: bytes, data: st.DataObject) -> None:
    other = block[: data.draw(st.integers(0, len(block) - 1))] if data.draw(st.booleans()) else block + data.draw(
        st.binary(min_size=1, max_size=70)
    )  # fmt: skip
    with pytest.raises(BadBlock):
        labels.check(other, SIZE)
    read_all(other)


def parts_of(n: int, values: list[int] | None = None) -> list[slow.Cell]:
    cells: list[slow.Cell] = [([0], [])] * 11
    return [*cells, (list(range(n)), values or [k % n for k in range(512)])]


@pytest.mark.parametrize(
    ("block", "why"),
    [
        (b"", "at least 24 bytes"),
        (labels.solid(1, SIZE)[:-1], "at least 24 bytes"),
        (labels.solid(1, SIZE) + b"\0", "length"),
        (struct.pack("<4IQ", 3, 2, 2, 0, 0), "table is empty"),
        (struct.pack("<4IQ", 3, 2, 2, 2, 0), "longer than the block"),
        (struct.pack("<4IQ", 3, 2, 2, 2**32 - 1, 0), "longer than the block"),
        (labels.solid(1, (16, 16, 16)), "16 x 16 x 16 voxels, where 24 x 16 x 16"),
        (labels.solid(1, (24, 16, 16)), "16 x 16 x 24 voxels, where 24 x 16 x 16"),
        (struct.pack("<4IQ", 0, 2, 2, 1, 0), "1 to 128"),
        (struct.pack("<4IQ", 2**32 - 1, 2**32 - 1, 2**32 - 1, 1, 0), "1 to 128"),
        (struct.pack("<4I", 3, 2, 2, 2) + bytes(16), "cut off"),
        (struct.pack("<4I", 3, 2, 2, 2) + bytes(16) + b"\x01\x02" * 12, "more than 512"),
        (struct.pack("<4I", 3, 2, 2, 2) + bytes(16) + b"\x01\x00" * 12 + bytes(47), "length"),
        (
            struct.pack("<4I", 3, 2, 2, 2) + bytes(16) + b"\x01\x00" * 12 + bytes(44) + b"\x02\0\0\0",
            "end of the label table",
        ),
        (slow.write(SIZE, [1, 2, 3], parts_of(3, [3] * 512)), "end of its sub-block"),
        (slow.write(SIZE, [1] * 6145, [([0], [])] * 12), "6145 entries for 6144 voxels"),
        (GOOD[0][:-1], "length"),
        (GOOD[0] + b"\0", "length"),
    ],
)
def test_what_is_wrong_is_said(block: bytes, why: str) -> None:
    with pytest.raises(BadBlock, match=why):
        labels.check(block, SIZE)


def test_blocks_without_any_entries_are_all_zero() -> None:
    block = slow.write(SIZE, [7, 8], [([], [])] * 12)
    labels.check(block, SIZE)
    assert labels.counts(block).labels.tolist() == [0]
    assert labels.compact(block) == labels.zero(SIZE)
    assert labels.label_at(block, 1, 2, 3) == 0


def test_the_longest_block_is_within_the_limit() -> None:
    cells: list[slow.Cell] = [(list(range(512)), list(range(512)))] * 12
    block = slow.write(SIZE, [1] * 6144, cells)
    labels.check(block, SIZE)
    assert len(block) == labels.limit(SIZE)


@pytest.mark.parametrize("size", [(0, 8, 8), (8, 8, 12), (8, -8, 8), (8, 8, 1032)])
def test_sizes_that_no_block_has_are_refused(size: slow.Triple) -> None:
    for call in (labels.limit, labels.zero, lambda s: labels.check(labels.zero(SIZE), s), lambda s: Blocks.of([], s)):
        with pytest.raises(ValueError, match="multiples of 8"):
            call(size)


@pytest.mark.parametrize("entries", [1, 2, 1000, 2**32 - 1])
@pytest.mark.parametrize("grid", [(3, 2, 2), (128, 128, 128), (129, 1, 1), (2**32 - 1, 2**32 - 1, 2**32 - 1)])
def test_nothing_is_allocated_for_what_is_claimed(entries: int, grid: tuple[int, int, int]) -> None:
    block = struct.pack("<4I", *grid, entries) + bytes(1000)
    tracemalloc.start()
    try:
        for read in READERS.values():
            with suppress(ValueError, IndexError):
                read(block)
        with pytest.raises(BadBlock):
            labels.decode(block)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_block_is_taken_on_its_own_word_up_to_a_bound() -> None:
    huge = labels.solid(5, (1024, 1024, 1024))
    assert labels.size_of(huge) == (1024, 1024, 1024)
    assert labels.label_at(huge, 1023, 1023, 1023) == 5
    assert labels.counts(huge).voxels.tolist() == [2**30]
    tracemalloc.start()
    try:
        for name in ("decode its own size", "compact", "labels_at", "split", "replace"):
            with pytest.raises(BadBlock, match="more than"):
                READERS[name](huge)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert labels.compact(huge, (1024, 1024, 1024)) == huge


def test_labels_made_to_collide_take_no_longer() -> None:
    # Multiples of a large power of two fall into one slot of a table that takes the low bits.
    spread = np.arange(32**3, dtype=np.uint64)
    times = []
    for voxels in (spread, spread << np.uint64(49), spread * np.uint64(0x9E3779B97F4A7C15)):
        begin = time.perf_counter()
        labels.encode(voxels.reshape(32, 32, 32))
        times.append(time.perf_counter() - begin)
    assert max(times) < 1
