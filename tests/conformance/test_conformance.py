"""What the reference server answered, asked again: every recorded case of the core and of keyvalue."""

from __future__ import annotations

import json
from pathlib import Path

import dvid_keyvalue
import pytest

from dvid_core.testing.fixtures import RunningServer
from dvid_core.testing.replay import Case, find_cases, parameters, replay

HERE = Path(__file__).parent
CASES = find_cases(HERE / "cases")


@pytest.mark.parametrize("case", parameters(CASES, [dvid_keyvalue]))
async def test_a_recorded_case_is_answered_as_by_the_reference(case: Case, server: RunningServer) -> None:
    assert await replay(case, server.url) == []


def test_all_recorded_cases_are_here_with_all_their_steps() -> None:
    recorded = json.loads((HERE / "manifest.json").read_text())
    assert {case.name: len(case.steps) for case in CASES} == recorded
