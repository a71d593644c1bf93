"""What the reference server answered, asked again."""

from __future__ import annotations

from pathlib import Path

import dvid_labelarray
import pytest

from dvid_core.testing.fixtures import RunningServer
from dvid_core.testing.replay import Case, find_cases, parameters, replay
from dvid_voxels.testing.bodies import BODY_DECODERS
from dvid_voxels.testing.meaning import LABEL_DECODERS

CASES = find_cases(Path(__file__).parent / "cases")


@pytest.mark.parametrize("case", parameters(CASES, [dvid_labelarray]))
async def test_a_recorded_case_is_answered_as_by_the_reference(case: Case, server: RunningServer) -> None:
    assert await replay(case, server.url, {**LABEL_DECODERS, **BODY_DECODERS}) == []


def test_all_recorded_cases_are_here_with_all_their_steps() -> None:
    assert len(CASES) == 17
    assert sum(len(case.steps) for case in CASES) == 590
