"""The kernels are loaded once, before the first test that is timed."""

from __future__ import annotations

import pytest

from dvid_voxels import labels


@pytest.fixture(scope="session", autouse=True)
def loaded() -> None:
    labels.warm()
