"""Many clients at once."""

from __future__ import annotations

import asyncio

from .place import Place

CLIENTS = 16


async def test_simultaneous_edits_of_one_annotation_lose_no_field(nj: Place) -> None:
    async def client(n: int) -> None:
        for i in range(10):
            await nj.set(5, user=f"u{n}", **{f"f{n}": i})

    await asyncio.gather(*(client(n) for n in range(CLIENTS)))
    found = await nj.get(5, "?show=user")
    assert all((found[f"f{n}"], found[f"f{n}_user"]) == (9, f"u{n}") for n in range(CLIENTS))
    assert len(await nj.history(5)) == 10 * CLIENTS
    assert await nj.ids({f"f{CLIENTS - 1}": 9}) == [5]


async def test_batches_and_single_writes_together_lose_nothing(nj: Place) -> None:
    async def batches(n: int) -> None:
        assert (await nj.set_many([{"bodyid": b, f"batch{n}": n} for b in range(1, 400)])).status == 200

    async def singles(n: int) -> None:
        for b in range(1, 400, 37):
            await nj.set(b, **{f"single{n}": n})

    await asyncio.gather(*(batches(n) for n in range(4)), *(singles(n) for n in range(4)))
    counts = await nj.counts()
    assert [counts[f"batch{n}"] for n in range(4)] == [399] * 4
    assert [counts[f"single{n}"] for n in range(4)] == [11] * 4


async def test_a_conditional_write_is_won_by_one(nj: Place) -> None:
    await asyncio.gather(*(nj.set(5, user=f"u{n}", options="&conditional=owner", owner=n) for n in range(CLIENTS)))
    entries = await nj.history(5, "owner")
    assert len(entries) == 1
    assert entries[0]["Value"] == (await nj.get(5))["owner"]


async def test_a_reader_sees_every_write_that_was_acknowledged_before(nj: Place) -> None:
    async def client(n: int) -> None:
        for i in range(1, 15):
            body = n * 1000 + i
            await nj.set(body, type=f"t{n}", number=i)
            assert (await nj.get(body))["number"] == i
            assert body in await nj.keys()
            assert await nj.ids({"type": f"t{n}"}) == [n * 1000 + k for k in range(1, i + 1)]
            assert len(await nj.all(f"?fields=f{n},number")) >= i

    await asyncio.gather(*(client(n) for n in range(1, 9)))


async def test_after_a_commit_is_acknowledged_nothing_changes(nj: Place) -> None:
    results: list[tuple[int, int]] = []
    enough = asyncio.Event()

    async def client(n: int) -> None:
        for i in range(1, 30):
            answer = await nj.try_set(n * 1000 + i, number=i)
            results.append((n * 1000 + i, answer.status))
            if len(results) == 40:
                enough.set()

    clients = [asyncio.ensure_future(client(n)) for n in range(1, 9)]
    await enough.wait()
    await nj.api.commit(nj.uuid)
    seen = await nj.keys()
    await asyncio.gather(*clients)
    assert await nj.keys() == seen == sorted(body for body, status in results if status == 200)
    assert {status for _, status in results} == {200, 400}


async def test_the_first_reads_of_a_branch_see_the_writes_made_meanwhile(nj: Place) -> None:
    await nj.set_many([{"bodyid": b, "type": "a"} for b in range(1, 3000)])
    await nj.next()
    side = nj.at(await nj.api.branch(nj.uuid, "side"))
    await nj.at(nj.uuid + ":master").set(9000, type="b")

    async def write(n: int) -> None:
        for i in range(5):
            await side.set(5000 + n * 10 + i, type="a")

    async def read(n: int) -> None:
        for _ in range(3):
            assert len(await side.ids({"type": "a"})) >= 2999

    await asyncio.gather(*(f(n) for n in range(6) for f in (read, write)))
    assert len(await side.ids({"type": "a"})) == 2999 + 30
    assert len(await side.keys()) == 2999 + 30
