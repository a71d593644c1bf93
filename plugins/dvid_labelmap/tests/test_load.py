"""Segmentations from files: the command `dvid load`, and POST load."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import numpy as np
import pytest
import tensorstore as ts
import tifffile
from click.testing import CliRunner, Result

from dvid_core.testing.fixtures import RunningServer
from dvid_core.testing.process import process_of
from dvid_voxels.load import slabs
from dvid_voxels.load.command import load
from dvid_voxels.load.remote import Gone, Remote

from .segmentation import SIDE, Array, Segmentation, Triple, cells, halved, new_segmentation

SIZE: Triple = (40, 50, 70)
"""No multiple of the blocks' sides."""


async def run(seg: Segmentation, *words: str) -> Result:
    """The command's outcome, whatever it is."""
    place = [seg.uuid, seg.name, *words, "--rpc", seg.api.url.removeprefix("http://")]
    return await asyncio.to_thread(CliRunner().invoke, load, place)


async def loaded(seg: Segmentation, *words: str) -> str:
    """What it said when it ended well."""
    result = await run(seg, *words)
    assert result.exit_code == 0, result.output
    return result.output


async def refused(seg: Segmentation, *words: str) -> str:
    """What it said when it did not."""
    result = await run(seg, *words)
    assert result.exit_code != 0, result.output
    return result.output


@pytest.fixture
def small_slabs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of one block."""
    for name in ("CUBE", "LABEL_STRIP"):
        monkeypatch.setattr(slabs, name, 8 * SIDE**3)


def n5(path: Path, voxels: Array) -> list[str]:
    spec = {"driver": "n5", "kvstore": f"file://{path}/s0", "create": True}
    ts.open(spec, dtype="uint64", shape=voxels.shape[::-1]).result()[...] = voxels.T
    return [str(path), "--dataset", "s0"]


def zarr(path: Path, voxels: Array) -> list[str]:
    spec = {"driver": "zarr3", "kvstore": f"file://{path}", "create": True}
    ts.open(spec, dtype="uint32", shape=voxels.shape).result()[...] = voxels.astype(np.uint32)
    return [str(path)]


def hdf5(path: Path, voxels: Array) -> list[str]:
    with h5py.File(path, "w") as file:
        file.create_dataset("labels", data=voxels, chunks=(8, 16, 16), compression="gzip")
    return [str(path), "--dataset", "labels"]


def tiff(path: Path, voxels: Array) -> list[str]:
    tifffile.imwrite(path.with_suffix(".tif"), voxels.astype(np.uint16), photometric="minisblack")
    return [str(path.with_suffix(".tif"))]


def precomputed(path: Path, voxels: Array, origin: Triple = (0, 0, 0)) -> list[str]:
    z, y, x = voxels.shape
    scale = {
        "size": [x, y, z], "resolution": [8, 8, 8], "voxel_offset": origin[::-1], "chunk_size": [32, 32, 32],
        "encoding": "compressed_segmentation", "compressed_segmentation_block_size": [8, 8, 8],
    }  # fmt: skip
    spec = {
        "driver": "neuroglancer_precomputed", "kvstore": f"file://{path}/", "create": True, "scale_metadata": scale,
        "multiscale_metadata": {"type": "segmentation", "data_type": "uint64", "num_channels": 1},
    }  # fmt: skip
    ts.open(spec).result()[...] = voxels.T[..., None]
    return [str(path)]


def whole(voxels: Array, low: Triple = (0, 0, 0)) -> tuple[Triple, Array]:
    """The first block of a volume, and the voxels of all its blocks."""
    first = tuple(n // SIDE for n in low)
    after = tuple(n - SIDE * f for n, f in zip(low, first))
    size = tuple(-(-(a + n) // SIDE) * SIDE for a, n in zip(after, voxels.shape))
    out = np.zeros(size, np.uint64)
    out[tuple(slice(a, a + n) for a, n in zip(after, voxels.shape))] = voxels
    return first, out  # type: ignore[return-value]


async def check(seg: Segmentation, voxels: Array, low: Triple = (0, 0, 0)) -> None:
    """Demand that all of it is there, with its indices and lower scales, and nothing else."""
    first, blocks = whole(voxels, low)
    start: Triple = tuple(SIDE * f for f in first)  # type: ignore[assignment]
    assert (await seg.get(start, blocks.shape) == blocks).all()
    await seg.check_indices(first, blocks)
    if not any(first):
        coarse = halved(np.pad(blocks, [(0, -n % 64) for n in blocks.shape]))
        assert (await seg.get((0, 0, 0), coarse.shape, "?scale=1") == coarse).all()
        assert (await seg.get((0, 0, 0), halved(coarse).shape, "?scale=2") == halved(coarse)).all()


@pytest.mark.usefixtures("small_slabs")
@pytest.mark.parametrize("form", [n5, zarr, hdf5, tiff, precomputed])
async def test_every_kind_of_file_becomes_a_segmentation(
    seg: Segmentation, tmp_path: Path, form: Callable[[Path, Array], list[str]]
) -> None:
    voxels = cells(SIZE, first=1, count=40)
    said = await loaded(seg, *form(tmp_path / "v", voxels))
    assert "70 x 50 x 40 voxels" in said
    await check(seg, voxels)
    [note] = (await seg.ask("GET", "load")).json().values()
    assert note["done"] == note["of"] == 3 * 4 * 5


async def test_a_volume_lies_where_it_says_or_where_it_is_told(seg: Segmentation, tmp_path: Path) -> None:
    voxels = cells((20, 30, 40))
    words = precomputed(tmp_path / "v", voxels, (-8, 16, 5))
    await loaded(seg, *words)
    await check(seg, voxels, (-8, 16, 5))
    other = await new_segmentation(seg.api)
    await loaded(other, *words, "--offset", "7,-3,0", "--dataset", "8_8_8")
    await check(other, voxels, (0, -3, 7))
    assert "8_8_8" in await refused(other, *words, "--dataset", "4_4_4")


@pytest.mark.usefixtures("small_slabs")
async def test_what_lies_around_a_volume_stays(seg: Segmentation, tmp_path: Path) -> None:
    before = cells((48, 64, 80), seed=1)
    await seg.put((0, 0, 0), before)
    # Voxels keep their supervoxels also where these are mapped.
    await seg.ask("POST", "mappings", b"\x0a\x05\x10\x02\x1a\x01\x01")
    voxels = cells((21, 33, 45), seed=2, first=100)
    await loaded(seg, *hdf5(tmp_path / "v.h5", voxels), "--offset", "9,7,5")
    after = before.copy()
    after[5:26, 7:40, 9:54] = voxels
    assert (await seg.get((0, 0, 0), after.shape, "?supervoxels=true") == after).all()


class Watched:
    """Stands for `Remote.ask`: counts the blocks that are posted, and can break the connection."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, after: int = 10**9) -> None:
        self.posts = 0
        self.notes: list[int] = []
        self.after = after
        self.reached = threading.Event()
        lock = threading.Lock()
        ask = Remote.ask

        def watched(remote: Remote, method: str, path: str, *rest: Any, **options: str) -> bytes:
            if path == "blocks":
                with lock:
                    if self.posts == self.after:
                        self.reached.set()
                        raise Gone("the cable is out")
                    self.posts += 1
            return ask(remote, method, path, *rest, **options)

        monkeypatch.setattr(Remote, "ask", watched)


@pytest.mark.usefixtures("small_slabs")
async def test_a_load_that_broke_off_goes_on(
    seg: Segmentation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voxels = cells((64, 64, 64), count=30)
    words = n5(tmp_path / "v", voxels)
    with monkeypatch.context() as patch:
        Watched(patch, after=20)
        assert "the cable is out" in await refused(seg, *words)
    [note] = (await seg.ask("GET", "load")).json().values()
    assert 0 < note["done"] <= 20 and note["of"] == 64
    with monkeypatch.context() as patch:
        second = Watched(patch)
        assert f"{note['done']} of 64 parts are there" in await loaded(seg, *words)
    assert second.posts == 64 - note["done"]
    await check(seg, voxels)
    with monkeypatch.context() as patch:
        third = Watched(patch)
        assert "--anew" in await loaded(seg, *words)
        assert third.posts == 0


async def test_a_server_that_was_killed_in_a_load_has_all_of_it_after_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voxels = cells((64, 64, 64), count=30)
    words = n5(tmp_path / "v", voxels)
    monkeypatch.setattr(slabs, "CUBE", 8 * SIDE**3)
    async with process_of(tmp_path, plugins=["dvid_labelmap"]) as server:
        seg = await new_segmentation(server)
        with monkeypatch.context() as patch:
            watched = Watched(patch, after=20)
            loading = asyncio.create_task(run(seg, *words))
            assert await asyncio.to_thread(watched.reached.wait, 60)
            await server.kill()
            assert (await loading).exit_code != 0
        await server.start()
        await loaded(seg, *words)
        await check(seg, voxels)


async def test_what_does_not_fit_is_refused_before_anything_is_sent(seg: Segmentation, tmp_path: Path) -> None:
    for kind, dtype in (("int64", np.int64), ("float32", np.float32)):
        path = tmp_path / f"{kind}.h5"
        with h5py.File(path, "w") as file:
            file["labels"] = np.ones((4, 4, 4), dtype)
        assert kind in await refused(seg, str(path))
    await seg.api.commit(seg.uuid)
    assert "committed" in await refused(seg, *hdf5(tmp_path / "v.h5", cells((16, 16, 16))))
    assert (await seg.ask("GET", "info")).json()["Extended"]["MinPoint"] is None


# -- POST load


def tiff_body(voxels: Array) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, voxels, photometric="minisblack", compression="zlib")
    return file.getvalue()


async def test_a_posted_tiff_is_written_with_its_indices(seg: Segmentation) -> None:
    voxels = cells((32, 32, 48))
    answer = await seg.ask("POST", "load/0_0_0", tiff_body(voxels.astype(np.uint16)))
    assert (answer.status, answer.json()) == (200, {"MinPoint": [0, 0, 0], "MaxPoint": [47, 31, 31]})
    await check(seg, voxels)


async def test_a_posted_tiff_that_does_not_fit_is_refused(seg: Segmentation, server: RunningServer) -> None:
    assert "multiple" in await seg.refused("POST", "load/0_0_5", tiff_body(cells((16, 16, 16)).astype(np.uint16)))
    assert "multiple" in await seg.refused("POST", "load", tiff_body(cells((16, 16, 17)).astype(np.uint16)))
    assert "float32" in await seg.refused("POST", "load", tiff_body(np.ones((16, 16, 16), np.float32)))
    assert "none of" in await seg.refused("POST", "load", b"nothing of the kind")
    assert await seg.labels() == []


async def test_notes_of_loads_are_checked(seg: Segmentation) -> None:
    note = '{"source": "v", "offset": [0,0,0], "size": [1,1,1], "done": 2, "of": 1}'
    assert "done" in await seg.refused("PUT", "load/abc", note)
    assert "id" in await seg.refused("PUT", "load/XYZ", note.replace("2", "1"))
    assert (await seg.ask("GET", "load/abc")).status == 404
