"""What the reference server answered, asked again."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import dvid_imageblk
import dvid_imagetile
import numpy as np
import pytest
from PIL import Image

from dvid_core.testing.fixtures import RunningServer
from dvid_core.testing.meaning import DECODERS
from dvid_core.testing.replay import Case, find_cases, parameters, replay

CASES = find_cases(Path(__file__).parent / "cases")
STEPS = 187


def picture(data: bytes, _: Any) -> Any:
    """The pixels of an image."""
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("case", parameters(CASES, [dvid_imageblk, dvid_imagetile]))
async def test_a_recorded_case_is_answered_as_by_the_reference(case: Case, server: RunningServer) -> None:
    assert await replay(case, server.url, {**DECODERS, "image": picture}) == []


def test_all_recorded_cases_are_here_with_all_their_steps() -> None:
    assert len(CASES) == 8
    assert sum(len(case.steps) for case in CASES) == STEPS
