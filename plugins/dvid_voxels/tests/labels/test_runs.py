"""Sparse volumes out of blocks, and runs as they are posted."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from numpy.typing import NDArray

from dvid_voxels import labels
from dvid_voxels.geometry import Box
from dvid_voxels.labels import BadRuns, Blocks

from . import slow
from .slow import SIZES, Array, Triple

GRID = Box((-1, 0, -2), (2, 2, 4))


def of(*found: int) -> Array:
    return np.array(found, np.uint64)


def marked(rows: NDArray[np.int32], box: Box) -> NDArray[np.int64]:
    """How often each voxel of a box is in a run; none is outside of it."""
    x, y, z, n = (rows.astype(np.int64) - (*box.low[::-1], 0)).T
    depth, height, width = box.size
    assert np.all(n > 0) and np.all(rows[:, :3] >= box.low[::-1]) and np.all(x + n <= width)
    edges = np.zeros((depth, height, width + 1), int)
    np.add.at(edges, (z, y, x), 1)
    np.add.at(edges, (z, y, x + n), -1)
    found: NDArray[np.int64] = edges.cumsum(axis=2)[:, :, :-1]
    return found


class Scene:
    def __init__(self, kind: str, size: Triple, missing: tuple[int, ...] = ()) -> None:
        self.size, self.box = size, GRID.voxels(size)
        self.voxels = slow.volume(kind, self.box.size, 4)
        found = list(zip(GRID.points(), labels.encode_blocks(self.voxels, size)))
        for n in missing:
            self.voxels[Box(found[n][0], (1, 1, 1)).voxels(size).slices(self.box)] = 2**50
        self.blocks = Blocks.of([pair for n, pair in enumerate(found) if n not in missing], size)


@pytest.fixture(
    params=[(kind, size, gone) for kind in ("flat", "cells", "few") for size in SIZES for gone in ((), (1, 6))], ids=str
)
def scene(request: pytest.FixtureRequest) -> Scene:
    return Scene(*request.param)


def test_runs_are_the_voxels_of_the_labels(scene: Scene) -> None:
    known = np.unique(scene.voxels)
    for chosen in (known[:1], known[-1:], known[:2], known, of(123456), of()):
        rows = labels.runs(scene.blocks, chosen)
        wanted = np.isin(scene.voxels, chosen) & (scene.voxels != 2**50)
        assert np.array_equal(marked(rows, scene.box), wanted)


def test_runs_are_clipped_exactly(scene: Scene) -> None:
    rng = np.random.default_rng(0)
    chosen = np.unique(scene.voxels)[:2]
    wanted = np.isin(scene.voxels, chosen) & (scene.voxels != 2**50)
    for _ in range(20):
        corners = np.sort(rng.integers(-3, np.array(scene.box.size) + 4, (2, 3)), axis=0) + scene.box.low
        z, y, x = corners[0].tolist()
        dz, dy, dx = (corners[1] - corners[0] + 1).tolist()
        box = Box((z, y, x), (dz, dy, dx))
        inside = np.zeros(scene.box.size, bool)
        shared = box.common(scene.box)
        if shared is not None:
            inside[shared.slices(scene.box)] = True
        assert np.array_equal(marked(labels.runs(scene.blocks, chosen, box), scene.box), wanted & inside), box


def test_runs_go_on_from_block_to_block() -> None:
    scene = Scene("flat", (16, 16, 16))
    rows = labels.runs(scene.blocks, of(7))
    assert set(rows[:, 3].tolist()) == {64}
    assert len(rows) == 32 * 32
    assert labels.count_runs(rows) == scene.voxels.size


def test_runs_come_in_order_of_blocks() -> None:
    rows = labels.runs(Scene("cells", (16, 16, 16)).blocks, of(0))
    keys = [(z // 16, y // 16, z, y, x) for x, y, z, _ in rows.tolist()]
    assert keys == sorted(keys)


def test_coordinates_that_do_not_fit_are_refused() -> None:
    size = (16, 16, 16)
    edge = Blocks.of([((0, 0, 2**27 - 1), labels.solid(1, size))], size)
    assert labels.runs(edge, of(1))[0].tolist() == [2**31 - 16, 0, 0, 16]
    for at in ((0, 0, 2**27), (0, -(2**27) - 1, 0)):
        with pytest.raises(ValueError, match="32 bits"):
            labels.runs(Blocks.of([(at, labels.solid(1, size))], size), of(1))


def unpacked(data: bytes, size: Triple, box: Box) -> NDArray[np.int64]:
    """The voxels of `sparsevol?format=blocks` without its head."""
    out, at = np.zeros(box.size, int), 0
    depth, rows, width = size
    while at < len(data):
        x, y, z, flag = struct.unpack_from("<3iB", data, at)
        at += 13
        block = np.zeros(size, int)
        assert flag in (1, 2)
        if flag == 1:
            block[:] = 1
        else:
            for n in range(depth * rows * width // 512):
                cz, cy, cx = np.unravel_index(n, (depth // 8, rows // 8, width // 8))
                cell = block[8 * cz : 8 * cz + 8, 8 * cy : 8 * cy + 8, 8 * cx : 8 * cx + 8]
                cell[:] = data[at] == 1
                at += 1
                if data[at - 1] == 2:
                    bits = np.unpackbits(np.frombuffer(data, np.uint8, 64, at), bitorder="little")
                    assert 0 < bits.sum() < 512
                    cell[:] = bits.reshape(8, 8, 8)
                    at += 64
            assert 0 < block.sum() < block.size
        out[Box((z, y, x), size).slices(box)] += block
    return out


def test_bit_masks_are_the_voxels_of_the_labels(scene: Scene) -> None:
    known = np.unique(scene.voxels)
    for chosen in (known[:1], known[:2], known, of(123456), of()):
        data = labels.sparse_blocks(scene.blocks, chosen)
        wanted = np.isin(scene.voxels, chosen) & (scene.voxels != 2**50)
        assert np.array_equal(unpacked(data, scene.size, scene.box), wanted)


def test_bounds_choose_whole_blocks_of_bit_masks() -> None:
    scene = Scene("flat", (16, 16, 16))
    data = labels.sparse_blocks(scene.blocks, of(7), Box((-1, 15, 5), (2, 1, 12)))
    found = unpacked(data, scene.size, scene.box)
    wanted = np.zeros(scene.box.size, int)
    wanted[:, :16, 32:] = 1
    assert np.array_equal(found, wanted)


def posted(rows: object, number: int | None = None, kind: int = 0) -> bytes:
    data = np.array(rows, "<i4").reshape(-1, 4)
    return struct.pack("<4B2I", kind, 9, 9, 9, 77, len(data) if number is None else number) + data.tobytes()


def test_posted_runs_are_read() -> None:
    rows = [[1, 2, 3, 4], [-5, -6, -7, 2**31 - 1], [2**31 - 1, 0, 0, 1]]
    assert labels.parse_runs(posted(rows) + b"more").tolist() == rows
    assert labels.parse_runs(posted([])).tolist() == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        bytes(11),
        posted([[0, 0, 0, 1]], kind=1),
        posted([[0, 0, 0, 1]])[:-1],
        posted([[0, 0, 0, 1]], number=2**32 - 1),
        posted([[0, 0, 0, 0]]),
        posted([[0, 0, 0, 1], [0, 0, 0, -1]]),
        posted([[1, 0, 0, 2**31 - 1], [2, 0, 0, 2**31 - 1]]),
    ],
)
def test_posted_runs_that_are_none_are_refused(body: bytes) -> None:
    with pytest.raises(BadRuns):
        labels.parse_runs(body)


def test_runs_with_more_voxels_than_there_are_are_refused() -> None:
    rows = np.array([[0, 0, 0, 2**31 - 1]] * 5, np.int32)
    assert labels.count_runs(rows) == 5 * (2**31 - 1)
    with pytest.raises(BadRuns, match="more than the 100"):
        labels.fit_runs(rows, 100)
    labels.fit_runs(rows, 5 * (2**31 - 1))


def test_runs_are_cut_at_the_faces_of_blocks() -> None:
    rng = np.random.default_rng(0)
    size = (16, 32, 24)
    rows = np.concatenate([rng.integers(-50, 50, (200, 3)), rng.integers(1, 90, (200, 1))], axis=1).astype(np.int32)
    at, starts, pieces = labels.runs_by_block(rows, size)
    assert [*map(tuple, at.tolist())] == sorted({*map(tuple, at.tolist())})
    box = Box((-64, -64, -72), (128, 128, 216 + 24))
    found = np.zeros(box.size, int)
    for place, start, stop in zip(at.tolist(), starts, starts[1:]):
        assert stop > start
        for x, y, z, n in pieces[start:stop].tolist():
            assert 0 <= x < x + n <= 24
            assert 0 <= y < 32
            assert 0 <= z < 16
            z, y, x = z + 16 * place[0] + 64, y + 32 * place[1] + 64, x + 24 * place[2] + 72
            found[z, y, x : x + n] += 1
    assert np.array_equal(found, marked(rows, box))
    empty = labels.runs_by_block(rows[:0], size)
    assert [len(part) for part in empty] == [0, 1, 0]


def test_runs_that_were_had_split_the_blocks_again() -> None:
    scene = Scene("cells", (16, 16, 16))
    label = int(scene.voxels[20, 20, 30])
    rows = labels.runs(scene.blocks, of(label))
    at, starts, pieces = labels.runs_by_block(rows, scene.size)
    total = 0
    for place, start, stop in zip(at.tolist(), starts, starts[1:]):
        n = [tuple(p) for p in scene.blocks.at.tolist()].index(tuple(place))
        new, moved = labels.split(scene.blocks[n], label, pieces[start:stop], 2**40, 2**41)
        assert 2**41 not in labels.table(new)
        total += moved
    assert total == labels.count_runs(rows) == (scene.voxels == label).sum()
