"""What the reference server answered, asked again."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import dvid_labelsz
import pytest

from dvid_core.testing.fixtures import RunningServer
from dvid_core.testing.meaning import DECODERS
from dvid_core.testing.replay import Case, find_cases, parameters, replay

CASES = find_cases(Path(__file__).parent / "cases")
STEPS = 504


def sparse_volume(data: bytes, _: Any) -> set[tuple[int, int, int]]:
    """The cells x, y, z of a sparse volume: 8 bytes, the number of runs, and runs x, y, z, length."""
    (count,) = struct.unpack_from("<I", data, 8)
    runs = struct.iter_unpack("<4i", data[12:])
    cells = [{(x + i, y, z) for i in range(n)} for x, y, z, n in runs]
    assert len(cells) == count
    return set().union(*cells)


@pytest.mark.parametrize("case", parameters(CASES, [dvid_labelsz]))
async def test_a_recorded_case_is_answered_as_by_the_reference(case: Case, server: RunningServer) -> None:
    assert await replay(case, server.url, {**DECODERS, "sparsevol": sparse_volume}) == []


def test_all_recorded_cases_are_here_with_all_their_steps() -> None:
    assert len(CASES) == 14
    assert sum(len(case.steps) for case in CASES) == STEPS
