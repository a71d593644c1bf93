"""Blocks that others wrote: each is read as its labels say, and packed again as it was."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dvid_voxels import labels

from . import slow

FOLDER = Path(__file__).parent / "vectors"
VECTORS: list[dict[str, Any]] = json.loads((FOLDER / "vectors.json").read_text())["vectors"]


class Vector:
    def __init__(self, about: dict[str, Any]) -> None:
        self.about = about
        x, y, z = about["size_xyz"]
        self.size = (z, y, x)
        self.block = (FOLDER / f"{about['name']}.block").read_bytes()
        raw = gzip.decompress((FOLDER / f"{about['name']}.labels.gz").read_bytes())
        self.voxels = np.frombuffer(raw, "<u8").reshape(self.size)


@pytest.fixture(params=VECTORS, ids=lambda about: about["name"])
def vector(request: pytest.FixtureRequest) -> Vector:
    return Vector(request.param)


def test_a_vector_passes_the_check(vector: Vector) -> None:
    labels.check(vector.block, vector.size)
    assert labels.size_of(vector.block) == vector.size
    assert len(labels.table(vector.block)) == vector.about["table_entries"]
    assert labels.is_solid(vector.block) == (vector.about["table_entries"] == 1)


def test_a_vector_has_its_voxels(vector: Vector) -> None:
    assert np.array_equal(labels.decode(vector.block), vector.voxels)
    assert np.array_equal(slow.decode(vector.block), vector.voxels)


def test_a_vector_is_counted(vector: Vector) -> None:
    found = labels.counts(vector.block)
    wanted, voxels = np.unique(vector.voxels, return_counts=True)
    assert found.labels.tolist() == wanted.tolist()
    assert found.voxels.tolist() == voxels.tolist()
    if isinstance(vector.about["labels"], dict):
        assert {str(a): b for a, b in zip(*map(np.ndarray.tolist, found))} == vector.about["labels"]


def test_a_vector_is_looked_into(vector: Vector) -> None:
    points = np.random.default_rng(0).integers(0, vector.size, (500, 3))
    wanted = vector.voxels[tuple(points.T)].tolist()
    assert labels.labels_at(vector.block, points).tolist() == wanted
    assert [labels.label_at(vector.block, *point) for point in points.tolist()] == wanted


def test_voxels_are_packed_as_the_reference_packs_them(vector: Vector) -> None:
    packed = labels.encode(vector.voxels)
    assert np.array_equal(slow.decode(packed), vector.voxels)
    assert labels.compact(vector.block) == packed
    if vector.about["source"] == "encoded by the reference" or vector.about["name"] == "worked-example":
        # The order of the reference's table is that of a hash map; all else is the same to the bit.
        assert len(packed) == len(vector.block)
        assert slow.parts(packed) == slow.parts(vector.block)
