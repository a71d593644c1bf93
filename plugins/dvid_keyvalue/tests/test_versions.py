"""What each version sees: beside a plain model on random histories, and at the places where it matters."""

from __future__ import annotations

import random

import aiohttp
import pytest

from dvid_core.testing.fixtures import RunningServer
from dvid_core.testing.versions import Versions

from .pairs import Pairs, new_pairs, packed, packed_keys, quoted

LARGE = 70_000
KEYS = ("a", "a\x00", "b", "c/d", "é", "z")


class History:
    """A repo whose versions are written at random, and the model of it."""

    def __init__(self, kv: Pairs, seed: int) -> None:
        self.kv, self.chance = kv, random.Random(seed)
        self.model = Versions()
        self.model.add(0, ())
        self.seen = [kv]
        """The instance from each version, by the number that the version has in the model."""
        self.records: dict[int, list[tuple[str, str]]] = {0: []}

    def value(self) -> bytes:
        size = self.chance.choice((0, 1, 20, 20, 20, 9_000, LARGE))
        return self.chance.randbytes(size)

    async def step(self) -> None:
        openly, locked = sorted(self.model.open), sorted(self.model.locked)
        if openly and self.chance.random() < 0.75:
            await self.write(self.chance.choice(openly))
        elif openly and self.chance.random() < 0.5:
            version = self.chance.choice(openly)
            await self.seen[version].commit()
            self.model.locked.add(version)
        elif len(locked) > 1 and self.chance.random() < 0.4:
            parents = self.chance.sample(locked, self.chance.randint(2, min(3, len(locked))))
            self.add(await self.kv.api.merge(*(self.seen[p].uuid for p in parents)), parents)
        elif locked:
            parent = self.chance.choice(locked)
            self.add(await self.kv.api.branch(self.seen[parent].uuid, f"branch {len(self.seen)}"), [parent])

    def add(self, uuid: str, parents: list[int]) -> None:
        self.model.add(len(self.seen), tuple(parents))
        self.records[len(self.seen)] = []
        self.seen.append(self.kv.at(uuid))

    async def write(self, version: int) -> None:
        there, wrote, log = self.seen[version], self.model.wrote[version], self.records[version]
        key, value = self.chance.choice(KEYS), self.value()
        what = self.chance.random()
        if what < 0.25:
            await there.delete(key)
            wrote[key] = None
            log.append(("delete", key))
        elif what < 0.75:
            await there.put(key, value)
            wrote[key] = value
            log.append(("postkv", key))
        else:
            pairs = [(self.chance.choice(KEYS), self.value()) for _ in range(self.chance.randint(1, 5))]
            await there.put_many(pairs)
            wrote.update(pairs)
            log.extend(("postkv", k) for k, _ in pairs)

    async def check(self, version: int) -> None:
        """All ways of reading a version agree with the model."""
        there, wanted = self.seen[version], self.model.all(version)
        assert await there.keys() == list(wanted)
        disputed = {key for key, value in wanted.items() if isinstance(value, frozenset)}
        for key in KEYS:
            value = wanted.get(key)
            if key in disputed:
                for method in ("GET", "HEAD"):
                    assert (await there.ask(method, f"key/{quoted(key)}")).status == 409
                assert (await there.ask("GET", "keyvalues", packed_keys([key]))).status == 409
            else:
                assert await there.get(key) == value
                assert await there.values([key]) == [(key, value or b"")]
        plain = [(key, value) for key, value in wanted.items() if key not in disputed]
        assert await there.values([key for key, _ in plain]) == plain
        if disputed:
            await refused(there, f"keyrangevalues/{quoted(min(disputed))}/{quoted(max(disputed))}")
        else:
            assert await there.all() == wanted
        assert [(r["Action"], r["Key"]) for r in await there.log()] == self.records[version]


async def refused(kv: Pairs, path: str) -> None:
    """A conflict is an error; where the reply has begun already, the connection is cut."""
    try:
        answer = await kv.ask("GET", path)
    except aiohttp.ClientError:
        return
    assert answer.status == 409


@pytest.mark.parametrize("seed", range(6))
async def test_random_histories_read_as_the_model_says(
    kv: Pairs, seed: int, server: RunningServer, engine: str
) -> None:
    history = History(kv, seed)
    for n in range(150):
        await history.step()
        if n % 10 == 0:
            await history.check(history.chance.randrange(len(history.seen)))
    if engine != "memory":
        await server.restart()
    for version in range(len(history.seen)):
        await history.check(version)


async def test_a_put_is_seen_below_and_nowhere_else(kv: Pairs) -> None:
    await kv.put("k", b"root")
    left, right = await kv.child(), await kv.child("side")
    grandchild = await left.child()
    await left.api.ask("POST", f"{left.place}/key/k", b"late")  # committed meanwhile
    assert await grandchild.get("k") == b"root"
    await right.put("k", b"right")
    await grandchild.put("k", b"grandchild")
    below = await right.child()
    assert [await v.get("k") for v in (kv, left, right, grandchild, below)] == [
        b"root", b"root", b"right", b"grandchild", b"right",
    ]  # fmt: skip


async def test_a_deletion_hides_the_key_from_there_on_until_it_is_written_again(kv: Pairs) -> None:
    await kv.put_many({"k": b"root", "other": b"x"})
    deleted = await kv.child()
    await deleted.delete("k")
    below = await deleted.child()
    again = await below.child()
    await again.put("k", b"again")
    assert [await v.get("k") for v in (kv, deleted, below, again)] == [b"root", None, None, b"again"]
    assert [await v.keys() for v in (kv, deleted, below, again)] == [
        ["k", "other"],
        ["other"],
        ["other"],
        ["k", "other"],
    ]
    assert await below.values(["k", "other"]) == [("k", b""), ("other", b"x")]
    assert await below.range_values("a", "z") == [("other", b"x")]


async def test_deep_histories_are_read_through(kv: Pairs) -> None:
    await kv.put_many({f"root {n}": b"root" for n in range(5)})
    versions = [kv]
    for n in range(24):
        there = await versions[-1].child()
        await there.put("changing", str(n).encode())
        if n % 3 == 0:
            await there.delete(f"root {n % 5}")
        elif n % 5 == 0:
            await there.put(f"root {n % 5}", b"again")
        versions.append(there)
    model = Versions()
    for n in range(25):
        model.add(n, (n - 1,) if n else ())
    model.wrote[0] = dict.fromkeys((f"root {n}" for n in range(5)), b"root")
    for n in range(24):
        model.wrote[n + 1]["changing"] = str(n).encode()
        if n % 3 == 0:
            model.wrote[n + 1][f"root {n % 5}"] = None
        elif n % 5 == 0:
            model.wrote[n + 1][f"root {n % 5}"] = b"again"
    for n, there in enumerate(versions):
        assert await there.all() == model.all(n)


async def conflict(kv: Pairs) -> Pairs:
    """A merge whose parents disagree about "k" and "large", and agree about the rest."""
    await kv.put_many({"a": b"1", "k": b"0", "z": b"2"})
    left, right = await kv.child(), await kv.child("right")
    for there, digit in ((left, b"3"), (right, b"4")):
        await there.put_many({"k": digit, "large": digit * LARGE})
        await there.commit()
    return kv.at(await kv.api.merge(left.uuid, right.uuid))


async def test_a_conflict_is_an_error_wherever_its_value_is_asked_for(kv: Pairs) -> None:
    merged = await conflict(kv)
    assert await merged.keys() == ["a", "k", "large", "z"]
    assert await merged.keys("b", "m") == ["k", "large"]
    for key in ("k", "large"):
        for options in ("", "?byte_start=0&byte_end=0", "?byte_start=x"):
            for method in ("GET", "HEAD"):
                assert (await merged.ask(method, f"key/{key}{options}")).status == 409
        answer = await merged.ask("GET", f"key/{key}", headers={"Range": "bytes=0-0"})
        assert answer.status == 409
        assert f"{key}" in answer.text
        for form in ("", "?json=true", "?json=true&check=true", "?tar=true"):
            body = packed_keys(["a", key]) if not form else f'["a", "{key}"]'.encode()
            assert (await merged.ask("GET", f"keyvalues{form}", body)).status == 409
            assert (await merged.ask("GET", f"keyrangevalues/a/z{form}")).status == 409
        part = [{"key": key, "byte_start": 0, "byte_end": 0}]
        assert (await merged.ask("GET", "keyvalues?tar=true", json=part)).status == 409
    assert await merged.values(["a", "z", "none"]) == [("a", b"1"), ("z", b"2"), ("none", b"")]
    assert await merged.range_values("m", "z") == [("z", b"2")]


async def test_a_write_or_a_deletion_decides_a_conflict_in_all_readers(kv: Pairs) -> None:
    merged = await conflict(kv)
    await merged.put("k", b"decided")
    await merged.delete("large")
    assert await merged.all() == {"a": b"1", "k": b"decided", "z": b"2"}
    below = await merged.child()
    assert await below.all() == {"a": b"1", "k": b"decided", "z": b"2"}


async def test_a_conflict_far_behind_never_looks_like_a_whole_reply(kv: Pairs) -> None:
    """More than is gathered before the first byte goes out stands before the conflict."""
    await kv.put_many({f"a{n}": b"x" * 60_000 for n in range(40)})
    merged = await conflict(kv)
    for form in ("", "?json=true", "?tar=true"):
        await refused(merged, f"keyrangevalues/a/z{form}")


async def test_a_committed_version_refuses_all_writes_and_stays_as_it_is(kv: Pairs) -> None:
    await kv.put_many({"a": b"1", "large": b"x" * LARGE})
    await kv.commit()
    before, log = await kv.all(), await kv.log()
    for method, path, body in (
        ("POST", "key/a", b"new"), ("POST", "key/b", b"new"), ("POST", "key/a", b"x" * 3_000_000),
        ("DELETE", "key/a", None),
        ("DELETE", "key/none", None), ("POST", "keyvalues", packed([("a", b"new")])), ("POST", "keyvalues", b""),
        ("POST", "keyvalues", b"no message"), ("POST", "tags", b"{}"), ("PUT", "key/a", b"new"),
    ):  # fmt: skip
        assert (await kv.ask(method, path, body)).status == 400, (method, path)
    assert await kv.all() == before
    assert await kv.log() == log
    await kv.demand("POST", "key/a", b"by the admin", admin=True)
    assert await kv.get("a") == b"by the admin"


async def test_an_unversioned_instance_has_one_set_of_pairs_for_all_versions(server: RunningServer) -> None:
    kv = await new_pairs(server, versioned="false")
    await kv.put_many({"a": b"1", "b": b"2", "large": b"x" * LARGE})
    child = await kv.child()
    side = await kv.child("side")
    await child.put("a", b"new")
    await side.delete("b")
    await kv.put("c", b"written at a committed version")
    wanted = {"a": b"new", "c": b"written at a committed version", "large": b"x" * LARGE}
    for there in (kv, child, side):
        assert await there.all() == wanted
    await child.delete("large")
    assert await kv.keys() == ["a", "c"]
    # Its mutations are those of the root, at whatever version they were made.
    actions = [
        ("postkv", "a"),
        ("postkv", "b"),
        ("postkv", "large"),
        ("postkv", "a"),
        ("delete", "b"),
        ("postkv", "c"),
        ("delete", "large"),
    ]
    for there in (kv, child, side):
        log = await there.log()
        assert [(r["Action"], r["Key"]) for r in log] == actions
        assert {r["UUID"] for r in log} == {kv.uuid}


async def test_versions_by_any_name(kv: Pairs) -> None:
    await kv.put("k", b"root")
    side = await kv.child("side branch")
    await side.put("k", b"side")
    master = await kv.child()
    await master.put("k", b"master")
    for name, value in (
        (kv.uuid[:10], b"root"), (f"{kv.uuid}:side%20branch", b"side"), (f"{kv.uuid[:8]}:master", b"master"),
        (f"{kv.uuid[:8]}:master~1", b"root"), (":side%20branch", b"side"), (":master", b"master"),
    ):  # fmt: skip
        assert await kv.at(name).get("k") == value
    assert (await kv.at("0" * 32).ask("GET", "key/k")).status == 400
    assert (await kv.at(kv.uuid).ask("GET", "nonsense")).status == 400
    answer = await kv.api.ask("GET", f"/api/node/{kv.uuid}/none/key/k")
    assert answer.status == 400
