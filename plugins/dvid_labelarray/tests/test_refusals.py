"""Bad input: a clear 400, and nothing changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dvid_core.testing.fixtures import RunningServer
from dvid_voxels.testing.volume import cells, sparse

from .bodies import Bodies, new_bodies, runs

FAR = 2**31 - 1

BAD = [
    ("POST", "merge", b""),
    ("POST", "merge", b"[]"),
    ("POST", "merge", b"[1]"),
    ("POST", "merge", b"[1, 1]"),
    ("POST", "merge", b"[0, 1]"),
    ("POST", "merge", b"[1, 2.5]"),
    ("POST", "merge", b"[1, 18446744073709551616]"),
    ("POST", "merge", b"[" * 100_000),
    ("POST", "merge", b"[1, " + b"9" * 5000 + b"]"),
    ("POST", "split/5", b""),
    ("POST", "split/5", runs()),
    ("POST", "split/5", runs((0, 0, 0, 0))),
    ("POST", "split/5", runs((0, 0, 0, -1))),
    ("POST", "split/5", runs((0, 0, 0, FAR))),
    ("POST", "split/5", runs((FAR, 0, 0, 1))),
    ("POST", "split/5", runs((0, 0, FAR, 1))),
    ("POST", "split/5", runs((1000, 0, 0, 1))),
    ("POST", "split/5", b"\x00\x03\x00\x00" + bytes(4) + b"\xff\xff\xff\xff" + bytes(16)),
    ("POST", "split/77", runs((0, 0, 0, 1))),
    ("POST", "split/5?splitlabel=x", runs((0, 0, 0, 1))),
    ("POST", "split/5?splitlabel=0", runs((0, 0, 0, 1))),
    ("POST", "split/5?splitlabel=5", runs((0, 0, 0, 1))),
    ("POST", "split/5?splitlabel=-1", runs((0, 0, 0, 1))),
    ("POST", "split-coarse/5", runs()),
    ("POST", "split-coarse/5", runs((7, 0, 0, 1))),
    ("POST", "split-coarse/5", runs((0, 0, 0, FAR))),
    ("POST", "split-coarse/5", runs((-FAR, 0, 0, 1))),
    ("POST", "split-coarse/5?splitlabel=x", runs((0, 0, 0, 1))),
    ("POST", "split-coarse/77", runs((0, 0, 0, 1))),
    ("POST", "nextlabel/5", None),
    ("POST", "maxlabel/5", None),
    ("POST", "extents", b'{"MinPoint": [0, 0, 0], "MaxPoint": [1, 1, 1]}'),
    ("POST", "ingest-supervoxels", b""),
    ("POST", "blocks?downres=true&scale=1", b""),
    ("POST", "blocks?compression=gzip", b""),
    ("POST", "blocks", b"abc"),
    ("POST", "raw/0_1_2/16_16_16/1_0_0", bytes(8 * 16**3)),
    ("POST", "raw/0_1_2/16_16_16/0_0_0", bytes(8 * 16**3 - 1)),
    ("POST", "raw/0_1_2/16_16_16/0_0_0", bytes(8 * 16**3 + 1)),
    ("GET", "label/1_2", None),
    ("GET", "label/1_2_3_4", None),
    ("GET", "raw/0_1_2/16_16_16/0_0_0?scale=-1", None),
    ("GET", "raw/0_1_2/16_16_16/0_0_0?scale=256", None),
    ("GET", "raw/0_1_2/99999_99999_99999/0_0_0", None),
    ("GET", "sparsevol/5?minx=1.5", None),
    ("GET", "sparsevol/0", None),
    ("GET", "supervoxels/5", None),
]


@pytest.mark.parametrize(("method", "path", "body"), BAD)
@pytest.mark.parametrize("engine", ["memory"])
async def test_what_is_wrong_is_refused_and_changes_nothing(bodies: Bodies, method: str, path: str, body: Any) -> None:
    voxels = cells((32, 32, 32))
    await bodies.put((0, 0, 0), voxels)
    await bodies.refused(method, path, body)
    assert np.array_equal(await bodies.get((0, 0, 0), voxels.shape), voxels)
    assert await bodies.api.get(f"{bodies.path}/nextlabel") == {"nextlabel": 13}


async def test_runs_that_are_not_of_the_label_are_refused_whole(bodies: Bodies) -> None:
    voxels = cells((32, 32, 32))
    await bodies.put((0, 0, 0), voxels)
    here = np.argwhere(voxels == 5)
    foreign = np.argwhere((voxels > 0) & (voxels != 5))[-1:]
    for wrong in (np.concatenate([here[:-1], foreign]), np.argwhere(voxels == 0)[:3]):
        assert "label 5" in await bodies.refused("POST", "split/5", sparse(wrong))
    z, y, x = here[0].tolist()
    assert "overlaps" in await bodies.refused("POST", "split/5", runs((x, y, z, 1), (x, y, z, 1)))
    await bodies.check((0, 0, 0), voxels, 13)


async def test_without_indices_there_are_voxels_but_no_bodies(server: RunningServer) -> None:
    bodies = await new_bodies(server, IndexedLabels="false")
    voxels = cells((32, 32, 32))
    await bodies.put((0, 0, 0), voxels)
    assert np.array_equal(await bodies.get((0, 0, 0), voxels.shape), voxels)
    for method, path, body in (
        ("GET", "sparsevol/5", None), ("GET", "sparsevol-size/5", None), ("GET", "sparsevol-coarse/5", None),
        ("GET", "sparsevols-coarse/1/5", None), ("GET", "maxlabel", None), ("POST", "merge", b"[1, 2]"),
        ("POST", "split/5", runs((0, 0, 0, 1))), ("POST", "split-coarse/5", runs((0, 0, 0, 1))),
    ):  # fmt: skip
        assert "IndexedLabels" in await bodies.refused(method, path, body)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BlockSize", "20,16,16"), ("BlockSize", "16,16"), ("BlockSize", "0,0,0"), ("BlockSize", "4096,16,16"),
        ("MaxDownresLevel", "256"), ("MaxDownresLevel", 3), ("IndexedLabels", True), ("CountLabels", True),
        ("CountLabels", "perhaps"), ("VoxelSize", "1,2"), ("GridStore", "x"),
    ],
)  # fmt: skip
async def test_settings_that_make_no_sense_are_refused(server: RunningServer, name: str, value: Any) -> None:
    uuid = await server.repo()
    body = {"typename": "labelarray", "dataname": "bodies", name: value}
    answer = await server.ask("POST", f"/api/repo/{uuid}/instance", json=body)
    assert answer.status == 400
    assert name in answer.text


async def test_help_does_not_speak_of_supervoxels(server: RunningServer) -> None:
    text = await server.get("/api/help/labelarray")
    words = text if isinstance(text, str) else bytes(text).decode()
    assert "merge" in words
    assert "supervoxel" not in words
