"""Many clients at once, and servers that are killed."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from dvid_core.testing.process import ServerProcess, process_of

from .place import Place, by_position, element, new_place


async def test_clients_that_post_to_one_block_lose_nothing(syn: Place) -> None:
    wanted = [element((n % 8, n // 8 % 8, n // 64), tags=["t", f"c{n % 5}"]) for n in range(300)]
    await asyncio.gather(*(syn.post(e) for e in wanted))
    assert await syn.all() == by_position(wanted)
    assert len(await syn.tag("t")) == 300 and len(await syn.tag("c3")) == 60


async def test_posts_moves_and_deletes_at_once_leave_all_views_in_agreement(syn: Place) -> None:
    r = random.Random(4)
    places = [(x, y, 0) for x in range(0, 300, 30) for y in range(4)]
    tags = ("a", "b", "c")

    async def client() -> None:
        for _ in range(40):
            pos, stop = r.sample(places, 2)
            words = ["_".join(map(str, p)) for p in (pos, stop)]
            some = [element(p, tags=r.sample(tags, 2)) for p in r.sample(places, 5)]
            method, path, body = r.choice([
                ("POST", "elements", json.dumps(some).encode()), ("POST", f"move/{words[0]}/{words[1]}", None),
                ("DELETE", f"element/{words[0]}", None),
            ])  # fmt: skip
            assert (await syn.server.ask(method, f"{syn.path}/{path}", body)).status in (200, 400)

    await asyncio.gather(*(client() for _ in range(12)))
    found = await syn.all()
    for tag in tags:
        assert set(await syn.tag(tag)) == {p for p, e in found.items() if tag in e["Tags"]}
        assert await syn.tag(tag, "?relationships=true") == {p: e for p, e in found.items() if tag in e["Tags"]}


async def test_a_commit_waits_for_posts_and_refuses_later_ones(syn: Place) -> None:
    async def write(n: int) -> bool:
        body = [element((n, 0, 0), tags=["t"])]
        return (await syn.server.ask("POST", f"{syn.path}/elements", json=body)).status == 200

    posts = [asyncio.ensure_future(write(n)) for n in range(60)]
    await asyncio.wait(posts[:5])
    await syn.server.commit(syn.uuid)
    done = [n for n, yes in enumerate(await asyncio.gather(*posts)) if yes]
    assert set(await syn.all()) == set(await syn.tag("t")) == {(n, 0, 0) for n in done}


@pytest_asyncio.fixture
async def process(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    async with process_of(tmp_path, plugins=["dvid_annotation"]) as found:
        yield found


@pytest.mark.slow
async def test_of_posts_whole_ones_survive_a_kill_and_all_that_were_acknowledged(process: ServerProcess) -> None:
    syn = await new_place(process)
    acknowledged: set[str] = set()
    enough = asyncio.Event()

    async def write(client: int) -> None:
        for n in range(10_000):
            tag = f"{client}-{n}"
            try:
                await syn.post(*(element((7 * i, n, client), tags=[tag, "all"]) for i in range(30)))
            except (aiohttp.ClientError, OSError, AssertionError, RuntimeError):
                return
            acknowledged.add(tag)
            if len(acknowledged) > 60:
                enough.set()

    writers = [asyncio.ensure_future(write(client)) for client in range(6)]
    await enough.wait()
    await process.kill()
    await asyncio.gather(*writers)
    await process.start()
    found = await syn.all()
    by_tag: dict[str, set[object]] = {}
    for pos, e in found.items():
        (tag,) = [t for t in e["Tags"] if t != "all"]
        by_tag.setdefault(tag, set()).add(pos)
    assert acknowledged <= by_tag.keys()
    assert all(len(some) == 30 for some in by_tag.values())
    assert set(await syn.tag("all")) == set(found)
    for tag, some in by_tag.items():
        assert set(await syn.tag(tag)) == some
