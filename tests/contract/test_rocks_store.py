"""The engine "rocksdb" against the storage contract, against crashes, and against folders that are not its own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from rocksdict import AccessType, Options, Rdict

from dvid_core.errors import ConfigError, StoreClosed, StoreError, StoreInUse, UnknownOutcome
from dvid_core.storage.base import Durability, Receipt, Store
from dvid_core.storage.rocks import RocksConfig, RocksStore
from dvid_core.storage.rocks_files import LARGE, MARKER, POINT_DELETES
from dvid_core.testing.store_machine import StoreMachine
from dvid_core.testing.stores import END, StoreSuite, batch, pairs


async def open_rocks(place: Path, durable: Durability = "edits") -> RocksStore:
    return await RocksStore.open(RocksConfig(path=str(place), durable=durable, cache_mib=8))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
async def store(place: Path) -> AsyncIterator[RocksStore]:
    store = await open_rocks(place)
    yield store
    await store.aclose()


def counted(monkeypatch: pytest.MonkeyPatch, store: RocksStore, name: str) -> list[None]:
    """A list that grows with each call of the method `name` of the store's files."""
    calls: list[None] = []
    method = getattr(store._files, name)

    def call(*args: object) -> object:
        calls.append(None)
        return method(*args)

    monkeypatch.setattr(store._files, name, call)
    return calls


class TestRocksStore(StoreSuite):
    async def open_store(self, place: Path) -> Store:
        return await open_rocks(place)

    async def raw_get(self, store: Store, key: bytes) -> bytes | None:
        options = Options(raw_mode=True)
        reader = Rdict(store.place, options, {"large": options}, AccessType.secondary(f"{store.place}-reader"))
        value: bytes | None = reader.get(key)
        reader.close()
        return value

    async def raw_set(self, store: Store, key: bytes, value: bytes) -> None:
        assert isinstance(store, RocksStore)
        store._files._small[key] = value


class RocksMachine(StoreMachine):
    async def open_store(self, place: Path) -> Store:
        return await open_rocks(place)


TestRocksMachine = RocksMachine.TestCase
TestRocksMachine.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


# Values in two families


@pytest.mark.parametrize("size", [LARGE - 1, LARGE, 1 << 20])
async def test_value_that_memory_does_not_hold_is_read_from_disk(place: Path, size: int) -> None:
    puts = {b"%02d" % i: bytes([255 - i]) * size for i in range(20)}
    store = await open_rocks(place)
    await store.commit(batch(puts))
    await store.aclose()
    store = await open_rocks(place)
    assert [await store.get(key) for key in puts] == list(puts.values())
    await store.aclose()
    store = await open_rocks(place)
    assert await store.get_many([*puts, b"absent"]) == [*puts.values(), None]
    await store.aclose()


async def test_value_that_is_moved_while_it_is_read_is_never_missed(store: RocksStore) -> None:
    keys = [b"%03d" % i for i in range(200)]
    small, large = dict.fromkeys(keys, b"small"), dict.fromkeys(keys, b"l" * 20_000)
    await store.commit(batch(small))
    done = False

    async def move() -> None:
        for i in range(60):
            await store.commit(batch(small if i % 2 else large), durable=False)
            await asyncio.sleep(0)
        nonlocal done
        done = True

    async def read() -> None:
        while not done:
            assert all(value in (b"small", b"l" * 20_000) for value in await store.get_many(keys))

    await asyncio.gather(move(), read(), read())


async def test_a_read_never_gives_a_large_value_older_than_the_last_write(store: RocksStore) -> None:
    keys = [b"%03d" % i for i in range(40)]
    newest = dict.fromkeys(keys, 0)
    done = 0

    async def write(mine: list[bytes]) -> None:
        nonlocal done
        for n in range(1, 80):
            change = batch(dict.fromkeys(mine[n % 3 :: 3], b"%08d" % n * LARGE))
            if n % 7 == 0:
                change.delete_range(mine[0], mine[0] + b"\0")
                change.put(mine[0], b"%08d" % n * LARGE)
            await store.commit(change, durable=False)
            newest.update(dict.fromkeys(change.puts, n))
            await asyncio.sleep(0)
        done += 1

    async def read() -> None:
        while done < 2:
            known = dict(newest)
            for key, value in zip(keys, await store.get_many(keys)):
                assert int((value or b"0")[:8]) >= known[key]
            one = keys[newest[keys[5]] % len(keys)]
            known = dict(newest)
            assert int((await store.get(one) or b"0")[:8]) >= known[one]

    await asyncio.gather(write(keys[:20]), write(keys[20:]), read(), read(), read())
    for key, value in zip(keys, await store.get_many(keys)):
        assert value is not None and int(value[:8]) == newest[key]


async def test_a_value_that_is_read_again_is_not_read_from_the_files(
    store: RocksStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [b"%03d" % i for i in range(40)]
    await store.commit(batch(dict.fromkeys(keys, b"l" * LARGE)))
    first = await store.get_many(keys)
    reads = counted(monkeypatch, store, "get_many")
    assert await store.get_many(keys) == first
    assert await store.get(keys[7]) == first[7]
    assert not reads


async def test_large_values_leave_nothing_behind(store: RocksStore) -> None:
    large = store._files._large
    await store.commit(batch({b"%05d" % i: b"l" * LARGE for i in range(POINT_DELETES + 10)}))
    change = batch({b"00001": b"small"})
    change.delete(b"00002")
    change.delete_range(b"00003", b"00005")
    await store.commit(change)
    assert list(large.keys())[:2] == [b"00000", b"00005"]
    change = batch()
    change.delete_range(b"", END)
    await store.commit(change)
    assert list(large.keys()) == []


def damage_a_table(place: Path) -> None:
    """Overwrite 100 bytes in the middle of the biggest table file."""
    table = max(place.glob("*.sst"), key=lambda path: path.stat().st_size)
    data = bytearray(table.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 100] = bytes(100)
    table.write_bytes(data)


async def test_damaged_block_is_an_error_and_not_the_end_of_a_scan(place: Path) -> None:
    store = await open_rocks(place)
    await store.commit(batch({b"%06d" % i: os.urandom(50) for i in range(20_000)}))
    await store.aclose()
    damage_a_table(place)
    store = await open_rocks(place)
    with pytest.raises(StoreError, match="mismatch"):
        await pairs(store.scan(b"", END))
    assert await store.get(b"000001") is not None
    await store.aclose()


async def test_commit_that_rocksdb_would_stall_waits_without_stopping_the_loop(
    store: RocksStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = store._files._small
    await store.commit(batch({b"a": b"v"}))
    stop, go = ("100", "1", "1"), ("4", "20", "36")
    names = ("level0_file_num_compaction_trigger", "level0_slowdown_writes_trigger", "level0_stop_writes_trigger")
    family.set_options(dict(zip(names, stop, strict=True)))
    family.flush()
    tries = counted(monkeypatch, store, "write")
    stalled = asyncio.create_task(store.commit(batch({b"b": b"v"})))
    while len(tries) < 3:
        assert await store.get_many([b"a", b"b"]) == [b"v", None]
        await asyncio.sleep(0)
    family.set_options(dict(zip(names, go, strict=True)))
    assert await stalled == Receipt()
    assert await store.get(b"b") == b"v"


# Crashes

COMMIT_UNTIL_KILLED = """
import asyncio, sys
from dvid_core.storage.base import Batch
from dvid_core.storage.rocks import RocksConfig, RocksStore

async def main():
    store = await RocksStore.open(RocksConfig(path=sys.argv[1], durable=sys.argv[2]))
    async def write(writer):
        for n in range(1_000_000):
            batch, key = Batch(), b"%d-%06d" % (writer, n)
            batch.put(b"small/" + key, b"s")
            batch.put(b"large/" + key, key * 2000)
            batch.append(b"log/", key)
            await store.commit(batch)
            print(key.decode(), flush=True)
    await asyncio.gather(*(write(i) for i in range(8)))

asyncio.run(main())
"""


def child(code: str, *args: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-c", code, *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


@pytest.mark.parametrize("durable", ["edits", "none"])
async def test_killed_server_loses_no_acknowledged_commit_and_keeps_no_half_one(place: Path, durable: str) -> None:
    acknowledged: list[bytes] = []
    for lines in (200, 500):  # the second child opens what the first one left
        with child(COMMIT_UNTIL_KILLED, str(place), durable) as process:
            assert process.stdout is not None
            acknowledged += [process.stdout.readline().strip().encode() for _ in range(lines)]
            process.kill()
            acknowledged += [line.strip().encode() for line in process.stdout if line.endswith("\n")]
        store = await open_rocks(place)
        small = {key.removeprefix(b"small/"): value for key, value in await pairs(store.scan(b"small/", b"small0"))}
        large = {key.removeprefix(b"large/"): value for key, value in await pairs(store.scan(b"large/", b"large0"))}
        log = await pairs(store.scan(b"log/\x00", b"log0"))
        head = await store.get(b"log/")
        await store.aclose()
        assert set(acknowledged) <= set(small)
        assert set(small) == set(large) == {record for _, record in log[-len(small) :]}
        assert all(value == key * 2000 for key, value in large.items())
        assert [int.from_bytes(key[4:], "big") for key, _ in log] == list(range(1, len(log) + 1))
        assert int.from_bytes(head or b"", "big") == len(log)


# Failed fsyncs


async def test_failed_fsync_leaves_waiting_commits_unknown_and_stops_further_ones(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await open_rocks(place)
    await store.commit(batch({b"before": b"v"}))

    def fail() -> None:
        raise OSError("no space left")

    monkeypatch.setattr(store._files, "sync", fail)
    tasks = [asyncio.create_task(store.commit(batch({b"%d" % i: b"v"}))) for i in range(5)]
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [UnknownOutcome] * 5
    monkeypatch.undo()
    for durable in (True, False):
        with pytest.raises(StoreClosed, match="no space left"):
            await store.commit(batch({b"after": b"v"}), durable=durable)
    assert await store.get(b"before") == b"v"
    await store.aclose()
    again = await open_rocks(place)
    assert await again.get(b"after") is None
    assert await again.commit(batch({b"after": b"v"})) == Receipt()
    await again.aclose()


@pytest.mark.parametrize(
    ("setting", "durable", "syncs"),
    [("all", True, 1), ("all", False, 1), ("edits", True, 1), ("edits", False, 0), ("none", True, 0)],
)
async def test_setting_and_commit_decide_together_about_the_fsync(
    place: Path, monkeypatch: pytest.MonkeyPatch, setting: Durability, durable: bool, syncs: int
) -> None:
    store = await open_rocks(place, durable=setting)
    calls = counted(monkeypatch, store, "sync")
    await store.commit(batch({b"k": b"v"}), durable=durable)
    assert len(calls) == syncs
    await store.aclose()


async def test_commits_made_together_share_an_fsync(store: RocksStore, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = counted(monkeypatch, store, "sync")
    await asyncio.gather(*(store.commit(batch({b"%d" % i: b"v"})) for i in range(100)))
    assert len(calls) == 1


class HeldDisk:
    """Lets the fsyncs of a store wait until `released`; counts those that began."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, store: RocksStore) -> None:
        self.begun = 0
        self.released = threading.Event()
        self.error: OSError | None = None
        self._store, self._sync = store, store._files.sync
        monkeypatch.setattr(store._files, "sync", self._wait)

    def _wait(self) -> None:
        self.begun += 1
        self.released.wait()
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        self._sync()

    async def commits(self, *keys: bytes) -> list[asyncio.Task[Receipt]]:
        """Commits of `keys` under way, all waiting for the disk."""
        tasks = [asyncio.create_task(self._store.commit(batch({key: b"v"}))) for key in keys]
        while not self.begun:
            await self._store.get_many([b""] * 100)  # goes through a thread and back
        return tasks


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch, store: RocksStore) -> Iterator[HeldDisk]:
    disk = HeldDisk(monkeypatch, store)
    yield disk
    disk.released.set()


async def test_commits_made_during_an_fsync_share_the_next(disk: HeldDisk) -> None:
    tasks = [*await disk.commits(b"a"), *await disk.commits(b"b"), *await disk.commits(b"c", b"d")]
    assert disk.begun == 1
    disk.released.set()
    await asyncio.gather(*tasks)
    assert disk.begun == 2


async def test_fsync_after_a_failed_one_is_not_trusted(disk: HeldDisk) -> None:
    disk.error = OSError("no space left")
    tasks = [*await disk.commits(b"a"), *await disk.commits(b"b")]
    disk.released.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [UnknownOutcome, UnknownOutcome]
    assert disk.begun == 1


async def test_close_waits_for_the_commits_that_wait_for_the_disk(store: RocksStore, disk: HeldDisk) -> None:
    tasks = [*await disk.commits(b"a"), *await disk.commits(b"b")]
    closing = asyncio.create_task(store.aclose())
    await asyncio.sleep(0)
    disk.released.set()
    await closing
    assert [task.result() for task in tasks] == [Receipt(), Receipt()]


async def test_cancelled_commit_waits_for_its_outcome_and_does_not_break_others(disk: HeldDisk) -> None:
    tasks = await disk.commits(b"a", b"b", b"c")
    for _ in range(3):
        tasks[1].cancel()
        await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)
    disk.released.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Receipt, asyncio.CancelledError, Receipt]


# Folders

HOLD = """
import asyncio, sys
from dvid_core.storage.rocks import RocksConfig, RocksStore

async def main():
    store = await RocksStore.open(RocksConfig(path=sys.argv[1]))
    print("open", flush=True)
    sys.stdin.read()
    await store.aclose()

asyncio.run(main())
"""


async def test_store_of_another_process_is_in_use_until_that_closes_it(place: Path) -> None:
    with child(HOLD, str(place)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        with pytest.raises(StoreInUse, match=str(place)):
            await open_rocks(place)
        process.communicate()
    store = await open_rocks(place)
    await store.aclose()


async def test_store_open_in_this_process_is_in_use(store: RocksStore, place: Path) -> None:
    with pytest.raises(StoreInUse):
        await open_rocks(place)
    assert await store.commit(batch({b"k": b"v"})) == Receipt()


async def test_scan_that_nobody_reads_on_does_not_hold_the_folder_of_a_closed_store(place: Path) -> None:
    store = await open_rocks(place)
    await store.commit(batch({b"%05d" % i: b"v" for i in range(3000)}))
    scan = store.scan(b"", END)
    await anext(scan)
    await store.aclose()
    again = await open_rocks(place)
    with pytest.raises(StoreClosed):
        await anext(scan)
    await again.aclose()


def contents(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """What lies in `folder`, with the times of its last changes."""
    paths = [folder, *folder.rglob("*")]
    return {path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"") for path in paths}


def fill(folder: Path, *names: str) -> None:
    """Make `folder` with a file of each name."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())


@pytest.mark.parametrize(
    ("names", "owner"),
    [
        (["000001.vlog", "000002.sst", "MANIFEST", "KEYREGISTRY"], "Badger"),
        (["CURRENT", "000005.ldb", "MANIFEST-000004", "LOG"], "LevelDB"),
        (["4711"], "not this server's"),
        (["DVID-STORE.old/file"], "not this server's"),
    ],
)
async def test_foreign_folder_is_refused_and_left_untouched(place: Path, names: list[str], owner: str) -> None:
    fill(place, *names)
    before = contents(place)
    with pytest.raises(ConfigError, match=owner):
        await open_rocks(place)
    assert contents(place) == before


@pytest.mark.parametrize(
    ("marker", "words"),
    [
        (b'{"engine": "rocksdb", "layout": 2}', "layout version 2.*up to 1"),
        (b'{"engine": "sqlite", "layout": 1}', "sqlite"),
        (b"", "cannot be read"),
        (b'{"engine": 1}', "cannot be read"),
    ],
)
async def test_marker_of_another_server_is_refused(place: Path, marker: bytes, words: str) -> None:
    await (await open_rocks(place)).aclose()
    (place / MARKER).write_bytes(marker)
    before = contents(place)
    with pytest.raises(ConfigError, match=words):
        await open_rocks(place)
    assert contents(place) == before


async def test_start_that_died_before_its_marker_does_not_brick_the_folder(place: Path) -> None:
    fill(place, f"{MARKER}.4711")
    store = await open_rocks(place)
    await store.aclose()


async def test_start_that_died_after_its_marker_does_not_brick_the_folder(place: Path) -> None:
    await (await open_rocks(place)).aclose()
    for path in contents(place):
        if path.name not in (place.name, MARKER):
            path.unlink()
    store = await open_rocks(place)
    await store.aclose()


async def test_store_that_lost_its_manifest_is_not_taken_for_an_empty_one(place: Path) -> None:
    store = await open_rocks(place)
    await store.commit(batch({b"k": b"v"}))
    await store.aclose()
    (place / "CURRENT").unlink()
    with pytest.raises(ConfigError, match="CURRENT"):
        await open_rocks(place)


@pytest.mark.parametrize("path", ["file", "file/below", "/proc/dvid"])
async def test_path_that_cannot_be_a_folder_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match="cannot be the folder"):
        await open_rocks(tmp_path / path)


async def test_checkpoint_is_a_store_of_that_moment(store: RocksStore, tmp_path: Path) -> None:
    await store.commit(batch({b"small": b"v", b"large": b"l" * 100_000}), durable=False)
    await store.checkpoint(tmp_path / "copy")
    await store.commit(batch({b"later": b"v"}))
    copy = await open_rocks(tmp_path / "copy")
    assert await pairs(copy.scan(b"", END)) == [(b"large", b"l" * 100_000), (b"small", b"v")]
    await copy.aclose()
    with pytest.raises(StoreError, match="copy"):
        await store.checkpoint(tmp_path / "copy")
