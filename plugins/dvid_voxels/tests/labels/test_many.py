"""`Blocks`: boxes of voxels, points and counts out of many blocks."""

from __future__ import annotations

from collections.abc import Iterator

import lz4.block
import numpy as np
import pytest

from dvid_voxels import labels
from dvid_voxels.geometry import Box
from dvid_voxels.labels import BadBlock, Blocks

from . import slow
from .slow import KINDS, SIZES, Array, Triple

GRID = Box((-1, 3, -2), (2, 2, 3))
"""The blocks of the volumes here; negative coordinates among them."""


class Scene:
    """A volume, some of its blocks, and what its boxes hold."""

    def __init__(self, kind: str, size: Triple, missing: tuple[int, ...] = ()) -> None:
        self.box = GRID.voxels(size)
        self.voxels = slow.volume(kind, self.box.size)
        found = dict(zip(GRID.points(), labels.encode_blocks(self.voxels, size)))
        for n in missing:
            at = list(found)[n]
            self.voxels[Box(at, (1, 1, 1)).voxels(size).slices(self.box)] = 0
        for n in sorted(missing, reverse=True):
            del found[list(found)[n]]
        self.found = found
        self.blocks = Blocks.of(found.items(), size)

    def part(self, box: Box) -> Array:
        """The voxels of a box, 0 outside."""
        out = np.zeros(box.size, np.uint64)
        shared = box.common(self.box)
        if shared is not None:
            out[shared.slices(box)] = self.voxels[shared.slices(self.box)]
        return out

    def boxes(self) -> Iterator[Box]:
        """The whole, single voxels and lines, and boxes at random that stick out."""
        rng = np.random.default_rng(1)
        yield self.box
        for size in ((1, 1, 1), (1, 1, 30), (1, 9, 1), (5, 1, 1), (1, 20, 20), (8, 8, 8)):
            low = [o + int(rng.integers(0, s)) for o, s in zip(self.box.low, self.box.size)]
            yield Box((low[0], low[1], low[2]), size)
        for _ in range(8):
            low = [o + int(rng.integers(-20, s)) for o, s in zip(self.box.low, self.box.size)]
            z, y, x = (int(n) for n in rng.integers(1, 50, 3))
            yield Box((low[0], low[1], low[2]), (z, y, x))
        yield Box((1000, 1000, 1000), (3, 4, 5))


@pytest.fixture(params=[(kind, size, gone) for kind in KINDS for size in SIZES for gone in ((), (0, 4, 11))], ids=str)
def scene(request: pytest.FixtureRequest) -> Scene:
    return Scene(*request.param)


def test_boxes_are_assembled(scene: Scene) -> None:
    for box in scene.boxes():
        assert np.array_equal(labels.assemble(scene.blocks, box), scene.part(box)), box


def test_lz4_unpacks_to_the_voxels(scene: Scene) -> None:
    for box in scene.boxes():
        wanted = scene.part(box).tobytes()
        packed = labels.lz4_of(scene.blocks, box)
        assert lz4.block.decompress(packed, uncompressed_size=len(wanted)) == wanted, box


@pytest.mark.parametrize("deep", [1, 3, 8, 20])
def test_pieces_of_lz4_are_joined(scene: Scene, deep: int) -> None:
    for box in scene.boxes():
        joiner = labels.Lz4Joiner()
        slabs = list(box.cut(0, deep))
        packed = b"".join(joiner.add(labels.lz4_piece(scene.blocks, b, last=b is slabs[-1])) for b in slabs)
        wanted = scene.part(box).tobytes()
        assert lz4.block.decompress(packed, uncompressed_size=len(wanted)) == wanted, box


def test_compressed_segmentation_has_the_voxels(scene: Scene) -> None:
    low = tuple(o + 8 for o in scene.box.low)
    aligned = Box((low[0], low[1], low[2]), (16, 8, 24))
    odd = Box((low[0] - 3, low[1] + 1, low[2] + 5), (8, 16, 16))
    for box in (aligned, odd, Box((800, 800, 800), (8, 8, 16))):
        assert np.array_equal(slow.google(labels.google(scene.blocks, box), box.size), scene.part(box))


def test_points_are_looked_up(scene: Scene) -> None:
    rng = np.random.default_rng(3)
    low, high = np.array(scene.box.low) - 30, np.array(scene.box.high) + 30
    points = rng.integers(low, high, (500, 3))
    wanted = [int(scene.part(Box((z, y, x), (1, 1, 1)))[0, 0, 0]) for z, y, x in points.tolist()]
    assert scene.blocks.labels_at(points).tolist() == wanted
    assert scene.blocks.labels_at(points[:0]).tolist() == []


def test_counts_are_those_of_each_block(scene: Scene) -> None:
    found = scene.blocks.counts()
    for n in range(len(scene.blocks)):
        one = labels.counts(scene.blocks[n])
        mine = found.block == n
        assert found.labels[mine].tolist() == one.labels.tolist()
        assert found.voxels[mine].tolist() == one.voxels.tolist()


def test_a_mapping_of_tables_maps_voxels(scene: Scene) -> None:
    before = labels.assemble(scene.blocks, scene.box)
    tables = scene.blocks.tables()
    mapped = scene.blocks.mapped(tables % np.uint64(3))
    assert np.array_equal(labels.assemble(mapped, scene.box), scene.voxels % np.uint64(3))
    packed = labels.lz4_of(mapped, scene.box)
    assert lz4.block.decompress(packed, uncompressed_size=before.nbytes) == (scene.voxels % np.uint64(3)).tobytes()
    assert np.array_equal(labels.assemble(scene.blocks, scene.box), before)
    assert sum(scene.blocks.entries) == len(tables)


def test_blocks_are_had_back(scene: Scene) -> None:
    assert [tuple(at) for at in scene.blocks.at.tolist()] == sorted(scene.found)
    assert [scene.blocks[n] for n in range(len(scene.blocks))] == [scene.found[at] for at in sorted(scene.found)]


def test_blocks_nobody_would_write_are_read_together() -> None:
    rng, size = np.random.default_rng(9), (16, 16, 24)
    box = Box((0, 0, 0), (2, 2, 2))
    found = {at: slow.random_block(size, rng) for at in box.points()}
    whole = box.voxels(size)
    voxels = np.zeros(whole.size, np.uint64)
    for at, block in found.items():
        voxels[Box(at, (1, 1, 1)).voxels(size).slices(whole)] = slow.decode(block)
    blocks = Blocks.of(found.items(), size)
    assert np.array_equal(labels.assemble(blocks, whole), voxels)
    assert lz4.block.decompress(labels.lz4_of(blocks, whole), uncompressed_size=voxels.nbytes) == voxels.tobytes()
    assert np.array_equal(slow.google(labels.google(blocks, whole), whole.size), voxels)


def test_no_blocks_are_zeros() -> None:
    blocks = Blocks.of([], (64, 64, 64))
    for size in ((1, 1, 1), (1, 1, 2), (3, 5, 700), (16, 64, 64)):
        box = Box((-5, 7, 9), size)
        zeros = np.zeros(size, np.uint64)
        assert np.array_equal(labels.assemble(blocks, box), zeros)
        assert lz4.block.decompress(labels.lz4_of(blocks, box), uncompressed_size=zeros.nbytes) == zeros.tobytes()
        joiner = labels.Lz4Joiner()
        packed = joiner.add(labels.lz4_piece(blocks, box, last=False)) + joiner.add(
            labels.lz4_piece(blocks, box, last=True)
        )
        assert lz4.block.decompress(packed, uncompressed_size=2 * zeros.nbytes) == bytes(2 * zeros.nbytes)
    assert not slow.google(labels.google(blocks, Box((0, 0, 0), (8, 16, 8))), (8, 16, 8)).any()
    assert blocks.labels_at(np.array([[0, 0, 0], [5, -3, 2**40]])).tolist() == [0, 0]
    assert len(blocks.counts().labels) == 0
    assert len(blocks.tables()) == 0
    assert blocks.box.count == 0
    assert len(labels.runs(blocks, np.array([1], np.uint64))) == 0


def test_lines_longer_than_a_match_can_reach_are_packed() -> None:
    size = (8, 16, 1024)
    grid = Box((0, 0, 0), (1, 1, 9))
    voxels = slow.volume("few", grid.voxels(size).size)
    voxels[:, :, 100:8000] = 5
    blocks = Blocks.of(zip(grid.points(), labels.encode_blocks(voxels, size)), size)
    for width in (9216, 8192, 8191, 8190):
        box = Box((0, 0, 3), (8, 16, min(width, 9213)))
        wanted = voxels[:, :, 3 : 3 + box.size[2]].tobytes()
        assert lz4.block.decompress(labels.lz4_of(blocks, box), uncompressed_size=len(wanted)) == wanted


def test_compressed_segmentation_needs_sides_that_are_multiples_of_8() -> None:
    blocks = Blocks.of([((0, 0, 0), labels.zero((16, 16, 16)))], (16, 16, 16))
    for size in ((8, 8, 7), (12, 8, 8), (0, 8, 8)):
        with pytest.raises(ValueError, match="multiples of 8"):
            labels.google(blocks, Box((0, 0, 0), size))


def test_far_away_blocks_are_told_apart() -> None:
    size = (16, 16, 16)
    places = [(-(2**27), 2**27, 0), (0, 0, 0), (2**27, -(2**27), 2**27), (0, 0, 2**27)]
    blocks = Blocks.of([(at, labels.solid(n + 1, size)) for n, at in enumerate(places)], size)
    points = np.array(places, np.int64) * 16 + 5
    assert blocks.labels_at(points).tolist() == [1, 2, 3, 4]
    assert blocks.labels_at(points + 16).tolist() == [0] * 4
    assert blocks.labels_at(points[[0, 1]][:, ::-1]).tolist() == [0, 2]


def test_of_several_blocks_at_one_place_the_last_counts() -> None:
    size = (16, 16, 16)
    blocks = Blocks.of([((0, 0, 0), labels.solid(1, size)), ((0, 0, 0), labels.solid(2, size))], size)
    assert blocks.tables().tolist() == [2]


def test_a_block_of_another_size_is_refused_by_name() -> None:
    with pytest.raises(BadBlock, match=r"\(1, 2, 3\)"):
        Blocks.of([((0, 0, 0), labels.zero((16, 16, 16))), ((1, 2, 3), labels.zero((16, 16, 32)))], (16, 16, 16))


def test_noise_is_packed_in_little_more_than_its_size() -> None:
    size = (32, 32, 32)
    voxels = slow.volume("noise", size)
    packed = labels.lz4_of(Blocks.of([((0, 0, 0), labels.encode(voxels))], size), Box((0, 0, 0), size))
    assert len(packed) < voxels.nbytes * 1.01
