"""Elements as Arrow streams."""

from __future__ import annotations

from typing import Any

import pytest

from .place import Place, element

pa: Any = pytest.importorskip("pyarrow")

HEADERS = {"Accept": "application/vnd.apache.arrow.stream"}


async def table(syn: Place, path: str) -> Any:
    answer = await syn.server.ask("GET", f"{syn.path}/{path}", headers=HEADERS)
    assert answer.status == 200 and answer.headers["Content-Type"] == HEADERS["Accept"], answer.text
    return pa.ipc.open_stream(answer.body).read_all()


async def test_all_elements_boxes_and_lists_come_as_tables(syn: Place) -> None:
    rels = [("PreSynTo", (9, 8, 7))]
    await syn.post(
        element((1, 2, 3), "PreSyn", ["a", "b"], {"conf": "0.9"}, rels), element((-900, 5, 6), "Note", ["a"])
    )
    rows = sorted((await table(syn, "all-elements")).to_pylist(), key=lambda row: row["x"])
    assert rows == [
        {"x": -900, "y": 5, "z": 6, "Kind": "Note", "Tags": ["a"], "Prop": [], "Rels": []},
        {"x": 1, "y": 2, "z": 3, "Kind": "PreSyn", "Tags": ["a", "b"], "Prop": [("conf", "0.9")],
         "Rels": [{"Rel": "PreSynTo", "x": 9, "y": 8, "z": 7}]},
    ]  # fmt: skip
    assert (await table(syn, "elements/9_9_9/0_0_0")).to_pylist() == rows[1:]
    bare = [{k: v for k, v in row.items() if k != "Rels"} for row in rows]
    assert sorted((await table(syn, "tag/a")).to_pylist(), key=lambda row: row["x"]) == bare
    assert (await table(syn, "tag/b?relationships=true")).to_pylist() == rows[1:]
    assert (await table(syn, "label/5")).num_rows == 0


async def test_many_elements_come_in_several_batches(syn: Place) -> None:
    for n in range(4):
        await syn.post(*(element((i % 100, i // 100, 9 * n)) for i in range(3000)))
    found = await table(syn, "all-elements")
    assert found.num_rows == 12_000 and found.column("x").num_chunks > 1
    assert {tuple(p) for p in zip(*(found.column(c).to_pylist() for c in "xyz"))} == {
        (i % 100, i // 100, 9 * n) for i in range(3000) for n in range(4)
    }


async def test_other_clients_get_json(syn: Place) -> None:
    await syn.post(element((1, 2, 3)))
    for accept in ("*/*", "application/json, text/plain", ""):
        answer = await syn.server.ask("GET", f"{syn.path}/all-elements", headers={"Accept": accept})
        assert answer.headers["Content-Type"] == "application/json"
