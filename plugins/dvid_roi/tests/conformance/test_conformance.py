"""What the reference server answered, asked again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dvid_roi
import pytest

from dvid_core.testing.fixtures import RunningServer
from dvid_core.testing.meaning import DECODERS
from dvid_core.testing.replay import Case, find_cases, parameters, replay

CASES = find_cases(Path(__file__).parent / "cases")
STEPS = 213


def blocks_of_spans(data: bytes, _: Any) -> set[tuple[int, int, int]]:
    """The blocks that spans cover; servers may join spans that touch."""
    return {(z, y, x) for z, y, x0, x1 in json.loads(data) for x in range(x0, x1 + 1)}


@pytest.mark.parametrize("case", parameters(CASES, [dvid_roi]))
async def test_a_recorded_case_is_answered_as_by_the_reference(case: Case, server: RunningServer) -> None:
    assert await replay(case, server.url, {**DECODERS, "spans": blocks_of_spans}) == []


def test_all_recorded_cases_are_here_with_all_their_steps() -> None:
    assert len(CASES) == 14
    assert sum(len(case.steps) for case in CASES) == STEPS
