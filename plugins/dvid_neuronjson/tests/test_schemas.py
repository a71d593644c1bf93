"""JSON schemas: what they refuse, and what they may cost."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from .place import Place


async def put(nj: Place, schema: Any, status: int = 200) -> str:
    answer = await nj.api.ask("POST", f"{nj.path}/json_schema", json=schema)
    assert answer.status == status, answer.text
    return answer.text


async def test_deleting_the_schema_ends_the_checks_and_versions_inherit_it(nj: Place) -> None:
    await put(nj, {"properties": {"type": {"enum": ["a", "b"]}}})
    child = await nj.next()
    assert (await child.try_set(5, type="c")).status == 400
    await nj.api.delete(f"{child.path}/json_schema")
    assert (await child.try_set(5, type="c")).status == 200
    assert (await nj.api.ask("HEAD", f"{nj.path}/json_schema")).status == 200


async def test_a_refusal_names_the_field_and_nothing_of_a_batch_is_written(nj: Place) -> None:
    await put(nj, {"properties": {"position": {"items": {"type": "integer"}}}, "required": ["type"]})
    answer = await nj.try_set(5, type="a", position=[1, "x"])
    assert answer.status == 400 and "position.1" in answer.text
    answer = await nj.set_many([{"bodyid": 5, "type": "a"}, {"bodyid": 6}])
    assert answer.status == 400 and "type" in answer.text
    assert await nj.keys() == []


async def test_references_within_the_schema_are_followed(nj: Place) -> None:
    await put(nj, {"$defs": {"name": {"$anchor": "n", "type": "string"}}, "properties": {
        "a": {"$ref": "#/$defs/name"}, "b": {"$ref": "#n"}}})  # fmt: skip
    assert [(await nj.try_set(5, **{f: 1})).status for f in "ab"] == [400, 400]
    assert (await nj.try_set(5, a="x", b="y")).status == 200


DRAFTS = ["http://json-schema.org/draft-04/schema#", "http://json-schema.org/draft-06/schema#",
          "http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2019-09/schema",
          "https://json-schema.org/draft/2020-12/schema"]  # fmt: skip


@pytest.mark.parametrize("draft", DRAFTS)
async def test_drafts_4_to_2020_12_are_known(nj: Place, draft: str) -> None:
    await put(nj, {"$schema": draft, "properties": {"size": {"type": "integer", "minimum": 3}}})
    assert [(await nj.try_set(5, size=s)).status for s in (2, 3, "4", "x", 2**64 - 1)] == [400, 200, 200, 400, 200]
    assert (await nj.get(5))["size"] == 2**64 - 1


BOMB: dict[str, Any] = {f"a{i}": {"allOf": [{"$ref": f"#/$defs/a{i + 1}"}] * 2} for i in range(60)} | {"a60": {}}
DEEP: Any = json.loads('{"not":' * 700 + "{}" + "}" * 700)
REFUSED: dict[str, Any] = {
    "no schema": {"type": "nonsense"},
    "a number": 5,
    "another document": {"$ref": "http://127.0.0.1:1/schema"},
    "a file": {"properties": {"a": {"$ref": "file:///etc/passwd"}}},
    "a circle": {"$ref": "#"},
    "a tree": {"properties": {"a": {"$ref": "#"}}},
    "a bomb": {"$ref": "#/$defs/a0", "$defs": BOMB},
    "nothing there": {"$ref": "#/$defs/none"},
    "dynamic": {"$dynamicRef": "#x"},
    "an unknown draft": {"$schema": "https://example.com/mine"},
    "a pattern that looks ahead": {"properties": {"a": {"pattern": "(?=a)b"}}},
    "a pattern that is too large": {"properties": {"a": {"pattern": "((a{100}){100}){100}"}}},
    "depth": DEEP,
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_schema_that_cannot_be_used_is_refused_and_the_old_one_stays(nj: Place, name: str) -> None:
    await put(nj, {"required": ["type"]})
    begun = time.perf_counter()
    text = await put(nj, REFUSED[name], status=400)
    assert "json_schema" in text and time.perf_counter() - begun < 2
    assert (await nj.try_set(5, group=1)).status == 400
    assert (await nj.try_set(5, type="a")).status == 200
    assert await nj.api.get(f"{nj.path}/json_schema") == {"required": ["type"]}


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[" * 100_000, b"null"])
async def test_a_text_that_is_no_json_schema_is_refused(nj: Place, text: bytes) -> None:
    assert (await nj.api.ask("POST", f"{nj.path}/json_schema", text)).status == 400
    assert (await nj.api.ask("POST", f"{nj.path}/schema", text)).status == 200
    assert (await nj.api.ask("GET", f"{nj.path}/schema")).body == text


async def test_patterns_run_in_linear_time_and_large_objects_are_bounded(nj: Place) -> None:
    rules = {"properties": {"a": {"pattern": "^(x+x+)+y$"}, "many": {"items": {"anyOf": [{"type": "string"}] * 5000}}}}
    await put(nj, rules)
    begun = time.perf_counter()
    assert (await nj.try_set(5, a="x" * 200_000)).status == 400
    assert "too many values" in (await nj.try_set(5, many=list(range(100_000)))).text
    assert time.perf_counter() - begun < 3
