"""Many clients at once: names are given once, commits are final."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from dvid_core.testing.fixtures import Answer, RunningServer

TIMES = 12
UUID = "0123456789abcdef0123456789abcdef"


async def at_once(ask: Callable[[int], Awaitable[Answer]]) -> list[Answer]:
    return list(await asyncio.gather(*(ask(n) for n in range(TIMES))))


Race = tuple[str, dict[str, Any]]

RACES: dict[str, Race] = {
    "branch": ("/api/node/{locked}/branch", {"branch": "b"}),
    "newversion": ("/api/node/{locked}/newversion", {}),
    "uuid of a child": ("/api/node/{locked}/branch", {"branch": "b{n}", "uuid": UUID}),
    "tag": ("/api/node/{locked}/tag", {"tag": "v1"}),
    "tag of several versions": ("/api/node/{parent}/tag", {"tag": "v1"}),
    "instance": ("/api/repo/{open}/instance", {"typename": "keyvalue", "dataname": "kv"}),
    "root": ("/api/repos?admintoken=secret", {"root": UUID}),
    "commit": ("/api/node/{open}/commit", {}),
    "rename to one name": ("/api/repo/{open}/rename?admintoken=secret", {"from": "old{n}", "to": "new"}),
    "rename of one instance": ("/api/repo/{open}/rename?admintoken=secret", {"from": "old0", "to": "new{n}"}),
}


@pytest.mark.parametrize("race", RACES.values(), ids=RACES.keys())
async def test_of_many_requests_for_one_name_exactly_one_succeeds(server: RunningServer, race: Race) -> None:
    locked, opened = await server.repo(), await server.repo()
    await server.commit(locked)
    parents = [locked]
    for n in range(1, TIMES):
        parents.append(await server.branch(locked, f"parent{n}"))
        await server.commit(parents[-1])
    for n in range(TIMES):
        await server.instance(opened, f"old{n}")
    path, body = race

    async def ask(n: int) -> Answer:
        filled = {k: v.format(n=n) for k, v in body.items()}
        return await server.ask("POST", path.format(locked=locked, open=opened, parent=parents[n]), json=filled)

    answers = await at_once(ask)
    assert sorted(a.status for a in answers) == [200] + [400] * (TIMES - 1)
    assert all(a.text.strip() for a in answers if a.status == 400)


async def test_of_many_deletions_one_succeeds_and_nothing_is_left(server: RunningServer) -> None:
    uuid = await server.repo()
    await server.instance(uuid, "kv")
    answers = await at_once(lambda n: server.ask("DELETE", f"/api/repo/{uuid}/instance/kv", admin=True))
    assert sorted(a.status for a in answers) == [200] + [400] * (TIMES - 1)
    answers = await at_once(lambda n: server.ask("DELETE", f"/api/repo/{uuid}", admin=True))
    assert sorted(a.status for a in answers) == [200] + [400] * (TIMES - 1)
    assert await server.get("/api/repos/info") == {}


async def test_many_repos_made_at_once_are_all_there(server: RunningServer) -> None:
    uuids = await asyncio.gather(*(server.repo(alias=str(n)) for n in range(TIMES)))
    infos = await server.get("/api/repos/info")
    assert {u: i["Alias"] for u, i in infos.items()} == {u: str(n) for n, u in enumerate(uuids)}
    ids = [node["VersionID"] for info in infos.values() for node in info["DAG"]["Nodes"].values()]
    assert len(set(ids)) == TIMES


async def test_log_lines_and_tags_of_many_clients_are_all_kept(server: RunningServer) -> None:
    uuid = await server.repo()
    place = await server.instance(uuid, "kv")
    answers = await at_once(lambda n: server.ask("POST", f"/api/node/{uuid}/log", json={"log": [f"line {n}"]}))
    answers += await at_once(lambda n: server.ask("POST", f"{place}/tags", json={f"t{n}": str(n)}))
    assert {a.status for a in answers} == {200}
    lines = (await server.get(f"/api/node/{uuid}/log"))["log"]
    assert sorted(line.partition("  ")[2] for line in lines) == sorted(f"line {n}" for n in range(TIMES))
    assert (await server.get(f"{place}/tags"))["Tags"] == {f"t{n}": str(n) for n in range(TIMES)}


async def test_after_a_commit_nothing_changes_and_nothing_acknowledged_is_missing(server: RunningServer) -> None:
    uuid = await server.repo()
    place = await server.instance(uuid, "kv")
    acknowledged: dict[str, bytes] = {}
    refused: list[str] = []
    busy = asyncio.Event()

    async def write(client: int) -> None:
        n = 0
        while True:
            key, value = f"{client}-{n}", b"%d" % n * (30_000 if n % 7 == 0 else 1)
            answer = await server.ask("POST", f"{place}/key/{key}", value)
            if answer.status != 200:
                refused.append(answer.text)
                return
            acknowledged[key] = value
            n += 1
            if len(acknowledged) > 100:
                busy.set()

    writers = [asyncio.ensure_future(write(client)) for client in range(TIMES)]
    await busy.wait()
    await server.commit(uuid)
    at_commit = await server.get(f"{place}/keys")
    await asyncio.gather(*writers)
    assert len(refused) == TIMES and all("committed" in text for text in refused)
    assert await server.get(f"{place}/keys") == at_commit == sorted(acknowledged)
    mutations = await server.get(f"{place}/mutations")
    assert sorted(m["Key"] for m in mutations) == sorted(acknowledged)
    for key in list(acknowledged)[-20:]:
        assert await server.get(f"{place}/key/{key}") == acknowledged[key]


async def test_a_slow_upload_does_not_hold_up_a_commit_and_is_refused_after_it(server: RunningServer) -> None:
    uuid = await server.repo()
    place = await server.instance(uuid, "kv")
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"x" * 200_000
        begun.set()
        await go_on.wait()
        yield b"x"

    upload = asyncio.ensure_future(server.ask("POST", f"{place}/key/slow", body()))
    await begun.wait()
    async with asyncio.timeout(10):
        await server.commit(uuid)
    go_on.set()
    assert (await upload).status == 400
    assert await server.get(f"{place}/keys") == []


async def test_the_last_of_many_writes_to_a_key_is_what_the_log_says(server: RunningServer) -> None:
    uuid = await server.repo()
    place = await server.instance(uuid, "kv")
    answers = await at_once(lambda n: server.ask("POST", f"{place}/key/a", b"x" * (n + 1)))
    assert {a.status for a in answers} == {200}
    mutations = await server.get(f"{place}/mutations")
    assert sorted(m["Bytes"] for m in mutations) == list(range(1, TIMES + 1))
    assert len(await server.get(f"{place}/key/a")) == mutations[-1]["Bytes"]


async def test_a_reader_sees_what_was_acknowledged_before(server: RunningServer) -> None:
    place = await server.instance(await server.repo(), "kv")

    async def client(n: int) -> None:
        for value in range(20):
            await server.post(f"{place}/key/{n}", b"%d" % value)
            assert await server.get(f"{place}/key/{n}") == b"%d" % value
            assert str(n) in await server.get(f"{place}/keys")

    await asyncio.gather(*(client(n) for n in range(TIMES)))
