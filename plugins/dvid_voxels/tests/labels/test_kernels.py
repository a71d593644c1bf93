"""How kernels are loaded and kept, and that they let others run."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dvid_core.testing import assert_releases_gil
from dvid_voxels import labels
from dvid_voxels.geometry import Box
from dvid_voxels.labels import Blocks

from . import slow

SIZE = (64, 64, 64)
WHOLE = Box((0, 0, 0), (128, 128, 128))


@pytest.fixture(scope="module")
def voxels() -> slow.Array:
    return np.tile(slow.volume("few", (32, 32, 32)), (4, 4, 4))


@pytest.fixture(scope="module")
def blocks(voxels: slow.Array) -> Blocks:
    grid = Box((0, 0, 0), (2, 2, 2))
    return Blocks.of(zip(grid.points(), labels.encode_blocks(voxels, SIZE)), SIZE)


KERNELS: dict[str, Callable[[Blocks, slow.Array], Any]] = {
    "check": lambda blocks, voxels: labels.check(blocks[0], SIZE),
    "counts": lambda blocks, voxels: blocks.counts(),
    "encode": lambda blocks, voxels: labels.encode_blocks(voxels, SIZE),
    "compact": lambda blocks, voxels: labels.compact(blocks[0]),
    "split": lambda blocks, voxels: labels.split(blocks[0], 5, np.empty((0, 4), np.int32), 1, 2),
    "downres": lambda blocks, voxels: labels.downres([blocks[n] for n in range(8)], SIZE),
    "assemble": lambda blocks, voxels: labels.assemble(blocks, WHOLE),
    "lz4": lambda blocks, voxels: labels.lz4_of(blocks, WHOLE),
    "google": lambda blocks, voxels: labels.google(blocks, WHOLE),
    "runs": lambda blocks, voxels: labels.runs(blocks, np.array([5], np.uint64)),
    "sparse_blocks": lambda blocks, voxels: labels.sparse_blocks(blocks, np.array([5], np.uint64)),
    "gunzip": lambda blocks, voxels: labels.gunzip(labels.gzipped(blocks[0]), labels.limit(SIZE)),
}


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_let_other_threads_run(name: str, blocks: Blocks, voxels: slow.Array) -> None:
    assert_releases_gil(KERNELS[name], blocks, voxels)


def run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        env={**os.environ, **environment}, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nothing_slow_is_imported_before_it_is_used() -> None:
    run(
        """
        import sys
        from dvid_voxels import labels
        assert "numba" not in sys.modules
        assert not labels.ready()
        block = labels.solid(3, (64, 64, 64))
        assert labels.size_of(block) == (64, 64, 64) and labels.is_solid(block)
        assert labels.table(labels.relabel(block, labels.table(block) + labels.table(block)))[0] == 6
        assert labels.gunzip(labels.gzipped(block), 24) == block
        assert "numba" not in sys.modules
        """
    )


def test_kernels_are_warmed_in_a_thread_while_others_use_them() -> None:
    run(
        """
        import threading
        from dvid_voxels import labels
        threads = [threading.Thread(target=labels.warm) for _ in range(3)]
        for thread in threads: thread.start()
        assert labels.label_at(labels.solid(3, (64, 64, 64)), 1, 2, 3) == 3
        for thread in threads: thread.join()
        assert labels.ready()
        """
    )


KERNEL = """
from numba import types
from dvid_voxels.labels.jit import LONGS, kernel
from .more import doubled

@kernel(types.int64, LONGS)
def total(array):
    found = 0
    for k in range(len(array)):
        found += doubled(array[k])
    return found
"""
MORE = """
from dvid_voxels.labels.jit import inner

@inner
def doubled(value):
    return {times} * value
"""
CLOSED = """
import tempfile

def refuse(**where):
    raise PermissionError(where)

tempfile.TemporaryFile = refuse
"""
"""As where the user may not write.  (Root may, everywhere.)"""

USE = """
import sys
import numpy as np
sys.path.insert(0, "{folder}")
from tiny.kernels import total
frozen = np.arange(5)
frozen.flags.writeable = False
assert total(frozen) == {times} * 10, total(frozen)
stats = total.stats
print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


class Tiny:
    """A package of one kernel, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.package = folder, folder / "tiny"
        self.package.mkdir()
        (self.package / "__init__.py").write_text("")
        (self.package / "kernels.py").write_text(KERNEL)
        self.change(2)

    def change(self, times: int) -> None:
        self.times = times
        (self.package / "more.py").write_text(MORE.format(times=times))

    def use(self, before: str = "", **environment: str) -> tuple[int, int]:
        """Call the kernel in a process of its own: how often it was found in the cache, and not."""
        environment.setdefault("NUMBA_CACHE_DIR", "")
        environment.setdefault("XDG_CACHE_HOME", str(self.folder / "home"))
        hits, misses = run(before + USE.format(folder=self.folder, times=self.times), **environment).split()
        return int(hits), int(misses)


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    (tmp_path / "source").mkdir()
    return Tiny(tmp_path / "source")


def test_a_kernel_is_kept_beside_its_sources(tiny: Tiny) -> None:
    assert tiny.use() == (0, 1)
    assert tiny.use() == (1, 0)
    assert list((tiny.package / "__pycache__").glob("*.nbi"))


def test_a_kernel_is_kept_where_the_environment_says(tiny: Tiny, tmp_path: Path) -> None:
    place = tmp_path / "cache"
    assert tiny.use(NUMBA_CACHE_DIR=str(place)) == (0, 1)
    assert tiny.use(NUMBA_CACHE_DIR=str(place)) == (1, 0)
    assert list(place.glob("*/*.nbi"))
    assert not list((tiny.package / "__pycache__").glob("*.nbi"))


def test_a_kernel_is_compiled_anew_when_what_it_calls_has_changed(tiny: Tiny) -> None:
    assert tiny.use() == (0, 1)
    tiny.change(3)
    assert tiny.use() == (0, 1)
    assert tiny.use() == (1, 0)


def test_a_kernel_works_where_nothing_can_be_written(tiny: Tiny, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    tiny.use(NUMBA_CACHE_DIR=str(blocked / "below"))
    assert not list(tmp_path.rglob("*.nbi"))


def test_a_kernel_works_when_what_was_kept_is_broken(tiny: Tiny) -> None:
    tiny.use()
    for kept in (tiny.package / "__pycache__").glob("*.nb?"):
        kept.write_bytes(b"broken")
    tiny.use()
    tiny.use()


def test_a_folder_that_was_filled_before_it_was_closed_is_used(tiny: Tiny) -> None:
    assert tiny.use(CLOSED) == (0, 1)
    assert not list(tiny.package.rglob("*.nbi"))
    tiny.use()
    assert tiny.use(CLOSED) == (1, 0)
    tiny.change(3)
    tiny.use(CLOSED)
