"""What every storage engine must pass: `StoreSuite`, tests by behaviour.

An engine's own tests subclass it and `StoreMachine`:

    class TestMyStore(StoreSuite):
        async def open_store(self, place: Path) -> Store:
            return await MyStore.open(MyConfig(path=str(place)))

    class MyMachine(StoreMachine):
        open_store = TestMyStore.open_store

    TestMyMachine = MyMachine.TestCase
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, TypeVar

import pytest
import pytest_asyncio

from ..errors import Conflict, StoreClosed
from ..storage.base import Batch, Page, Receipt, Store

R = TypeVar("R")

END = b"\xff" * 16
"""Beyond every key of these tests."""

AWKWARD_KEYS = (
    b"",
    b"\x00",
    b"\x00\x00",
    b"\x00\xff",
    b"a",
    b"a\x00",
    b"a\x00b",
    b"aa",
    b"b",
    b"\xfe\xff",
    b"\xff",
    b"\xff\xff",
)
"""In the order of unsigned bytes."""

AWKWARD_VALUES = (b"", b"\x00", b"\xff", b"\xff\x00", b"\xff\xff", b"\x01" * 8191, b"\xff" * 8192, b"\x00" * 70_000)


def batch(puts: dict[bytes, bytes] | None = None) -> Batch:
    """A batch that puts `puts`."""
    out = Batch()
    for key, value in (puts or {}).items():
        out.put(key, value)
    return out


async def pairs(pages: AsyncIterator[Page]) -> Page:
    """All pairs of a scan; fails on an empty page."""
    out: Page = []
    async for page in pages:
        assert page, "a scan gave an empty page"
        out.extend(page)
    return out


@pytest.mark.asyncio
class StoreSuite:
    """Checks an engine against `storage/base.py`.  Subclass it and define `open_store`.

    `raw_get` and `raw_set` go around the store, so that it does not vouch for itself; the tests that need them are
    skipped where they are not defined.
    """

    persistent: ClassVar[bool] = True
    """Whether a store opened again at its place has what was committed."""

    async def open_store(self, place: Path) -> Store:
        """An open store; `place` does not exist at first, or holds what an earlier one, closed since, left there."""
        raise NotImplementedError

    async def raw_get(self, store: Store, key: bytes) -> bytes | None:
        """The small value of `key` as it lies in the open `store`."""
        pytest.skip("no way around this store")

    async def raw_set(self, store: Store, key: bytes, value: bytes) -> None:
        """Put a small value into the open `store`."""
        pytest.skip("no way around this store")

    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        return tmp_path / "store"

    @pytest_asyncio.fixture
    async def store(self, place: Path) -> AsyncIterator[Store]:
        store = await self.open_store(place)
        yield store
        await store.aclose()

    # Reads

    async def test_absent_key_reads_none(self, store: Store) -> None:
        assert await store.get(b"k") is None
        assert await store.get_many([b"k", b""]) == [None, None]
        assert await pairs(store.scan(b"", END)) == []

    @pytest.mark.parametrize("value", AWKWARD_VALUES, ids=lambda v: f"{len(v)}-{v[:1].hex()}")
    async def test_value_reads_back_in_every_way(self, store: Store, value: bytes) -> None:
        await store.commit(batch({b"k": value}))
        assert await store.get(b"k") == value
        assert await store.get_many([b"k"]) == [value]
        assert await pairs(store.scan(b"k", b"l")) == [(b"k", value)]
        assert await pairs(store.scan(b"k", b"l", want="heads")) == [(b"k", value[:1])]
        assert await store.scan_many([(b"k", b"l")], limit=1) == [[(b"k", value)]]

    async def test_write_is_seen_around_the_store(self, store: Store) -> None:
        await store.commit(batch({b"k": b"v"}))
        assert await self.raw_get(store, b"k") == b"v"
        assert await self.raw_get(store, b"l") is None

    async def test_value_set_around_the_store_is_read(self, store: Store) -> None:
        await self.raw_set(store, b"k", b"v")
        assert await store.get(b"k") == b"v"
        assert await pairs(store.scan(b"", END)) == [(b"k", b"v")]

    @pytest.mark.parametrize("count", [3, 300])
    async def test_get_many_keeps_order_repeats_and_gaps(self, store: Store, count: int) -> None:
        puts = {b"%04d" % i: b"%d" % i * (4000 if i % 7 == 0 else 1) for i in range(0, count, 2)}
        await store.commit(batch(puts))
        asked = [b"%04d" % (i * 31 % count) for i in range(count)] * 2 + [b"x", b"0000", b"0000"]
        assert await store.get_many(asked) == [puts.get(key) for key in asked]
        assert await store.get_many(()) == []

    async def test_read_that_follows_a_commit_sees_it(self, store: Store) -> None:
        for i in range(50):
            value = b"%d" % i * (5000 if i % 2 else 1)
            await store.commit(batch({b"k": value}), durable=False)
            assert await store.get(b"k") == value
            assert await pairs(store.scan(b"k", b"l")) == [(b"k", value)]

    # Scans

    async def test_scan_sorts_keys_as_unsigned_bytes(self, store: Store) -> None:
        await store.commit(batch({key: key + b"!" for key in reversed(AWKWARD_KEYS)}))
        expected = [(key, key + b"!") for key in AWKWARD_KEYS]
        assert await pairs(store.scan(b"", END)) == expected
        assert await pairs(store.scan(b"", END, reverse=True)) == expected[::-1]

    @pytest.mark.parametrize("reverse", [False, True])
    async def test_scan_includes_its_start_and_excludes_its_stop(self, store: Store, reverse: bool) -> None:
        await store.commit(batch(dict.fromkeys(AWKWARD_KEYS, b"v")))
        edges = [*AWKWARD_KEYS, b"a\x00a", b"c"]
        for start in edges:
            for stop in edges:
                expected = [key for key in AWKWARD_KEYS if start <= key < stop]
                found = await pairs(store.scan(start, stop, reverse=reverse))
                assert [key for key, _ in found] == (expected[::-1] if reverse else expected)

    @pytest.mark.parametrize("reverse", [False, True])
    @pytest.mark.parametrize("limit", [0, 1, 2, 511, 512, 513, 1024, 1499, 1500, 2000])
    async def test_scan_stops_at_its_limit(self, store: Store, limit: int, reverse: bool) -> None:
        await store.commit(batch({b"%05d" % i: b"%d" % i for i in range(1500)}))
        expected = [(b"%05d" % i, b"%d" % i) for i in range(1500)]
        expected = (expected[::-1] if reverse else expected)[:limit]
        assert await pairs(store.scan(b"", END, limit=limit, reverse=reverse)) == expected
        heads = await pairs(store.scan(b"", END, limit=limit, reverse=reverse, want="heads"))
        assert heads == [(key, value[:1]) for key, value in expected]
        keys = await pairs(store.scan(b"", END, limit=limit, reverse=reverse, want="keys"))
        assert keys == [(key, b"") for key, _ in expected]

    async def test_scan_of_small_and_large_values_keeps_the_order(self, store: Store) -> None:
        puts = {b"%04d" % i: bytes([i % 256]) * (200_000 if i % 3 == 0 else i) for i in range(100)}
        await store.commit(batch(puts))
        assert await pairs(store.scan(b"", END)) == sorted(puts.items())
        assert await pairs(store.scan(b"", END, reverse=True)) == sorted(puts.items(), reverse=True)
        assert await pairs(store.scan(b"", END, want="heads")) == [(k, v[:1]) for k, v in sorted(puts.items())]

    @pytest.mark.parametrize("reverse", [False, True])
    async def test_scan_shows_one_moment_while_commits_go_on(self, store: Store, reverse: bool) -> None:
        before = {b"%05d" % i: b"old" * (5000 if i % 100 == 0 else 1) for i in range(3000)}
        await store.commit(batch(before))
        seen: Page = []
        turn = 0
        async for page in store.scan(b"", END, reverse=reverse):
            seen.extend(page)
            change = batch({b"%05d" % i: b"new" * (1 if i % 100 == 0 else 5000) for i in range(turn, 3000, 37)})
            change.put(b"%05d+" % turn, b"added")
            change.delete(b"%05d" % (2999 - turn))
            change.delete_range(b"%05d" % (100 * turn), b"%05d" % (100 * turn + 50))
            await store.commit(change, durable=False)
            turn += 1
        assert seen == sorted(before.items(), reverse=reverse)

    async def test_scan_left_early_does_not_disturb_what_follows(self, store: Store) -> None:
        await store.commit(batch({b"%05d" % i: b"v" for i in range(2000)}))
        for _ in range(20):
            async for page in store.scan(b"", END):
                assert page[0] == (b"00000", b"v")
                break
        await store.commit(batch({b"00000": b"w"}))
        assert (await pairs(store.scan(b"", END)))[0] == (b"00000", b"w")

    async def test_scan_many_answers_each_range_in_the_order_asked(self, store: Store) -> None:
        await store.commit(batch({b"a1": b"1", b"a2": b"2", b"a3": b"3", b"c1": b"4" * 20_000}))
        found = await store.scan_many([(b"c", b"d"), (b"b", b"c"), (b"a", b"b"), (b"a", b"b")], limit=2)
        assert found == [[(b"c1", b"4" * 20_000)], [], [(b"a1", b"1"), (b"a2", b"2")], [(b"a1", b"1"), (b"a2", b"2")]]
        assert await store.scan_many([], limit=1) == []

    # Commits

    async def test_last_put_or_delete_of_a_key_wins(self, store: Store) -> None:
        change = batch({b"a": b"1", b"b": b"1"})
        change.put(b"a", b"2")
        change.delete(b"b")
        change.delete(b"never")
        await store.commit(change)
        assert await pairs(store.scan(b"", END)) == [(b"a", b"2")]

    async def test_value_moves_between_small_and_large(self, store: Store) -> None:
        sizes = (10, 1 << 20, 10, 0, 8191, 8192, 8191, 100_000, 200_000)
        for size in sizes:
            await store.commit(batch({b"k": b"v" * size, b"l": b"w" * (10_000 - size % 9_000)}))
            assert await store.get_many([b"k", b"l"]) == [b"v" * size, b"w" * (10_000 - size % 9_000)]
        remove = Batch()
        remove.delete(b"k")
        await store.commit(remove)
        assert await store.get(b"k") is None
        await store.commit(batch({b"k": b"small again"}))
        assert [key for key, _ in await pairs(store.scan(b"", END))] == [b"k", b"l"]

    @pytest.mark.parametrize("count", [10, 3000])
    async def test_range_is_deleted_before_the_puts_of_its_batch(self, store: Store, count: int) -> None:
        await store.commit(batch({b"%04d" % i: b"v" * (20_000 if i % 50 == 0 else 1) for i in range(count)}))
        change = batch({b"0003": b"kept", b"0004": b"k" * 20_000})
        change.delete_range(b"0001", b"%04d" % (count - 1))
        change.delete_range(b"x", b"x")
        change.delete_range(b"9", b"0")
        change.put(b"0005", b"kept too")
        await store.commit(change)
        expected = [b"0000", b"0003", b"0004", b"0005", b"%04d" % (count - 1)]
        assert [key for key, _ in await pairs(store.scan(b"", END))] == expected
        assert await store.get_many([b"0003", b"0004", b"0006"]) == [b"kept", b"k" * 20_000, None]

    async def test_empty_commit_does_nothing(self, store: Store) -> None:
        assert await store.commit(Batch()) == Receipt()

    @pytest.mark.parametrize("durable", [True, False])
    async def test_written_is_told_the_receipt_once_the_write_is_visible(self, store: Store, durable: bool) -> None:
        told: list[Receipt] = []
        change = Batch()
        change.append(b"log/", b"record")
        receipt = await store.commit(change, durable=durable, written=told.append)
        assert told == [receipt] == [Receipt((1,))]

    async def test_written_is_called_in_the_order_of_commits_and_before_others_read(self, store: Store) -> None:
        told: list[int] = []

        async def write() -> None:
            change = Batch()
            change.append(b"log/", b"record")
            await store.commit(change, written=lambda receipt: told.extend(receipt.numbers))

        async def watch() -> None:
            while len(told) < 40:
                head = await store.get(b"log/")
                assert int.from_bytes(head or b"", "big") <= len(told)
                await asyncio.sleep(0)

        await asyncio.gather(watch(), *(write() for _ in range(40)))
        assert told == list(range(1, 41))

    # Expectations

    async def test_expectations_that_hold_let_the_commit_through(self, store: Store) -> None:
        large = b"l" * 100_000
        await store.commit(batch({b"a": b"1", b"empty": b"", b"large": large}))
        change = batch({b"a": b"2"})
        for key, value in {b"a": b"1", b"empty": b"", b"large": large, b"absent": None}.items():
            change.expect(key, value)
        await store.commit(change)
        assert await store.get(b"a") == b"2"

    @pytest.mark.parametrize(
        ("key", "expected"),
        [
            (b"a", b"2"),
            (b"a", None),
            (b"a", b""),
            (b"empty", None),
            (b"absent", b""),
            (b"large", b"l"),
            (b"large", None),
        ],
    )
    async def test_failed_expectation_writes_nothing(self, store: Store, key: bytes, expected: bytes | None) -> None:
        await store.commit(batch({b"a": b"1", b"empty": b"", b"large": b"l" * 100_000}))
        before = await pairs(store.scan(b"", END))
        change = batch({b"a": b"new", b"b": b"new"})
        change.expect(b"a", b"1")
        change.expect(key, expected)
        change.expects[key] = expected
        change.delete_range(b"e", b"z")
        change.append(b"log/", b"record")
        told: list[Receipt] = []
        with pytest.raises(Conflict) as raised:
            await store.commit(change, written=told.append)
        assert raised.value.key == key
        assert told == []
        assert await pairs(store.scan(b"", END)) == before

    async def test_exactly_one_of_eight_writers_creates_a_key(self, store: Store) -> None:
        async def create(i: int) -> bool:
            change = batch({b"name": b"%d" % i, b"side/%d" % i: b""})
            change.expect(b"name", None)
            try:
                await store.commit(change)
            except Conflict:
                return False
            return True

        won = await asyncio.gather(*(create(i) for i in range(8)))
        assert sum(won) == 1
        assert await pairs(store.scan(b"", END)) == [
            (b"name", b"%d" % won.index(True)),
            (b"side/%d" % won.index(True), b""),
        ]

    async def test_concurrent_increments_lose_nothing(self, store: Store) -> None:
        async def increment() -> None:
            while True:
                value = await store.get(b"counter")
                change = batch({b"counter": b"%d" % (int(value or b"0") + 1)})
                change.expect(b"counter", value)
                try:
                    await store.commit(change)
                except Conflict:
                    continue
                return

        await asyncio.gather(*(increment() for _ in range(30)))
        assert await store.get(b"counter") == b"30"

    # Appends

    async def test_appends_are_numbered_from_one_under_their_prefix(self, store: Store) -> None:
        change = Batch()
        places = [change.append(b"x/", b"first"), change.append(b"y/", b"other"), change.append(b"x/", b"second")]
        receipt = await store.commit(change)
        assert [receipt.numbers[place] for place in places] == [1, 1, 2]
        one, two = (1).to_bytes(8, "big"), (2).to_bytes(8, "big")
        assert await pairs(store.scan(b"x", b"y")) == [(b"x/", two), (b"x/" + one, b"first"), (b"x/" + two, b"second")]
        assert await pairs(store.scan(b"y", b"z")) == [(b"y/", one), (b"y/" + one, b"other")]

    async def test_concurrent_appends_leave_no_gap(self, store: Store) -> None:
        async def write(i: int) -> list[int]:
            numbers: list[int] = []
            for n in range(10):
                change = Batch()
                change.append(b"log/", b"%d-%d" % (i, n))
                numbers.extend((await store.commit(change)).numbers)
            return numbers

        written = await asyncio.gather(*(write(i) for i in range(20)))
        assert sorted(n for numbers in written for n in numbers) == list(range(1, 201))
        records = dict(await pairs(store.scan(b"log/\x00", b"log0")))
        for i, numbers in enumerate(written):
            assert all(a < b for a, b in pairwise(numbers))
            assert [records[b"log/" + n.to_bytes(8, "big")] for n in numbers] == [b"%d-%d" % (i, n) for n in range(10)]

    async def test_appends_begin_anew_after_their_head_is_deleted_put_or_cleared(self, store: Store) -> None:
        async def append(**changes: bytes | None) -> int:
            change = Batch()
            for key, value in changes.items():
                change.puts[key.encode()] = value
            change.append(b"log", b"r")
            return (await store.commit(change)).numbers[0]

        assert [await append(), await append()] == [1, 2]
        clear = Batch()
        clear.delete_range(b"log", b"loh")
        await store.commit(clear)
        assert await append() == 1
        clear.append(b"log", b"r")
        assert (await store.commit(clear)).numbers == (1,)
        assert [await append(log=(41).to_bytes(8, "big")), await append(log=None), await append()] == [42, 1, 2]

    # Limits

    async def test_biggest_allowed_key_and_value_are_kept(self, store: Store) -> None:
        key, value = b"k" * store.limits.key_bytes, b"v" * (store.limits.value_bytes - 1) + b"!"
        await store.commit(batch({key: b"long key", b"big": value}))
        assert await store.get_many([key, b"big"]) == [b"long key", value]
        assert [page_key for page_key, _ in await pairs(store.scan(b"", END, want="heads"))] == [b"big", key]

    async def test_what_is_beyond_the_limits_is_refused_and_nothing_written(self, store: Store) -> None:
        limits = store.limits
        value = bytes(limits.value_bytes)
        heavy = batch({b"%05d" % i: value for i in range(limits.batch_bytes // len(value) + 1)})
        record = Batch()
        record.append(b"log/", value + b"x")
        for change in (batch({b"k" * (limits.key_bytes + 1): b""}), batch({b"k": value + b"x"}), heavy, record):
            change.put(b"other", b"v")
            with pytest.raises(ValueError, match="limit"):
                await store.commit(change)
        assert await pairs(store.scan(b"", END)) == []

    # Durability, cancellation, closing

    async def test_commit_cancelled_after_its_write_is_kept_and_disturbs_no_other(self, store: Store) -> None:
        visible = asyncio.Event()
        task = asyncio.create_task(store.commit(batch({b"k": b"v"}), written=lambda _: visible.set()))
        others = [asyncio.create_task(store.commit(batch({b"o%d" % i: b"v"}))) for i in range(3)]
        await visible.wait()
        task.cancel()
        await asyncio.wait([task])
        assert await store.get(b"k") == b"v"
        assert await asyncio.gather(*others) == [Receipt()] * 3

    async def test_second_close_does_nothing(self, store: Store) -> None:
        await asyncio.gather(store.aclose(), store.aclose())
        await store.aclose()

    async def test_closed_store_refuses_every_call(self, store: Store) -> None:
        await store.aclose()
        with pytest.raises(StoreClosed):
            await store.get(b"k")
        with pytest.raises(StoreClosed):
            await store.get_many([b"k"])
        with pytest.raises(StoreClosed):
            await pairs(store.scan(b"", END))
        with pytest.raises(StoreClosed):
            await store.scan_many([(b"", END)], limit=1)
        with pytest.raises(StoreClosed):
            await store.commit(batch({b"k": b"v"}))

    async def test_scan_over_the_close_is_whole_or_ends_with_an_error(self, store: Store) -> None:
        await store.commit(batch({b"%05d" % i: b"v" for i in range(3000)}))
        seen: Page = []
        try:
            async for page in store.scan(b"", END):
                seen.extend(page)
                await store.aclose()
        except StoreClosed:
            return
        assert len(seen) == 3000

    async def test_commits_under_way_are_settled_by_the_close(self, store: Store, place: Path) -> None:
        tasks = [asyncio.create_task(store.commit(batch({b"%02d" % i: b"v"}))) for i in range(20)]
        await asyncio.sleep(0)
        await store.aclose()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(outcome, Receipt | StoreClosed) for outcome in outcomes)
        if self.persistent:
            again = await self.open_store(place)
            kept = [key for key, _ in await pairs(again.scan(b"", END))]
            await again.aclose()
            assert kept == [b"%02d" % i for i, outcome in enumerate(outcomes) if isinstance(outcome, Receipt)]

    async def test_opening_again_finds_everything(self, store: Store, place: Path) -> None:
        if not self.persistent:
            pytest.skip("this engine keeps nothing")
        change = batch(dict(zip(AWKWARD_KEYS, AWKWARD_VALUES, strict=False)))
        change.append(b"log/", b"first")
        await store.commit(change)
        await store.commit(batch({b"bulk": b"b" * 30_000}), durable=False)
        before = await pairs(store.scan(b"", END))
        await store.aclose()
        again = await self.open_store(place)
        assert await pairs(again.scan(b"", END)) == before
        change = Batch()
        change.append(b"log/", b"second")
        assert (await again.commit(change)).numbers == (2,)
        await again.aclose()
