"""The history of annotations and of single fields."""

from __future__ import annotations

from typing import Any

from .place import Fields, Place


def told(entries: list[Fields], *names: str) -> list[tuple[Any, ...]]:
    """These values of each entry."""
    return [tuple(e.get(n) for n in names) for e in entries]


async def test_the_history_of_a_field_goes_across_versions_and_not_to_other_branches(nj: Place) -> None:
    await nj.set(5, user="ann", type="a", group=1)
    await nj.set(5, user="bob", group=2)
    await nj.api.commit(nj.uuid)
    head = nj.at(await nj.api.newversion(nj.uuid))
    side = nj.at(await nj.api.branch(nj.uuid, "side"))
    await head.set(5, user="eve", type="b")
    await head.set(5, user="eve", type=None)
    await side.set(5, user="zoe", type="c", type_user="by hand")
    await head.delete(5)
    await head.set(5, user="ann", type="d")
    assert told(await head.history(5, "type"), "UUID", "User", "Value", "Removed") == [
        (nj.uuid, "ann", "a", None),
        (head.uuid, "eve", "b", None),
        (head.uuid, "eve", None, True),
        (head.uuid, "", None, True),
        (head.uuid, "ann", "d", None),
    ]
    assert told(await side.history(5, "type"), "User", "Value", "type_user") == [
        ("ann", "a", "ann"), ("zoe", "c", "by hand"),
    ]  # fmt: skip
    assert told(await nj.history(5, "group"), "Value", "User") == [(1, "ann"), (2, "bob")]
    assert await nj.history(5, "none such") == [] == await nj.history(6)


async def test_the_history_of_an_annotation_tells_what_each_edit_did(nj: Place) -> None:
    await nj.api.post(
        f"{nj.path}/key/5?u=ann&app=clio", json={"bodyid": 5, "type": "a", "type_time": "2020-01-02T03:04:05Z"}
    )
    await nj.set(5, user="bob", type=None)
    await nj.delete(5)
    first, second, third = await nj.history(5)
    assert first["Set"] == {"bodyid": 5, "type": "a", "type_time": "2020-01-02T03:04:05Z", "type_user": "ann"}
    assert (first["App"], second["Removed"], second["Set"]["type_user"]) == ("clio", ["type"], "bob")
    assert third["Deleted"] is True
    assert first["MutationID"] < second["MutationID"] < third["MutationID"]
    assert first["Timestamp"] <= second["Timestamp"] <= third["Timestamp"]
    log = await nj.api.get(f"{nj.path}/mutations")
    assert [e["MutationID"] for e in log] == [e["MutationID"] for e in (first, second, third)]
    assert [(e["Action"], e["Key"], e["User"]) for e in log[:2]] == [
        ("postneuronjson", "5", "ann"), ("postneuronjson", "5", "bob"),
    ]  # fmt: skip


async def test_a_name_with_a_slash_has_a_history_too(nj: Place) -> None:
    await nj.api.post(f"{nj.path}/key/5?u=ann", json={"bodyid": 5, "a/b": 1})
    assert told(await nj.history(5, "a/b"), "Value") == [(1,)]


async def test_a_merge_has_the_history_of_both_parents(nj: Place) -> None:
    await nj.api.commit(nj.uuid)
    one, two = [nj.at(await nj.api.branch(nj.uuid, name)) for name in ("one", "two")]
    await one.set(5, user="bob", type="one")
    await two.set(5, user="eve", type="two")
    for side in (one, two):
        await nj.api.commit(side.uuid)
    merged = nj.at(await nj.api.merge(one.uuid, two.uuid))
    assert told(await merged.history(5, "type"), "Value") == [("one",), ("two",)]
    assert (await nj.api.ask("GET", f"{merged.path}/history/x")).status == 400
