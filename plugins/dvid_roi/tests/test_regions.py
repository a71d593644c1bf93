"""A region is replaced whole, comes back as its blocks, and every wrong request leaves it as it was."""

from __future__ import annotations

import json

import pytest

from dvid_core.testing.fixtures import RunningServer

from .conftest import new_roi
from .place import Place, blocks_of

OLD = [[7, 7, 7, 7]]

WRONG = {
    "backwards": "[[0, 0, 1, 1], [0, 0, 5, 4]]",
    "three numbers": "[[0, 0, 1, 1], [0, 0, 5]]",
    "five numbers": "[[0, 0, 1, 1, 1]]",
    "null for a span": "[[0, 0, 1, 1], null]",
    "a fraction": "[[0, 0, 1, 1.5]]",
    "a float": "[[0, 0, 1, 1.0]]",
    "beyond 32 bits": "[[0, 0, 1, 2147483648]]",
    "a boolean": "[[0, 0, 0, true]]",
    "a full-width digit": '[[0, 0, 0, "\uff11"]]',
    "not a number": "[[0, 0, 0, NaN]]",
    "an object": '{"z": 0}',
    "nothing": "",
    "blanks": "  ",
    "text behind": "[[0, 0, 1, 1]] x",
    "deep": "[" * 100_000,
    "a long number": "[[0, 0, 1, " + "9" * 5000 + "]]",
    "wrong at the end of many": json.dumps([[0, 0, 2 * i, 2 * i] for i in range(50_000)] + [[0, 0, 5, 4]]),
}


@pytest.mark.parametrize("body", [pytest.param(v, id=k) for k, v in WRONG.items()])
async def test_a_refused_post_keeps_the_old_region(roi: Place, body: str) -> None:
    await roi.put(OLD)
    answer = await roi.ask("POST", "roi", body.encode())
    assert answer.status == 400
    assert answer.text.strip()
    assert await roi.spans() == OLD


async def test_the_refusal_of_a_backward_span_names_it(roi: Place) -> None:
    answer = await roi.ask("POST", "roi", json=[[0, 0, 1, 1], [3, 4, 6, 5]])
    assert "span 1" in answer.text
    assert "[3, 4, 6, 5]" in answer.text


async def test_spans_come_back_sorted_joined_and_with_the_same_blocks(roi: Place) -> None:
    posted = [[2, 0, 5, 6], [1, 5, 0, 0], [1, 0, 9, 9], [-1, -2, -5, -3], [2, 0, 7, 8], [2, 0, 1, 6], [1, 5, 2, 2]]
    await roi.put(posted)
    found = await roi.spans()
    assert found == [[-1, -2, -5, -3], [1, 0, 9, 9], [1, 5, 0, 0], [1, 5, 2, 2], [2, 0, 1, 8]]
    assert blocks_of(found) == blocks_of(posted)


async def test_the_ends_of_32_bits_are_blocks_too(roi: Place) -> None:
    low, high = -(2**31), 2**31 - 1
    spans = [[low, low, low, high], [low, high, low, low], [high, low, high, high], [high, high, low, high]]
    await roi.put(spans)
    assert await roi.spans() == spans
    assert (await roi.partition(2**20))["NumActiveBlocks"] == 2**33 + 2


@pytest.mark.parametrize("body", [b"[]", b"null", b" [ ]\n"])
async def test_an_empty_list_empties_the_region(roi: Place, body: bytes) -> None:
    await roi.put(OLD)
    await roi.put(body)
    assert await roi.spans() == []
    assert (await roi.partition(4))["NumActiveBlocks"] == 0
    assert await roi.has([[7 * 32, 7 * 32, 7 * 32]]) == [False]


async def test_info_shows_the_z_range_of_its_version(roi: Place) -> None:
    async def shown(place: Place) -> tuple[int, int]:
        extended = (await place.server.get(place.path("info")))["Extended"]
        return extended["MinZ"], extended["MaxZ"]

    assert await shown(roi) == (2147483647, -2147483648)
    await roi.put([[5, 0, 0, 0], [9, 0, 0, 0]])
    child = await roi.child()
    await child.put([[-3, 0, 0, 0]])
    assert await shown(child) == (-3, -3)
    assert await shown(roi) == (5, 9)


async def test_a_post_or_delete_in_a_child_leaves_the_parent_alone(roi: Place) -> None:
    await roi.put([[0, 0, 0, 3], [5, 0, 0, 3]])
    child = await roi.child()
    before = await roi.partition(2)
    await child.put([[2, 0, 0, 0]])
    assert await child.blocks() == {(2, 0, 0)}
    await child.server.delete(child.path("roi"))
    assert await child.spans() == []
    assert await roi.spans() == [[0, 0, 0, 3], [5, 0, 0, 3]]
    assert await roi.partition(2) == before
    grandchild = await child.child()
    assert await grandchild.spans() == []


async def test_a_committed_version_refuses_changes_but_answers_questions(roi: Place) -> None:
    await roi.put(OLD)
    await roi.server.commit(roi.uuid)
    for method, body in (("POST", b"[]"), ("DELETE", None), ("PUT", b"[]")):
        assert (await roi.ask(method, "roi", body)).status == 400
    assert await roi.has([[230, 230, 230]]) == [True]
    assert await roi.spans() == OLD


async def test_parents_that_disagree_are_a_conflict_until_one_writes(roi: Place) -> None:
    server = roi.server
    await roi.put(OLD)
    await server.commit(roi.uuid)
    sides = []
    for name in ("one", "two"):
        made = await server.post(f"/api/node/{roi.uuid}/branch", json={"branch": name})
        sides.append(Place(server, made["child"]))
    for n, side in enumerate(sides):
        await side.put([[n, 0, 0, 0]])
        await server.commit(side.uuid)
    merged = Place(server, await server.merge(*(s.uuid for s in sides)))
    assert (await merged.ask("GET", "roi")).status == 409
    assert (await merged.ask("POST", "ptquery", b"[[0, 0, 0]]")).status == 409
    await merged.put([[4, 0, 0, 0]])
    assert await merged.spans() == [[4, 0, 0, 0]]


@pytest.mark.parametrize(
    "size", ["0,32,32", "-1,32,32", "32,32", "1e2,1,1", "32,32,99999999999", "\uff13\uff12,32,32", "", "+8,8,8"]
)
async def test_a_block_size_that_is_none_is_refused(server: RunningServer, size: str) -> None:
    uuid = await server.repo()
    body = {"typename": "roi", "dataname": "r", "BlockSize": size}
    answer = await server.ask("POST", f"/api/repo/{uuid}/instance", json=body)
    assert answer.status == 400
    assert "BlockSize" in answer.text
    assert (await server.ask("GET", f"/api/node/{uuid}/r/info")).status == 400


@pytest.mark.parametrize("engine", ["rocksdb"], indirect=True)
async def test_regions_and_block_sizes_are_there_after_a_restart(server: RunningServer) -> None:
    roi = await new_roi(server, BlockSize="64, 16,8")
    await roi.put([[1, 2, 3, 4]])
    await server.restart()
    assert await roi.spans() == [[1, 2, 3, 4]]
    assert await roi.has([[3 * 64, 2 * 16, 8], [3 * 64, 2 * 16, 16]]) == [True, False]
    assert (await server.get(roi.path("info")))["Extended"]["BlockSize"] == [64, 16, 8]


@pytest.mark.parametrize(
    ("method", "end"),
    [
        ("PUT", "roi"), ("PUT", "ptquery"), ("GET", "ptquery"), ("POST", "partition?batchsize=2"), ("GET", "nothing"),
        ("DELETE", "mask/0_1_2/2_2_2/0_0_0"),
    ],
)  # fmt: skip
async def test_other_methods_and_endpoints_are_refused(roi: Place, method: str, end: str) -> None:
    await roi.put(OLD)
    assert (await roi.ask(method, end, b"[]")).status == 400
    assert await roi.spans() == OLD
