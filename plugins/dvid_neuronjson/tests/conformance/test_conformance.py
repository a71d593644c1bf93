"""What the reference server answered, asked again."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import dvid_neuronjson
import pytest

from dvid_core.testing.fixtures import RunningServer
from dvid_core.testing.meaning import DECODERS, Decoder
from dvid_core.testing.replay import Case, find_cases, parameters, replay

CASES = find_cases(Path(__file__).parent / "cases")
STEPS = 668


def rows(data: bytes, ending: Any) -> list[Any]:
    """A list of objects in any order; values of the keys that end with `ending` are times."""

    def row(found: dict[str, Any]) -> dict[str, Any]:
        is_time = re.compile(r"\d{4}-\d\d-\d\dT").match
        hide = tuple(ending) if isinstance(ending, list) else ending
        return {k: "(time)" if hide and k.endswith(hide) and is_time(str(v)) else v for k, v in found.items()}

    return sorted(map(row, json.loads(data)), key=lambda r: json.dumps(r, sort_keys=True))


def parsed(value: bytes) -> Any:
    """The JSON of a value; None when it is empty."""
    return json.loads(value) if value else None


OWN: dict[str, Decoder] = {
    "json-rows": rows,
    "keyvalues-json": lambda data, arg: [(k, parsed(v)) for k, v in DECODERS["keyvalues"](data, arg)],
    "tar-json": lambda data, arg: {k: parsed(v) for k, v in dict(DECODERS["tar"](data, arg)).items()},
}


@pytest.mark.parametrize("case", parameters(CASES, [dvid_neuronjson]))
async def test_a_recorded_case_is_answered_as_by_the_reference(case: Case, server: RunningServer) -> None:
    assert await replay(case, server.url, {**DECODERS, **OWN}) == []


def test_all_recorded_cases_are_here_with_all_their_steps() -> None:
    assert len(CASES) == 29
    assert sum(len(case.steps) for case in CASES) == STEPS
