"""Counts and ranks follow what the annotations tell, per version."""

from __future__ import annotations

import random

import pytest

from dvid_core.testing.fixtures import RunningServer

from .sizes import ASKED, KINDS, Element, Sizes, new_sizes

HIGHEST = 2**64 - 1


def some(rng: random.Random, count: int, labels: int = 9, side: int = 6) -> list[Element]:
    """Elements, some of them in places where others are, some taken off their labels."""
    made = {}
    for _ in range(count):
        place = rng.randrange(-side, side), rng.randrange(side), rng.randrange(side)
        label = rng.choice([0, *range(1, labels), 2**53 + 1, HIGHEST])
        made[place] = (*place, label, rng.choice(KINDS))
    return list(made.values())


async def put(sizes: Sizes, elements: list[Element], source: str = "syn") -> None:
    await sizes.put([e for e in elements if e[3] or e[:3] in sizes.sources[source]], source)


async def test_ranks_and_counts_are_those_of_a_plain_count(sizes: Sizes) -> None:
    rng = random.Random(1)
    for n in range(12):
        await put(sizes, some(rng, 40), "syn" if n % 3 else "more")
        if n % 4 == 0:
            await sizes.check()
    await sizes.check()


async def test_changes_stay_on_their_branch(sizes: Sizes) -> None:
    rng = random.Random(2)
    await put(sizes, some(rng, 100))
    await sizes.check()
    places = [sizes]
    for n in range(8):
        parent = rng.choice(places)
        child = await parent.child(f"b{n}")
        await put(child, some(rng, 30))
        if n % 2:
            await child.check()
        places.append(child)
    for place in places:
        await place.check()


async def test_a_restart_keeps_every_count(server: RunningServer, sizes: Sizes, engine: str) -> None:
    if engine == "memory":
        pytest.skip("memory forgets")
    rng = random.Random(3)
    await put(sizes, some(rng, 100))
    child = await sizes.child()
    await put(child, some(rng, 50))
    await child.check()
    await server.restart()
    await put(child, some(rng, 50))
    for place in (sizes, child):
        await place.check()


async def test_several_changes_of_one_post_all_count(sizes: Sizes) -> None:
    await sizes.put([(0, 0, 0, 5, "PreSyn"), (1, 0, 0, 5, "PreSyn"), (2, 0, 0, 6, "Gap")])
    await sizes.check()
    await sizes.put([(0, 0, 0, 6, "PostSyn"), (1, 0, 0, 6, "PostSyn"), (2, 0, 0, 0, "Gap")])
    await sizes.check()
    assert await sizes.top("PreSyn") == [] and await sizes.count(5, "AllSyn") == 0


async def test_equal_counts_are_ordered_by_unsigned_label(sizes: Sizes) -> None:
    labels = [HIGHEST, 2**63, 2**53 + 1, 7, 2**63 - 1, 1]
    await sizes.put([(n, 0, 0, label, "Gap") for n, label in enumerate(labels)])
    await sizes.settled()
    assert await sizes.top("Gap") == [(label, 1) for label in sorted(labels)]
    assert await sizes.top("Gap", 2) == [(1, 1), (7, 1)]
    assert await sizes.count(HIGHEST, "Gap") == 1


async def test_pages_of_a_threshold_are_slices_of_the_ranks(sizes: Sizes) -> None:
    await sizes.put([(n, k, 0, n + 1, "PostSyn") for n in range(40) for k in range(n % 7)])
    await sizes.settled()
    ranks = sizes.ranked("PostSyn")
    assert await sizes.threshold("PostSyn", 0) == await sizes.threshold("PostSyn", 1) == ranks
    for count in (1, 2, 3, 6, 7, 2**32 - 1):
        wanted = [row for row in ranks if row[1] >= count]
        assert await sizes.threshold("PostSyn", count) == wanted
        for offset, n in ((0, 5), (3, 5), (0, 0), (30, 10), (10**18, 3), (-4, 3)):
            got = await sizes.threshold("PostSyn", count, f"?offset={offset}&n={n}")
            assert got == wanted[max(0, offset) :][: n or 10_000]


async def test_long_lists_come_whole(sizes: Sizes) -> None:
    await sizes.put([(n, 0, 0, n + 1, "PreSyn") for n in range(12_000)])
    await sizes.settled()
    assert await sizes.top("PreSyn") == [(n + 1, 1) for n in range(12_000)]
    assert len(await sizes.threshold("PreSyn", 1)) == 10_000
    assert await sizes.threshold("PreSyn", 1, "?offset=10000") == [(n + 1, 1) for n in range(10_000, 12_000)]
    assert await sizes.counts(list(range(12_000)), "AllSyn") == [0] + [1] * 11_999


async def test_an_unversioned_instance_has_one_set_of_counts(server: RunningServer) -> None:
    sizes = await new_sizes(server, versioned="false")
    await sizes.put([(0, 0, 0, 5, "PreSyn")])
    child = await sizes.child()
    await child.put([(1, 0, 0, 5, "PreSyn")])
    await child.settled()
    for place in (sizes, child):
        assert await place.top("PreSyn") == [(5, 2)]


async def test_without_a_sync_nothing_more_is_counted(server: RunningServer, sizes: Sizes) -> None:
    await sizes.put([(0, 0, 0, 5, "PreSyn")])
    await sizes.settled()
    await server.post(sizes.path("sync?replace=true"), json={"sync": ""})
    await sizes.put([(1, 0, 0, 5, "PreSyn")])
    await sizes.settled()
    assert await sizes.top("PreSyn") == [(5, 1)]
    await sizes.reload()
    assert await sizes.top("PreSyn") == [(5, 1)]


async def test_a_merge_that_disagrees_says_so_and_a_reload_settles_it(sizes: Sizes) -> None:
    await sizes.put([(0, 0, 0, 5, "PreSyn")])
    one, two = await sizes.child("one"), await sizes.child("two")
    await one.put([(1, 0, 0, 5, "PreSyn")])
    await two.put([(2, 0, 0, 5, "PreSyn"), (3, 0, 0, 6, "PreSyn")])
    for place in (one, two):
        await sizes.server.commit(place.uuid)
    merged = Sizes(sizes.server, await sizes.server.merge(one.uuid, two.uuid))
    merged.sources["syn"] = {**one.sources["syn"], **two.sources["syn"]}
    for end in ("count/5/PreSyn", "top/3/PreSyn"):
        assert (await merged.ask("GET", end)).status == 409
    assert await merged.count(6, "PreSyn") == 1
    await merged.put([(4, 0, 0, 5, "PreSyn"), (5, 0, 0, 7, "PreSyn")])
    await merged.settled()
    assert await merged.count(7, "PreSyn") == 1
    await merged.reload()
    await merged.check()


GOOD = ("count/5/PreSyn", "top/3/Gap", "threshold/1/Note", "counts/AllSyn")


async def test_only_get_reads(sizes: Sizes) -> None:
    for end in GOOD:
        for method in ("POST", "PUT", "DELETE"):
            assert (await sizes.ask(method, end, b"[1]")).status == 400
        answer = await sizes.ask("GET", end, b"[1]")
        assert answer.status == 200 and answer.headers["Content-Type"] == "application/json"
        assert (await sizes.ask("GET", end + "/", b"[1]")).body == answer.body


BAD = (
    "count/5/presyn", "count/5/Synapse", "count/x/PreSyn", "count/-1/PreSyn", f"count/{2**64}/PreSyn", "count/5",
    "count", "count/%EF%BC%95/PreSyn", "count/1_0/PreSyn", "count/+5/PreSyn", "top/3/Bad", "top/-1/Gap", "top/x/Gap",
    "top/3", "top", f"top/{2**32}/Gap", f"top/{'9' * 5000}/Gap", "top/%203/Gap", "threshold/x/Gap", "threshold/1/Bad",
    "threshold/1", "threshold/-1/Gap", f"threshold/{2**32}/Gap", "threshold/1/Gap?n=-1", "threshold/1/Gap?n=x",
    "threshold/1/Gap?offset=x", "threshold/1/Gap?n=1.5", f"threshold/1/Gap?n={'1' * 5000}", "counts/Bad", "counts",
    "nothing",
)  # fmt: skip


@pytest.mark.parametrize("end", BAD, ids=range(len(BAD)))
async def test_wrong_paths_and_options_are_refused_with_a_text(sizes: Sizes, end: str) -> None:
    answer = await sizes.ask("GET", end, b"[1]")
    assert answer.status == 400 and answer.text.strip()


BAD_LISTS = (
    b"",
    b"null",
    b"{}",
    b"[",
    b"[-1]",
    b"[1.5]",
    b'["1"]',
    b"[18446744073709551616]",
    b"[[1]]",
    b"[" * 100_000,
)


@pytest.mark.parametrize("body", BAD_LISTS, ids=range(len(BAD_LISTS)))
async def test_lists_that_are_none_are_refused(sizes: Sizes, body: bytes) -> None:
    assert (await sizes.ask("GET", "counts/PreSyn", body)).status == 400


async def test_an_empty_instance_answers_with_zeros(sizes: Sizes) -> None:
    for kind in ASKED:
        assert await sizes.top(kind) == [] == await sizes.threshold(kind, 0)
        assert await sizes.counts([0, 5, HIGHEST, 5], kind) == [0] * 4
        assert await sizes.top(kind, 0) == [] and await sizes.counts([], kind) == []


async def test_info_may_be_posted_and_changes_nothing(sizes: Sizes) -> None:
    info = await sizes.server.get(sizes.path("info"))
    assert info["Extended"] == {"StaticROI": ""} and info["Base"]["Syncs"] == ["syn", "more"]
    for method in ("POST", "PUT"):
        assert (await sizes.ask(method, "info", b'{"ROI": "a,b"}')).json() == info
    assert await sizes.server.get(sizes.path("info")) == info


async def test_no_log_of_mutations_is_shown(sizes: Sizes) -> None:
    await sizes.put([(0, 0, 0, 5, "PreSyn")])
    await sizes.settled()
    assert await sizes.server.get(sizes.path("mutations")) == []
