"""The parts that sparse volumes are made of."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import lz4.block  # type: ignore[import-untyped]
import numpy as np
import pytest

from dvid_core.testing import assert_releases_gil
from dvid_voxels.segmentation.body import Body, Rows, Touch, cut
from dvid_voxels.segmentation.compiled import kernels
from dvid_voxels.segmentation.packing import box_of_blocks, pack_blocks, unpack_blocks
from dvid_voxels.segmentation.sparse import _unpacked_blocks, coarser, distinct
from dvid_voxels.segmentation.sparse_coarse import _frames, block_runs
from dvid_voxels.segmentation.sparse_forms import GzipPacker, Lz4Packer
from dvid_voxels.segmentation.sparse_pile import SENT, Pile
from dvid_voxels.segmentation.sparse_small import MOST, blocks_of_small, box_of_small, runs_of_small


def rows_of(count: int, seed: int = 0) -> Rows:
    """An index of a body around the origin, with several supervoxels in many blocks."""
    rng = np.random.default_rng(seed)
    blocks = pack_blocks(rng.integers(-4, 4, (count, 3)))
    rows = Rows(blocks, rng.integers(1, 4, count).astype(np.uint64), np.ones(count, np.uint32))
    return Rows(*(np.empty(0, c.dtype) for c in (blocks, rows.supervoxels, rows.voxels))).replaced(rows)


def runs_slowly(blocks: list[tuple[int, int, int]]) -> list[list[int]]:
    """Blocks z, y, x as runs, one by one."""
    out: list[list[int]] = []
    for z, y, x in sorted(blocks):
        if out and out[-1][1:3] == [y, z] and out[-1][0] + out[-1][3] == x:
            out[-1][3] += 1
        else:
            out.append([x, y, z, 1])
    return out


@pytest.mark.parametrize("count", [1, 2, 5, 20, 60, 400])
@pytest.mark.parametrize("touch", [Touch(), Touch(5, "2026-11-22T13:20:30Z", "someone", "é")], ids=["posted", "edited"])
def test_small_indices_say_the_same_as_large_ones(count: int, touch: Touch) -> None:
    rows = rows_of(count)
    body = Body(rows=rows, touch=touch)
    blocks = distinct(rows.blocks, None)
    names = [tuple(p) for p in unpack_blocks(blocks).tolist()]
    assert block_runs(blocks).tolist() == runs_slowly(names)
    low, high = box_of_blocks(blocks)
    assert (low, high) == (tuple(np.min(names, axis=0)), tuple(np.max(names, axis=0)))
    small = blocks_of_small(body.pack())
    assert (small is not None) == (len(rows) <= MOST)
    if small is not None:
        assert small == (rows.total, blocks.tolist())
        assert box_of_small(small[1]) == (low, high)
        assert runs_of_small(small[1]) == block_runs(blocks).tobytes()


def test_an_index_with_surfaces_or_segments_is_for_others() -> None:
    rows = rows_of(5)
    assert blocks_of_small(Body(rows=rows, surfaces=(rows.blocks, rows.blocks)).pack()) is None
    assert blocks_of_small(Body(segments=cut(rows, 7)[0]).pack()) is None


@pytest.mark.parametrize("limits", [None, ((-2, -9000, -1), (3, 9000, 2))], ids=["all", "within"])
def test_frames_of_many_indices_are_those_of_each(
    limits: tuple[tuple[int, int, int], tuple[int, int, int]] | None,
) -> None:
    touch = Touch(5, "2026-11-22T13:20:30Z", "someone", "é")
    bodies = [Body(rows=rows_of(n, n), touch=touch if n % 2 else Touch()) for n in range(1, 60)]
    surfaces = rows_of(3).blocks
    bodies.append(Body(rows=rows_of(9), touch=touch, surfaces=(surfaces, surfaces)))
    bodies.insert(7, Body(segments=cut(rows_of(30), 7)[0]))
    labels = [2**64 - 100 + n for n in range(len(bodies))]
    frames, ends = _frames(labels, [body.pack() for body in bodies], limits)
    assert np.flatnonzero(ends < 0).tolist() == [7]
    at = 0
    for label, body, end in zip(labels, bodies, ends.tolist()):
        if body.rows is not None:
            runs = block_runs(distinct(body.rows.blocks, limits))
            assert frames[at:end] == label.to_bytes(8, "little") + len(runs).to_bytes(4, "little") + runs.tobytes()
            at = end
    assert at == len(frames)
    assert _frames([1], [bodies[5].pack()[:-1]], None)[1].tolist() == [-1]


def test_blocks_of_segments_are_those_of_their_rows() -> None:
    rows = rows_of(400, 1)
    far = Rows(rows.blocks + np.uint64(5000 << 21), rows.supervoxels, rows.voxels)
    for part in (rows, far):
        segments, stored = cut(part, 9)
        assert np.array_equal(_unpacked_blocks(stored, segments.cells, None), np.unique(part.blocks))
        limits = (-2, -9000, -1), (3, 9000, 2)
        inside = [
            tuple(p) for p in unpack_blocks(np.unique(part.blocks)).tolist() if -2 <= p[0] <= 3 and -1 <= p[2] <= 2
        ]
        found = _unpacked_blocks(stored, segments.cells, limits)
        assert [tuple(p) for p in unpack_blocks(found).tolist()] == inside


def test_blocks_of_lower_scales_are_those_above() -> None:
    blocks = np.unique(rows_of(60).blocks)
    for scale in (0, 1, 2, 30):
        wanted = sorted({tuple(n >> scale for n in p) for p in unpack_blocks(blocks).tolist()})
        assert [tuple(p) for p in unpack_blocks(coarser(blocks, scale)).tolist()] == wanted


# -- streams


@pytest.mark.parametrize("memory", [0, 100, 10**6])
def test_a_pile_gives_back_what_was_put_on_it(tmp_path: Path, memory: int) -> None:
    rng = random.Random(memory)
    with Pile(tmp_path, memory) as pile:
        whole = b""
        for _ in range(50):
            piece = rng.randbytes(rng.randrange(30))
            pile.add(memoryview(piece))
            whole += piece
            start, size = rng.randrange(len(whole) + 1), rng.randrange(60)
            assert pile.read(start, size) == whole[start : start + size]
        assert pile.nbytes == len(whole)
        assert pile.in_memory == (memory >= len(whole))
    assert list(tmp_path.iterdir()) == []


PIECES = [
    [b""], [b"x"], [b"abc" * 10], [bytes(100_000)], [bytes(5), b"y" * 3, bytes(1)], [b"q" * 3] * 50,
    [bytes(range(256)) * 3] * 4, [random.Random(n).randbytes(n * 37) for n in range(1, 30)],
    [bytes(70_000), random.Random(1).randbytes(70_000), bytes(3)],
]  # fmt: skip


@pytest.mark.parametrize("pieces", PIECES, ids=range(len(PIECES)))
def test_packed_streams_are_one_gzip_member_or_one_lz4_block(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    for packer in (GzipPacker(), Lz4Packer()):
        data = b"".join([*(packer.add(piece) for piece in pieces), packer.end()])
        if isinstance(packer, GzipPacker):
            assert gzip.decompress(data) == whole
        else:
            assert lz4.block.decompress(data, uncompressed_size=len(whole)) == whole


def test_a_packed_stream_of_runs_is_small() -> None:
    runs = np.array([[10, n % 64, n // 64, 20] for n in range(300_000)], "<i4").tobytes()
    packer = Lz4Packer()
    data = b"".join([*(packer.add(runs[at : at + SENT]) for at in range(0, len(runs), SENT)), packer.end()])
    assert lz4.block.decompress(data, uncompressed_size=len(runs)) == runs
    assert len(data) < len(lz4.block.compress(runs, store_size=False)) * 1.1 + 1000


# -- distances


@pytest.mark.parametrize("shape", [(1, 1, 2), (8, 16, 24), (16, 16, 16)])
@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.6])
def test_the_nearest_voxels_are_found(shape: tuple[int, int, int], share: float) -> None:
    rng = np.random.default_rng(int(1000 * share))
    for _ in range(10):
        first, second = (rng.random((2, *shape)) < share).astype(np.uint8)
        first.flat[rng.integers(first.size)] = 1
        second.flat[rng.integers(second.size)] = 1
        between = np.argwhere(first)[:, None] - np.argwhere(second)[None]
        assert kernels().nearest(first, second) == (between**2).sum(axis=2).min()


def test_the_search_for_the_nearest_voxels_releases_the_gil() -> None:
    first, second = np.zeros((2, 128, 128, 128), np.uint8)
    first[:20], second[90:] = 1, 1
    kernels()
    assert_releases_gil(lambda: kernels().nearest(first, second))
