"""How long the kernels take: `python measure.py [LABELS.npy]`, an array (z, y, x) of uint64, sides multiples of 128.

Without a file it makes cells with ragged faces, 256 voxels a side.  Times are the processor time of one thread, the
best of five.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from dvid_voxels import labels
from dvid_voxels.geometry import Box

SIZE = (64, 64, 64)


def ragged() -> Any:
    """About as many faces as a segmentation of neurons has."""
    rng = np.random.default_rng(0)
    place = np.stack(np.indices((64, 64, 64)), axis=-1).reshape(-1, 3)
    seeds = rng.random((60, 3)) * 64
    nearest = np.stack([((place - seed) ** 2).sum(axis=1) for seed in seeds]).argmin(axis=0)
    cells = nearest.reshape(64, 64, 64).repeat(4, 0).repeat(4, 1).repeat(4, 2)
    shift = rng.integers(0, 3, (256, 256, 1))
    z, y = np.ogrid[:256, :256]
    return (cells[z[..., None], y[..., None], (np.arange(256) + shift) % 256] + 2**40).astype(np.uint64)


def show(name: str, work: Callable[[], Any]) -> Any:
    times = []
    for _ in range(5):
        begin = time.thread_time()
        found = work()
        times.append(time.thread_time() - begin)
    print(f"{name:44}{min(times) * 1e3:9.2f} ms")
    return found


def main() -> None:
    begin = time.perf_counter()
    labels.warm()
    print(f"{'load the kernels, wall time':44}{(time.perf_counter() - begin) * 1e3:9.2f} ms")
    voxels = np.load(sys.argv[1]) if len(sys.argv) > 1 else ragged()
    box = Box((0, 0, 0), voxels.shape)
    grid = box.blocks(SIZE)
    packed = show(f"encode_blocks, {grid.count} blocks", lambda: labels.encode_blocks(voxels, SIZE))
    blocks = dict(zip(grid.points(), packed))
    print(f"{'bytes of a block':44}{sum(map(len, packed)) / len(packed):9.0f}")
    gzips = show("gzipped", lambda: [labels.gzipped(block) for block in packed])
    print(f"{'bytes of a gzip of one':44}{sum(map(len, gzips)) / len(gzips):9.0f}")
    limit = labels.limit(SIZE)
    show("gunzip", lambda: [labels.gunzip(block, limit) for block in gzips])
    show("examine", lambda: [labels.examine(block, SIZE) for block in packed])
    parents = Box((0, 0, 0), tuple(n // 2 for n in grid.size))  # type: ignore[arg-type]
    octants = list(Box((0, 0, 0), (2, 2, 2)).points())
    show(
        f"downres, {parents.count} parents",
        lambda: [
            labels.downres([blocks[2 * z + a, 2 * y + b, 2 * x + c] for a, b, c in octants], SIZE)
            for z, y, x in parents.points()
        ],
    )
    found = show("Blocks.of", lambda: labels.Blocks.of(blocks.items(), SIZE))
    show("Blocks.mapped", lambda: found.mapped(found.tables()))
    cube = Box((0, 0, 0), tuple(min(256, n) for n in box.size))  # type: ignore[arg-type]
    some = [(at, block) for at, block in blocks.items() if all(n < 4 for n in at)]
    show(f"assemble {cube.size}", lambda: labels.assemble(labels.Blocks.of(some, SIZE), cube))
    lz4 = show(f"lz4_of {cube.size}", lambda: labels.lz4_of(labels.Blocks.of(some, SIZE), cube))
    print(f"{'bytes of it':44}{len(lz4):9}")
    one = Box((0, 0, 0), SIZE)
    show("lz4_of 64 cubed", lambda: labels.lz4_of(labels.Blocks.of(some[:1], SIZE), one))
    show("google 64 cubed", lambda: labels.google(labels.Blocks.of(some[:1], SIZE), one))
    ids, voxels_of = np.unique(voxels[::4, ::4, ::4], return_counts=True)
    most = ids[np.argmax(voxels_of)][None]
    show("runs of the largest label", lambda: labels.runs(found, most))
    show("sparse_blocks of it", lambda: labels.sparse_blocks(found, most))
    points = np.random.default_rng(0).integers(0, box.size, (10_000, 3))
    show("labels_at, 10,000 points", lambda: found.labels_at(points))
    show("label_at, 1,000 times", lambda: [labels.label_at(packed[0], 63, 63, 63) for _ in range(1000)])


if __name__ == "__main__":
    main()
