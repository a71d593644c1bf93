"""How posted objects are merged, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from .place import Place

NOW = "2020-01-02T03:04:05Z"


async def test_an_explicit_mark_beats_the_writer_and_an_equal_value_keeps_its_mark(nj: Place) -> None:
    await nj.set(5, type="KC", type_user="bob", type_time=NOW)
    await nj.set(5, user="eve", type="KC", size=3)
    found = await nj.get(5, "?show=all")
    assert (found["type_user"], found["type_time"], found["size_user"]) == ("bob", NOW, "eve")


async def test_conditional_keeps_value_and_mark_together(nj: Place) -> None:
    await nj.set(5, type="KC", type_time=NOW)
    await nj.set(5, user="eve", options="&conditional=type,size", type="LC", type_user="eve", type_time=NOW, size=1)
    assert await nj.get(5, "?show=user") == {
        "bodyid": 5,
        "type": "KC",
        "type_user": "ann",
        "size": 1,
        "size_user": "eve",
    }


async def test_replace_adds_no_mark_to_the_field_user(nj: Place) -> None:
    await nj.set(5, user="ann", type="KC")
    await nj.api.post(f"{nj.path}/key/5?u=ann&replace=true", json={"bodyid": 5, "user": "x"})
    assert await nj.get(5, "?show=all") == {"bodyid": 5, "user": "x"}


async def test_true_and_one_are_different_values(nj: Place) -> None:
    await nj.set(5, flag=1, flag_time=NOW)
    await nj.set(5, flag=True)
    found = await nj.get(5, "?show=time")
    assert found["flag"] is True
    assert found["flag_time"] != NOW


async def test_a_whole_number_is_one_value_however_it_is_written(nj: Place) -> None:
    await nj.set(5, size=5, size_time=NOW, nested={"a": [1.0, 2.5]})
    await nj.api.post(f"{nj.path}/key/5?u=eve", b'{"bodyid": 5.0e0, "size": 5.0}', status=400)
    await nj.api.post(f"{nj.path}/key/5?u=eve", b'{"bodyid": 5, "size": 50e-1}')
    assert await nj.get(5, "?show=time&fields=size,nested") == {
        "bodyid": 5, "size": 5, "size_time": NOW, "nested": {"a": [1, 2.5]},
        "nested_time": (await nj.get(5, "?show=time"))["nested_time"],
    }  # fmt: skip


async def test_names_of_any_kind_come_back_and_can_be_picked_and_queried(nj: Place) -> None:
    names = ['quo"te', "back\\slash", "new\nline", "ключ", "a/b", "with space", "", "_user", "x_user_time"]
    fields = {name: f"value of {name}" for name in names[:7]}
    await nj.api.post(f"{nj.path}/key/5?u=ann", json={"bodyid": 5, **fields})
    assert await nj.get(5) == {"bodyid": 5, **fields}
    assert await nj.get(5, "?fields=quo%22te,%D0%BA%D0%BB%D1%8E%D1%87") == {
        "bodyid": 5, 'quo"te': 'value of quo"te', "ключ": "value of ключ",
    }  # fmt: skip
    for name, value in fields.items():
        assert await nj.ids({name: value}) == [5]
        assert await nj.ids({name + "_user": "ann"}) == [5]
        assert await nj.ids({name: "exists/0"}) == []


async def test_writing_the_same_again_leaves_no_trace(nj: Place) -> None:
    await nj.set(5, type="KC", group=None)
    before = await nj.answers(), await nj.api.get(f"{nj.path}/mutations"), await nj.history(5)
    await nj.set(5, user="eve", type="KC")
    await nj.set_many([{"bodyid": 5, "type": "KC"}])
    await nj.delete(6)
    assert (await nj.answers(), await nj.api.get(f"{nj.path}/mutations"), await nj.history(5)) == before


async def test_many_are_written_all_or_none_and_one_after_the_other(nj: Place) -> None:
    good = [{"bodyid": i, "type": "KC"} for i in range(1, 600)]
    bad = await nj.set_many([*good, {"bodyid": 0}])
    assert (bad.status, await nj.keys()) == (400, [])
    again = [*good, {"bodyid": 7, "type": None}, {"bodyid": 7, "group": 1}]
    assert (await nj.set_many(again)).status == 200
    assert await nj.keys() == list(range(1, 600))
    assert await nj.get(7, "?show=user") == {"bodyid": 7, "group": 1, "group_user": "ann", "type_user": "ann"}


async def test_a_batch_larger_than_a_log_record_is_seen_at_once(nj: Place) -> None:
    assert await nj.keys() == []
    objects = [{"bodyid": i, "notes": f"{i:07d}" * 3000} for i in range(1, 1001)]
    assert (await nj.set_many(objects)).status == 200
    assert await nj.ids({"notes": "0000700" * 3000}) == [700]
    assert await nj.keys() == list(range(1, 1001))
    assert len(await nj.history(5)) == 1


async def test_schemas_for_editors_travel_among_the_values(nj: Place) -> None:
    message = nj.api.post(f"{nj.path}/key/schema?u=ann", b"{1")
    await message
    assert (await nj.api.ask("GET", f"{nj.path}/key/schema")).body == b"{1"
    assert await nj.api.get(f"{nj.path}/keyvalues?json=true", json=["schema_batch", "5"]) == {}


BAD: list[tuple[str, bytes, str]] = [
    ("key/5?u=ann", b"", "empty"),
    ("key/5?u=ann", b"[1]", "object"),
    ("key/5?u=ann", b"{", "JSON"),
    ("key/5?u=ann", b'{"bodyid": 5, "x": NaN}', "JSON"),
    ("key/5?u=ann", b'{"bodyid": 5, "x": Infinity}', "JSON"),
    ("key/5?u=ann", b'{"bodyid": 5, "x": 1e999}', "JSON"),
    ("key/5?u=ann", b'{"bodyid": 5, "x": ' + b"1" * 400 + b"}", "x"),
    ("key/5?u=ann", b'{"bodyid": 5, "x": ' + b"1" * 6000 + b"}", "JSON"),
    ("key/5?u=ann", b'{"bodyid": 5, "x": "\\ud800"}', "JSON"),
    ("key/5?u=ann", b'{"bodyid": 5, "x": "\xff"}', "JSON"),
    ("key/5?u=ann", b'{"bodyid": 5, "deep": ' + b"[" * 80 + b"]" * 80 + b"}", "deep"),
    ("key/5?u=ann", b'{"bodyid": 5, "deep": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "JSON"),
    ("key/5?u=ann", b'{"bodyid": 6}', "bodyid"),
    ("key/5?u=ann", b'{"bodyid": true}', "bodyid"),
    ("key/5?u=ann", b'{"bodyid": null}', "bodyid"),
    ("key/5?u=ann", b'{"bodyid": 5, "bodyid_user": "x"}', "bodyid_user"),
    ("key/5?u=ann", b'{"bodyid": 5, "bodyid_time": null}', "bodyid_time"),
    ("key/5?u=ann", b'{"bodyid": 5, "x_time": 1234567890}', "x_time"),
    ("key/5?u=ann", b'{"bodyid": 5, "x_time": "yesterday"}', "x_time"),
    ("key/5?u=ann", b'{"bodyid": 5, "x_time": "2020-13-40T00:00:00Z"}', "x_time"),
    ("key/5?u=ann", '{"bodyid": 5, "x_time": "\uff12020-01-01T00:00:00Z"}'.encode(), "x_time"),
    ("key/5", b'{"bodyid": 5}', "u="),
    ("key/%EF%BC%95?u=ann", b'{"bodyid": 5}', "key"),
    ("key/1_000?u=ann", b'{"bodyid": 1000}', "key"),
    ("key/%205?u=ann", b'{"bodyid": 5}', "key"),
    ("key/+5?u=ann", b'{"bodyid": 5}', "key"),
    ("key/5.0?u=ann", b'{"bodyid": 5}', "key"),
    ("key/" + "9" * 5000 + "?u=ann", b'{"bodyid": 5}', "key"),
    ("key/json_schema?u=ann", b"{}", "key"),
    ("keyvalues?u=ann", b"\x0a\xff\xff\xff\xff\x0f", "KeyValues"),
    ("keyvalues?u=ann", b"\x0a\x06\x0a\x01\x35\x12\x01{", "5"),
    ("keyvalues?u=ann", b"\x0a\x03\x0a\x01a", "a"),
    ("query", b'{"a": 1, "a": }', "JSON"),
    ("query", b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}", "JSON"),
    ("query", b"[" + b",".join([b'{"a": "re/x"}'] * 101) + b"]", "regular expressions"),
    ("query", b"[" + b",".join([b"{}"] * 5000) + b"]", "conditions"),
    ("query", b"[{}, 5]", "query"),
    ("import?u=ann&format=xml", b"", "format"),
    ("import?u=ann&check=maybe", b'{"bodyid": 5}\n{"bodyid": "x"}', "line 2"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "named"), BAD, ids=[f"{p[:30]} {b[:40]!r}" for p, b, _ in BAD])
async def test_bad_input_is_refused_naming_it_and_changes_nothing(
    nj: Place, path: str, body: bytes, named: str
) -> None:
    await nj.set(5, type="KC")
    before = await nj.answers()
    answer = await nj.api.ask("POST", f"{nj.path}/{path}", body)
    assert answer.status == 400, answer.text[:300]
    assert named in answer.text and len(answer.text) < 1000
    assert await nj.answers() == before
    await nj.set(5, type="LC")


@pytest.mark.parametrize("wanted", [["x"], [1.5], [True], [-1], [2**64], {"a": 1}, "5", [None], ["5 "], ["\u0665"]])
async def test_a_list_of_keys_that_are_none_is_refused(nj: Place, wanted: Any) -> None:
    answer = await nj.api.ask("GET", f"{nj.path}/keyvalues?json=true", json=wanted)
    assert answer.status == 400, answer.text
