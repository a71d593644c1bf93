"""Elements by position: forms, boxes, blocks, moves, and what is refused."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from dvid_core.testing.fixtures import RunningServer

from .place import Place, by_position, element


async def test_an_element_is_shown_with_all_its_members(syn: Place) -> None:
    await syn.server.post(f"{syn.path}/elements", b'[{"Kind":"Note","Pos":[1,2,3],"Tags":null,"Other":{"a":1}}]')
    assert await syn.blocks() == {"0,0,0": [element((1, 2, 3))]}
    assert await syn.server.get(f"{syn.path}/elements/9_9_9/0_0_0") == [element((1, 2, 3))]


async def test_an_element_takes_the_place_of_one_at_its_position_whole(syn: Place) -> None:
    await syn.post(element((5, 5, 5), "PreSyn", ["a", "b"], {"x": "1"}, [("PreSynTo", (7, 7, 7))]))
    await syn.post(element((5, 5, 5), "Gap", ["b", "c"]))
    assert await syn.all() == by_position([element((5, 5, 5), "Gap", ["b", "c"])])
    assert [len(await syn.tag(tag)) for tag in "abc"] == [0, 1, 1]


async def test_two_elements_at_one_position_in_one_post_are_refused(syn: Place) -> None:
    await syn.post(element((5, 5, 5), tags=["old"]))
    before = await syn.all()
    twice = [element((5, 5, 5), tags=["a"]), element((6, 5, 5)), element((5, 5, 5), tags=["b"])]
    assert "[5,5,5]" in (await syn.refused("POST", "elements", twice)).replace(" ", "")
    assert "[5,5,5]" in (await syn.refused("POST", "blocks", {"0,0,0": twice})).replace(" ", "")
    assert await syn.all() == before


async def test_one_post_adds_a_tag_to_one_element_and_takes_it_from_another(syn: Place) -> None:
    await syn.post(element((1, 1, 1), tags=["t"]), element((2, 2, 2)))
    await syn.post(element((1, 1, 1)), element((2, 2, 2), tags=["t"]))
    assert set(await syn.tag("t")) == {(2, 2, 2)}


async def test_a_tag_may_hold_any_text(syn: Place) -> None:
    tags = ["a/b", "ü ✓", "\x00", "%2F", '"', "a\\b", "x" * 1000, "user:ann"]
    await syn.post(*(element((n, 0, 0), tags=[tag]) for n, tag in enumerate(tags)))
    for n, tag in enumerate(tags):
        assert set(await syn.tag(tag)) == {(n, 0, 0)}, tag
    assert await syn.tag("x" * 7000) == {}


async def test_texts_that_look_like_stored_forms_are_kept(syn: Place) -> None:
    odd = {'{"Pos":[1,2,3],': '"0,0,0":[', ',"Rels":[': "]}", "Pos": "[1,2,3]", "Rels": "", "\\": '\\"{"Pos":['}
    await syn.post(
        element((1, 2, 3), prop=odd, tags=['{"Pos":['], rels=[("GroupedWith", (1, 2, 4))]), element((1, 2, 4))
    )
    await syn.post(element((1, 2, 5), prop=odd))
    found = await syn.all()
    assert found[1, 2, 3]["Prop"] == odd and found[1, 2, 5]["Prop"] == odd
    await syn.delete((1, 2, 4))
    assert (await syn.all())[1, 2, 3]["Rels"] == []
    assert set(await syn.box((1, 1, 1), (1, 2, 5))) == {(1, 2, 5)}


@pytest.mark.parametrize("spread", [3, 40, 500, 10_000])
async def test_boxes_and_blocks_hold_what_lies_in_them(syn: Place, spread: int) -> None:
    r = random.Random(spread)
    elements = {}
    for _ in range(700):
        pos = tuple(r.randrange(-spread, spread) for _ in range(3))
        elements[pos] = element(pos, prop={"n": str(r.random())})
    for some in range(0, 700, 100):
        await syn.post(*list(elements.values())[some : some + 100])
    assert await syn.all() == by_position(elements.values())
    for _ in range(20):
        size = [r.choice([1, 7, 64, 300, 3000, 2**31 - 1]) for _ in range(3)]
        offset = [r.randrange(-spread, spread) for _ in range(3)]
        inside = [e for p, e in elements.items() if all(o <= n < o + s for n, o, s in zip(p, offset, size))]
        assert await syn.box(size, offset) == by_position(inside)
        words = ["_".join(map(str, v)) for v in (size, offset)]
        blocks = await syn.server.get(f"{syn.path}/blocks/{words[0]}/{words[1]}")
        touched = [
            e
            for p, e in elements.items()
            if all(o // 64 <= n // 64 <= (o + s - 1) // 64 for n, o, s in zip(p, offset, size))
        ]
        assert by_position(e for some in blocks.values() for e in some) == by_position(touched)
        assert all(key == ",".join(str(n // 64) for n in e["Pos"]) for key, some in blocks.items() for e in some)
    scan = await syn.server.get(f"{syn.path}/scan")
    assert scan["num kv pairs"] == len({tuple(n // 64 for n in p) for p in elements})


async def test_the_ends_of_space_can_hold_elements(syn: Place) -> None:
    low, high = -(2**31), 2**31 - 1
    ends = [(x, y, z) for x in (low, high) for y in (low, high) for z in (low, high)]
    await syn.post(*map(element, ends))
    for pos in ends:
        assert set(await syn.box((1, 1, 1), pos)) == {pos}
    assert set(await syn.box((high, high, high), (low, low, low))) == {ends[0]}


@pytest.mark.parametrize("size", ["0_1_1", "-5_9_9"])
async def test_a_box_without_voxels_holds_nothing(syn: Place, size: str) -> None:
    await syn.post(element((0, 0, 0)))
    assert await syn.server.get(f"{syn.path}/elements/{size}/0_0_0") == []
    assert await syn.server.get(f"{syn.path}/blocks/{size}/0_0_0") == {}


async def test_a_move_onto_another_element_is_refused(syn: Place) -> None:
    await syn.post(element((1, 1, 1), tags=["a"]), element((2, 2, 2)), element((500, 2, 2)))
    before = await syn.all()
    for there in ("2_2_2", "500_2_2"):
        assert "2" in await syn.refused("POST", f"move/1_1_1/{there}")
    assert await syn.all() == before
    await syn.move((1, 1, 1), (1, 1, 1))
    assert await syn.all() == before and len(await syn.tag("a")) == 1


async def test_a_moved_element_and_its_partners_point_to_one_another(syn: Place) -> None:
    pre, post = (10, 10, 10), (900, 10, 10)
    await syn.post(
        element(pre, "PreSyn", ["t"], rels=[("PreSynTo", post), ("GroupedWith", pre)]),
        element(post, "PostSyn", rels=[("PostSynTo", pre)]),
    )
    await syn.move(pre, (-70, 3, 3))
    found = await syn.all()
    assert found[-70, 3, 3]["Rels"] == [
        {"Rel": "GroupedWith", "To": [-70, 3, 3]}, {"Rel": "PreSynTo", "To": list(post)}
    ]  # fmt: skip
    assert found[post]["Rels"] == [{"Rel": "PostSynTo", "To": [-70, 3, 3]}]
    assert set(await syn.tag("t")) == {(-70, 3, 3)}
    (shown,) = (await syn.tag("t", "?relationships=verbose")).values()
    assert {"Rel": "PreSynTo", "To": list(post), "Kind": "PostSyn"} in shown["Rels"]


GOOD = element((8, 8, 8))
BAD: list[tuple[Any, str]] = [
    ({"Kind": "Note"}, "Pos"),
    ({"Pos": [1, 2], "Kind": "Note"}, "Pos"),
    ({"Pos": [1, 2, 3, 4], "Kind": "Note"}, "Pos"),
    ({"Pos": [1, 2, 2**31]}, "Pos"),
    ({"Pos": [1, 2, -(2**31) - 1]}, "Pos"),
    ({"Pos": [1, 2, 3.5]}, "Pos"),
    ({"Pos": ["1", "2", "3"]}, "Pos"),
    ({"Pos": None}, "Pos"),
    ({"Pos": [1, 2, True]}, "Pos"),
    ({"Pos": [1, 2, 3], "Kind": "presyn"}, "Kind"),
    ({"Pos": [1, 2, 3], "Kind": None}, "Kind"),
    ({"Pos": [1, 2, 3], "Kind": 1}, "Kind"),
    ({"Pos": [1, 2, 3], "Tags": [""]}, "Tags"),
    ({"Pos": [1, 2, 3], "Tags": ["x" * 1001]}, "Tags"),
    ({"Pos": [1, 2, 3], "Tags": ["x"] * 1001}, "Tags"),
    ({"Pos": [1, 2, 3], "Tags": [None]}, "Tags"),
    ({"Pos": [1, 2, 3], "Prop": {"a": 1}}, "Prop"),
    ({"Pos": [1, 2, 3], "Prop": {"a": "x" * 70_000}}, "Prop"),
    ({"Pos": [1, 2, 3], "Prop": []}, "Prop"),
    ({"Pos": [1, 2, 3], "Rels": [{"Rel": "Bad", "To": [1, 2, 3]}]}, "Rels"),
    ({"Pos": [1, 2, 3], "Rels": [{"Rel": "PreSynTo"}]}, "Rels"),
    ({"Pos": [1, 2, 3], "Rels": [{"Rel": "PreSynTo", "To": [1, 2]}]}, "Rels"),
    ({"Pos": [1, 2, 3], "Prop": {str(n): "x" * 60_000 for n in range(20)}}, "1, 2, 3"),
    (7, "elements[1]"),
]


@pytest.mark.parametrize("engine", ["memory"])
async def test_one_bad_element_is_named_and_nothing_is_stored(syn: Place) -> None:
    for bad, word in BAD:
        reason = await syn.refused("POST", "elements", [GOOD, bad])
        assert word in reason and ("elements[1]" in reason or word == "1, 2, 3"), reason
        assert "1,0,0" in await syn.refused("POST", "blocks", {"1,0,0": [GOOD, bad]}) or word == "1, 2, 3"
        reason = await syn.refused("POST", "labels", {"7": json.dumps([GOOD, bad])})
        assert "7" in reason
    assert await syn.all() == {} and await syn.label(7) == {}
    assert await syn.server.get(f"{syn.path}/mutations") == []


@pytest.mark.parametrize("engine", ["memory"])
async def test_bodies_of_the_wrong_form_are_refused(syn: Place) -> None:
    for body in (b"", b"{}", b"[", b"[1]", b'"x"', b"[[]]", b"[" * 100_000, b'[{"Pos":' + b"[" * 99_999, b"\xff" * 50):
        await syn.refused("POST", "elements", body)
    for body in (b"", b"[]", b"null", b'{"1,2":[]}', b'{"1_2_3":[]}', b'{"1,2,3,4":[]}', b'{"1,2,3":5}',
                 b'{"+1,2,3":[]}', '{"\u0661,2,3":[]}'.encode(), b'{"1,2,99999999999":[]}',
                 b'{" 1,2,3":[]}'):  # fmt: skip
        await syn.refused("POST", "blocks", body)
    for body in (b"", b"[]", b'{"x":"[]"}', b'{"1":[]}', b'{"-1":"[]"}', b'{"18446744073709551616":"[]"}',
                 b'{"1":"no"}', b'{"1":"{}"}', b'{" 1":"[]"}', '{"\u0661":"[]"}'.encode()):  # fmt: skip
        await syn.refused("POST", "labels", body)
    for path in ("elements/1_1/0_0_0", "elements/1_1_1", "elements/1,1,1/0,0,0", "elements/+1_1_1/0_0_0", "label/0",
                 "label/-1", "label/x", "label/1e3", "label/\u0661", "roi/a,b,c", "roi/x,", "blocks/1_1_1/x",
                 "elements/1_1_99999999999/0_0_0", "all-elements/x", "scan/x"):  # fmt: skip
        await syn.refused("GET", path)
    for method, path in (("DELETE", "element/1_1"), ("DELETE", "element/1_1_1"), ("POST", "move/1_1_1/2_2_2"),
                         ("POST", "move/1_1_1"), ("POST", "labels/3")):  # fmt: skip
        await syn.refused(method, path, b"{}" if path == "labels/3" else b"")
    assert await syn.all() == {}


async def test_blocks_are_replaced_whole_and_lists_follow_at_a_reload(syn: Place) -> None:
    await syn.post(element((1, 1, 1), tags=["a"]), element((2, 1, 1), tags=["a"]), element((70, 1, 1), tags=["a"]))
    body = {"0,0,0": [element((1, 1, 1), tags=["b"]), element((9, 9, 9), tags=["a"])], "5,5,5": None}
    await syn.server.post(f"{syn.path}/blocks", json=body)
    assert set(await syn.all()) == {(1, 1, 1), (9, 9, 9), (70, 1, 1)}
    assert len(await syn.tag("a")) == 3 and await syn.tag("b") == {}
    await syn.reload()
    assert set(await syn.tag("a")) == {(9, 9, 9), (70, 1, 1)} and set(await syn.tag("b")) == {(1, 1, 1)}
    await syn.server.post(f"{syn.path}/blocks", json={"1,0,0": []})
    assert set(await syn.all()) == {(1, 1, 1), (9, 9, 9)}


async def test_a_block_that_is_posted_under_another_key_is_stored_by_its_positions(syn: Place) -> None:
    await syn.server.post(f"{syn.path}/blocks", json={"0,0,0": [element((700, 1, 1)), element((1, 1, 1))]})
    assert set(await syn.blocks()) == {"0,0,0", "10,0,0"}
    assert set(await syn.box((1, 1, 1), (700, 1, 1))) == {(700, 1, 1)}
    await syn.delete((700, 1, 1))
    assert set(await syn.all()) == {(1, 1, 1)}


async def test_writes_with_kafkalog_off_are_not_in_the_log(syn: Place) -> None:
    await syn.server.post(f"{syn.path}/elements?kafkalog=off", json=[element((1, 1, 1), tags=["a"])])
    assert await syn.server.get(f"{syn.path}/mutations") == []
    await syn.move((1, 1, 1), (2, 1, 1))
    await syn.delete((2, 1, 1))
    log = await syn.server.get(f"{syn.path}/mutations")
    assert [(e["Action"], e["UUID"]) for e in log] == [("element-move", syn.uuid), ("element-delete", syn.uuid)]
    assert log[0]["From"] == [1, 1, 1] and log[0]["To"] == log[1]["Point"] == [2, 1, 1]


async def test_elements_in_a_region_of_interest(server: RunningServer, syn: Place) -> None:
    await server.instance(syn.uuid, "r", "roi", BlockSize="64,64,64")
    await server.post(f"/api/node/{syn.uuid}/r/roi", json=[[0, 0, 0, 0], [-1, 0, 2, 3]])
    inside = [(0, 0, 0), (63, 63, 63), (130, 5, -1), (255, 0, -64)]
    await syn.post(*map(element, [*inside, (64, 0, 0), (0, 0, -1), (256, 0, -1), (130, 5, -65)]))
    found = await server.get(f"{syn.path}/roi/r")
    assert set(by_position(found)) == set(inside)
    assert set(by_position(await server.get(f"{syn.path}/roi/r,{syn.uuid[:10]}"))) == set(inside)
