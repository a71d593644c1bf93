"""Queries: the same answers as by looking at each annotation, and patterns that cannot stall the server."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import pytest

from .place import Place

VALUES: list[Any] = [
    0, 1, 2, -3, 2**64 - 1, 2**53 + 1, 1.5, "", "a", "b", "ab", "1", "A", "é漢", "re/a", "exists/1", True, False,
    [], [1, 2], [2, "a"], ["a", "b"], [1.5], [True], [[1]], {"a": 1}, ["ab", 2**64 - 1],
]  # fmt: skip
WANTED: list[Any] = [
    0, 1, 2.0, -3, 2**64 - 1, 2**53, 1.5, "", "a", "1", "A", "é漢", "exists/1", "exists/0", "exists/9", "exists/true",
    "re/a", "re/^a$", "re/(?i)A", "re/(", "re/", "re/漢", True, None, {"a": 1}, [], [1, "a"], ["re/^a", 1.5, "zz"],
    ["re/("], ["exists/1"], [True], [[1]], [2**64 - 1], list(range(1000)),
]  # fmt: skip
NAMES = ["f", "g", "h"]


def pattern_in(source: str, text: str) -> bool:
    """Whether the few patterns of `WANTED` are found in a text."""
    return {
        "a": "a" in text, "^a$": text == "a", "(?i)A": "a" in text.lower(), "": True, "漢": "漢" in text,
        "^a": text.startswith("a"),
    }[source]  # fmt: skip


def fits(wanted: Any, value: Any) -> bool:
    """Whether a stored value, None if absent, fulfils a condition; read off the contract."""
    if isinstance(wanted, str) and wanted.startswith("exists/") and len(wanted) == 8:
        return (value is not None) == (wanted != "exists/0")
    if value is None:
        return False
    have = value if isinstance(value, list) else [value]
    have = [h for h in have if type(h) in (int, float, str)]
    alone = not isinstance(wanted, list)
    for want in [wanted] if alone else wanted:
        if isinstance(want, str) and want.startswith("re/") and want != "re/(" and (alone or want != "re/"):
            if any(isinstance(h, str) and pattern_in(want[3:], h) for h in have):
                return True
        elif type(want) in (int, float, str) and any(
            h == want and (type(h) is str) == (type(want) is str) for h in have
        ):
            return True
    return False


async def test_queries_answer_as_looking_at_each_annotation_does(nj: Place) -> None:
    chance = random.Random(4)
    table = {
        body: {name: chance.choice(VALUES) for name in NAMES if chance.random() < 0.7}
        for body in random.Random(5).sample(range(1, 10**6), 700)
    }
    assert (await nj.set_many([{"bodyid": b, **f} for b, f in table.items()])).status == 200
    # The second round meets the columns that the first one made, in a table in which one annotation changed.
    for changed in (None, next(iter(table))):
        if changed is not None:
            table[changed] = {"f": "a", "g": [1, 2]}
            await nj.set(changed, options="&replace=true", **table[changed])
        for _ in range(150):
            asked = [
                {name: chance.choice(WANTED) for name in chance.sample(NAMES, chance.randint(1, 2))}
                for _ in range(chance.randint(1, 2))
            ]
            expected = [
                b for b, f in sorted(table.items()) if any(all(fits(w, f.get(n)) for n, w in q.items()) for q in asked)
            ]
            sent = asked if len(asked) > 1 else asked[0]
            assert await found(nj, sent) == expected, asked


async def found(nj: Place, asked: Any) -> list[int]:
    """The ids of what answers a query that is sent in UTF-8, without escapes."""
    import json

    body = json.dumps(asked, ensure_ascii=False).encode()
    answer: list[int] = await nj.api.get(f"{nj.path}/query?onlyid=true", body=body)
    return answer


async def test_body_ids_are_a_field_among_others(nj: Place) -> None:
    await nj.set_many([{"bodyid": i, "type": "a" if i % 2 else "b"} for i in range(1, 500)])
    assert await nj.ids({"bodyid": [7, 8, 9, 10**9, 2**64 - 1], "type": "a"}) == [7, 9]
    assert await nj.ids({"bodyid": "exists/0"}) == []
    assert await nj.ids({"bodyid": ["7", 8]}) == [8]
    assert await nj.ids([{"bodyid": "exists/1"}, {"x": 1}]) == list(range(1, 500))


async def test_a_lookup_repeats_what_is_asked_twice_in_the_order_asked(nj: Place) -> None:
    await nj.set_many([{"bodyid": i} for i in range(1, 600)])
    wanted = [599, 3, 3, 10**7, -1, 300, *range(1, 500)]
    expected = [{"bodyid": i} for i in wanted if 0 < i < 600]
    assert await nj.query({"bodyid": wanted}) == expected
    assert await nj.query({"bodyid": wanted}, "?onlyid=true") == expected
    assert await nj.query({}) == [] == await nj.query([{}])


CATASTROPHES = ["(x+x+)+y", "(x*)*y", "(.*)(.*)(.*)(.*)(.*)(.*)[^x0-9]$", "(x|x|xx)*y", "((x{1,30}){1,30})y", "x{999}y"]


@pytest.mark.parametrize("pattern", CATASTROPHES)
async def test_no_pattern_stalls_the_server(nj: Place, pattern: str) -> None:
    await nj.set_many([{"bodyid": i, "text": "x" * 5000 + str(i)} for i in range(1, 20)])
    begun = time.perf_counter()
    assert await nj.ids({"text": "re/" + pattern}) == []
    assert time.perf_counter() - begun < 5


async def test_large_replies_let_others_be_served(nj: Place) -> None:
    for at in range(0, 12_000, 2000):
        objects = [{"bodyid": i + 1, "type": f"t{i}", "notes": "n" * 100} for i in range(at, at + 2000)]
        assert (await nj.set_many(objects)).status == 200
    waits = []

    async def others(until: asyncio.Event) -> None:
        while not until.is_set():
            begun = time.perf_counter()
            await nj.api.get("/api/heartbeat")
            waits.append(time.perf_counter() - begun)

    for path in ("all?show=all", "all?fields=type&show=user", "fields?counts=true", "export?format=csv"):
        until = asyncio.Event()
        watch = asyncio.ensure_future(others(until))
        await nj.api.get(f"{nj.path}/{path}")
        until.set()
        await watch
    assert max(waits) < 0.25


async def test_a_pattern_that_takes_long_stalls_nobody_else_and_ends(nj: Place) -> None:
    await nj.set_many([{"bodyid": i, "text": "x" * 20_000 + str(i)} for i in range(1, 8)])
    asked = asyncio.ensure_future(nj.api.ask("GET", f"{nj.path}/query", json={"text": "re/((x{1,30}){1,30})y"}))
    waits = []
    while not asked.done():
        begun = time.perf_counter()
        await nj.api.get("/api/heartbeat")
        waits.append(time.perf_counter() - begun)
    assert (await asked).status in (200, 400)
    assert max(waits) < 0.5
    await nj.set(99, text="x" * 1_000_000)
    answer = await nj.api.ask("GET", f"{nj.path}/query", json={"text": "re/((x{1,30}){1,30})y"})
    assert answer.status == 400 and "regular expression" in answer.text
