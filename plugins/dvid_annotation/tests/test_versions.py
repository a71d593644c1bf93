"""Branches and merges of versions."""

from __future__ import annotations

from .place import Place, element


async def branches(syn: Place) -> list[Place]:
    await syn.post(element((1, 1, 1), tags=["t"]))
    await syn.server.commit(syn.uuid)
    return [syn.at(await syn.server.branch(syn.uuid, name)) for name in ("one", "two")]


async def merged(*parents: Place) -> Place:
    for parent in parents:
        await parent.server.commit(parent.uuid)
    return parents[0].at(await parents[0].server.merge(*(p.uuid for p in parents)))


async def test_a_merge_has_what_its_parents_wrote_to_different_places(syn: Place) -> None:
    one, two = await branches(syn)
    await one.post(element((500, 1, 1), tags=["t", "one"]))
    await two.post(element((1, 900, 1), tags=["t", "two"]))
    await two.delete((1, 1, 1))
    child = await merged(one, two)
    assert set(await child.all()) == set(await child.tag("t")) == {(500, 1, 1), (1, 900, 1)}
    assert set(await child.tag("one")) == {(500, 1, 1)} and set(await syn.all()) == {(1, 1, 1)}
    await child.move((500, 1, 1), (1, 1, 1))
    assert set(await child.tag("t")) == {(1, 1, 1), (1, 900, 1)}


async def test_what_both_parents_of_a_merge_changed_is_a_conflict_and_the_rest_is_read(syn: Place) -> None:
    one, two = await branches(syn)
    await one.post(element((2, 1, 1)), element((500, 1, 1)))
    await two.post(element((3, 1, 1)))
    child = await merged(one, two)
    for path in ("all-elements", "elements/9_9_9/0_0_0", "blocks/9_9_9/0_0_0", "scan"):
        answer = await child.server.ask("GET", f"{child.path}/{path}")
        assert answer.status == 409 and "conflict" in answer.text, path
    assert set(await child.box((9, 9, 9), (500, 0, 0))) == {(500, 1, 1)}
    answer = await child.server.ask("POST", f"{child.path}/elements", json=[element((4, 1, 1))])
    assert answer.status == 409
