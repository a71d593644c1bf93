"""What the reference server answered, asked again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dvid_annotation
import pytest

from dvid_core.plugins import load_plugins
from dvid_core.testing.fixtures import RunningServer
from dvid_core.testing.replay import Case, find_cases, replay, typenames

from .decoders import ELEMENT_DECODERS

CASES = find_cases(Path(__file__).parent / "cases")
INSTALLED = load_plugins([dvid_annotation]).datatypes.keys()
STEPS = 601


def marked(case: Case) -> Any:
    """The case as a parameter; one that needs datatypes which are not installed is expected to fail."""
    missing = ", ".join(sorted(typenames(case) - INSTALLED))
    marks = [pytest.mark.xfail(strict=True, reason=f"not installed: {missing}")] if missing else []
    return pytest.param(case, id=case.name, marks=marks)


@pytest.mark.parametrize("case", [marked(case) for case in CASES])
async def test_a_recorded_case_is_answered_as_by_the_reference(case: Case, server: RunningServer) -> None:
    assert await replay(case, server.url, ELEMENT_DECODERS) == []


def test_all_recorded_cases_are_here_with_all_their_steps() -> None:
    assert len(CASES) == 31
    assert sum(len(case.steps) for case in CASES) == STEPS
