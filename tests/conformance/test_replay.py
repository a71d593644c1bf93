"""The replayer itself: it lets nothing pass that means something else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dvid_core.testing.fixtures import RunningServer
from dvid_core.testing.meaning import DECODERS, Mismatch, same
from dvid_core.testing.replay import Case, fill, find_cases, replay, typenames

CASES = Path(__file__).parent / "cases"


@pytest.fixture
def engine() -> str:
    return "memory"


ALIKE = [
    (1, 1), ("a", "a"), (None, None), ([1, 2], [1, 2]), ({"a": [1]}, {"a": [1]}), (0.1, 0.10001), (1e6, 1_000_050),
    ("<any>", None), ("<int>", 3), ("<num>", 1.5), ("<str>", ""), ("<time>", "2026-01-31T12:00:00Z"), ((b"a", 1),
    [b"a", 1]),
    ({"a": "<any>"}, {"a": {"b": 1}}), (2, 2.0),
]  # fmt: skip
DIFFERENT = [
    (1, 2), (1, True), (True, 1), (False, 0), (0, None), ("1", 1), (b"a", "a"), ([1, 2], [2, 1]), ([1], [1, 1]),
    ({"a": 1}, {}),
    ({}, {"a": 1}), ({"a": {"b": 1}}, {"a": {"b": 2}}), (0.1, 0.2), (1e6, 1_000_200), ("<int>", "3"), ("<int>", True),
    ("<int>", 1.5), ("<str>", 1), ("<time>", "yesterday"), ("<num>", "1"), ([], {}), ("a", "<any>"), ({"a": 1}, [1]),
]  # fmt: skip


@pytest.mark.parametrize(("want", "got"), ALIKE)
@pytest.mark.parametrize("any_order", [False, True])
def test_values_that_mean_the_same_pass(want: Any, got: Any, any_order: bool) -> None:
    same(want, got, any_order=any_order)


@pytest.mark.parametrize(("want", "got"), DIFFERENT)
def test_values_that_differ_are_told_with_their_place(want: Any, got: Any) -> None:
    with pytest.raises(Mismatch, match=r"reply\.here\[0\]"):
        same({"here": [want]}, {"here": [got]})


def test_lists_in_any_order_are_multisets() -> None:
    same([[1, 2], [3], "<int>"], [7, [3], [2, 1]], any_order=True)
    for got in ([[1, 2], [1, 2]], [[1, 2], [3], [3]], [[1, 2]]):
        with pytest.raises(Mismatch):
            same([[1, 2], [3]], got, any_order=True)


def test_arrays_are_compared_with_a_tolerance() -> None:
    import numpy as np

    want = np.array([[1, 2], [3, 4]], np.uint8)
    same(want, want.copy())
    same(want, want + 1, tol=1)
    for got in (want + 1, want[:1], want.astype(np.uint64) * 2):
        with pytest.raises(Mismatch):
            same(want, got)
    with pytest.raises(Mismatch):
        same(want, want + 2, tol=1)


def test_variables_are_put_in_and_unknown_ones_stay() -> None:
    assert fill('/{uuid}/{{uuid}}/{other}/{"a": {}}', {"uuid": "u", "a": "x"}) == '/u/u/{other}/{"a": {}}'


Make = Callable[..., Case]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A case of the steps that are given."""

    def write(*steps: dict[str, Any], **extra: Any) -> Case:
        (tmp_path / "case.json").write_text(json.dumps({"about": "made up", "steps": steps, **extra}))
        return Case(tmp_path, "made-up")

    return write


def step(
    method: str, path: str, status: int = 200, *, request: Any = None, save: Any = None, **expect: Any
) -> dict[str, Any]:
    found = {"request": {"method": method, "path": path, **(request or {})}, "expect": {"status": status, **expect}}
    return {**found, "save": save} if save else found


REPO = step("POST", "/api/repos?admintoken=secret", request={"json": {"alias": "x"}}, save={"uuid": "root"})


@pytest.mark.parametrize(("wrong", "words"), [
    (step("GET", "/api/heartbeat", 404), "status 200, expected 404"),
    (step("GET", "/api/heartbeat", compare="bytes", text="KO"), "differs at 0"),
    (step("GET", "/api/heartbeat", compare="json", json={}), "is no json"),
    (step("GET", "/api/heartbeat", compare="nosuch", text=""), "no decoder 'nosuch'"),
    (step("GET", "/api/heartbeat", compare="size", size=3), "2, expected 3"),
    (step("GET", "/api/heartbeat", headers={"Content-Type": "application/json"}), "header Content-Type"),
    (step("GET", "/api/heartbeat", headers={"X-Absent": "x"}), "header X-Absent"),
    (step("GET", "/api/server/note", compare="nonempty"), "empty reply"),
    (step("GET", "/api/server/info", compare="json-has", arg=["Cores", "Pancakes"],
    text='{"Cores": 1, "Pancakes": 2}'), "Pancakes"),
    (step("GET", "/api/repo/{uuid}/info", compare="repo-info", json={"Root": "{{uuid}}"}), "has extra"),
    (step("GET", "/api/node/{uuid}/status", compare="json", json={"Locked": True}), "reply.Locked"),
    (step("POST", "/api/node/{uuid}/log", request={"json": {"log": [1]}}), "status 400"),
    (step("GET", "/api/node/{uuid}/log", compare="log-json", text='{"log": ["2026-01-01T00:00:00Z  x"]}'),
    "expected ['x']"),
    (step("GET", "/api/{unsaved}/info"), "/api/{unsaved}/info"),
])  # fmt: skip
async def test_an_answer_in_another_sense_is_reported(
    server: RunningServer, make: Make, wrong: Any, words: str
) -> None:
    (failure,) = await replay(make(REPO, wrong, step("GET", "/api/heartbeat")), server.url)
    assert failure.startswith("step 1 ")
    assert words in failure


async def test_the_rest_is_left_out_when_a_variable_is_missing(server: RunningServer, make: Make) -> None:
    missing = step("GET", "/api/server/info", save={"uuid": "root.0"})
    failures = await replay(make(missing, step("GET", "/nosuch")), server.url)
    assert len(failures) == 1


async def test_bodies_come_as_text_base64_or_files(server: RunningServer, make: Make, tmp_path: Path) -> None:
    import gzip

    (tmp_path / "a.bin").write_bytes(b"\x00\xff")
    (tmp_path / "a.bin.gz").write_bytes(gzip.compress(b"\x00\xff", mtime=0))
    place = "/api/node/{uuid}/kv/key/a"
    steps = [
        REPO,
        step("POST", "/api/repo/{uuid}/instance", request={"json": {"typename": "keyvalue", "dataname": "kv"}}),
    ]
    bodies: list[dict[str, Any]] = [{"base64": "AP8="}, {"file": "a.bin"}, {"file": "a.bin.gz"}]
    for body in bodies:
        steps += [step("POST", place, request=body), step("GET", place, compare="bytes", **body), step("DELETE", place)]
    steps += [step("POST", place, request={"text": "{uuid}"}), step("GET", place, compare="bytes", text="{uuid}")]
    case = make(*steps)
    assert await replay(case, server.url) == []
    assert typenames(case) == {"keyvalue"}


async def test_a_lagging_answer_is_asked_for_again(server: RunningServer, make: Make) -> None:
    asked = []

    def later(data: bytes, arg: Any) -> bytes:
        asked.append(data)
        return b"late" if len(asked) >= 5 else data

    lagging = {**step("GET", "/api/heartbeat", compare="lag", text="late"), "eventually": True}
    decoders = {**DECODERS, "lag": later}
    assert await replay(make(lagging), server.url, decoders) == []
    asked.clear()
    assert len(await replay(make(lagging), server.url, decoders, patience=0)) == 1
    never = {**step("GET", "/api/heartbeat", 404), "eventually": True}
    assert len(await replay(make(never), server.url, patience=0.5)) == 1


def test_a_case_with_an_unknown_word_is_refused(make: Make) -> None:
    with pytest.raises(msgspec.ValidationError, match="tolerance"):
        make({**REPO, "expect": {"status": 200, "tolerance": 3}})


@pytest.mark.parametrize("name", [c.name for c in find_cases(CASES)])
async def test_one_other_status_in_the_middle_of_a_case_is_noticed(server: RunningServer, name: str) -> None:
    case = Case(CASES / name, name)
    if not typenames(case) <= server.server.types.keys():
        pytest.skip("needs datatypes that are not installed")
    middle = len(case.steps) // 2
    case.steps[middle].expect.status += 1
    case.steps[middle].eventually = False
    failures = await replay(case, server.url)
    assert failures[0].startswith(f"step {middle} ")
