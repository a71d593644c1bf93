"""What the reference server answered, asked again."""

from __future__ import annotations

from pathlib import Path

import dvid_tarsupervoxels
import pytest

from dvid_core.testing.fixtures import RunningServer
from dvid_core.testing.meaning import DECODERS
from dvid_core.testing.replay import Case, find_cases, parameters, replay

CASES = find_cases(Path(__file__).parent / "cases")
STEPS = 261


@pytest.mark.parametrize("case", parameters(CASES, [dvid_tarsupervoxels]))
async def test_a_recorded_case_is_answered_as_by_the_reference(case: Case, server: RunningServer) -> None:
    assert await replay(case, server.url, DECODERS) == []


def test_all_recorded_cases_are_here_with_all_their_steps() -> None:
    assert len(CASES) == 11
    assert sum(len(case.steps) for case in CASES) == STEPS
