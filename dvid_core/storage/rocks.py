"""The engine "rocksdb": one process, one folder, everything on its disk.

All commits are made on the event loop without an await between looking at the expectations and the write: that is what
makes them atomic among tasks.  Scans run there too, since rocksdict's iterators hold the GIL in any thread, and so do
reads that memory can answer; other reads and fsyncs run in threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Self, TypeAlias, TypeVar, TypeVarTuple
from weakref import WeakSet

import msgspec
from rocksdict import BlockBasedOptions, Cache, DBCompressionType, Options

from ..errors import Conflict, StoreClosed, StoreError, UnknownOutcome
from .base import Batch, Limits, Page, Receipt, Store, StoreConfig, Want, check_limits
from .hot import HotValues
from .rocks_files import LARGE, Cursor, RocksFiles, WriteStalled

Args = TypeVarTuple("Args")
R = TypeVar("R")
Outcome: TypeAlias = asyncio.Future[BaseException | None]

PAGE = 512

INLINE_KEYS = 16
"""So many warm keys take 20 us, a hop to a thread and back 35 to 75 us."""

SEEKS = 100
"""So many ranges are looked at before others run."""

STALL_PAUSE = 0.005
"""Seconds between two tries of a commit while RocksDB is behind with its background work."""


class RocksConfig(StoreConfig, frozen=True, kw_only=True):
    """Settings of the engine "rocksdb"."""

    path: str
    """The folder; it is created when absent and belongs to this store alone."""
    cache_mib: Annotated[int, msgspec.Meta(ge=1)] = 64
    """Memory for small values that were read, as RocksDB's blocks."""
    hot_mib: Annotated[int, msgspec.Meta(ge=1)] = 64
    """Memory for values of 8 KiB or more that were read."""
    write_buffer_mib: Annotated[int, msgspec.Meta(ge=2)] = 64
    """Memory for writes that are not in a table file yet."""
    open_files: Annotated[int, msgspec.Meta(ge=16)] = 512
    """Table files that are held open at once."""


class RocksStore(Store):
    """An open folder.  After a failed fsync or write it serves reads, but no commit until it is opened again."""

    engine = "rocksdb"
    Config = RocksConfig
    limits = Limits()

    def __init__(self, files: RocksFiles, config: RocksConfig) -> None:
        self.place = config.path
        self._durable = config.durable
        self._files = files
        self._hot = HotValues(config.hot_mib << 20, LARGE)
        self._pool = ThreadPoolExecutor(4, "rocksdb")
        self._disk = GroupSync(lambda: self._in_thread(self._files.sync))
        self._cursors: WeakSet[Cursor] = WeakSet()
        self._closing: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, config: StoreConfig) -> Self:
        if not isinstance(config, RocksConfig):
            raise TypeError("the engine rocksdb is opened with a RocksConfig")
        return cls(await asyncio.to_thread(_opened, config), config)

    def _check_open(self) -> None:
        if self._closing is not None:
            raise StoreClosed(f"the store at {self.place} is closed")

    def _in_thread(self, call: Callable[[*Args], R], *args: *Args) -> asyncio.Future[R]:
        return asyncio.get_running_loop().run_in_executor(self._pool, call, *args)

    async def get(self, key: bytes) -> bytes | None:
        self._check_open()
        hot = self._hot.get(key)
        if hot is not None:
            return hot
        known, value = self._files.get_warm(key)
        return value if known else (await self._read([key]))[0]

    async def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        self._check_open()
        if self._hot.has_none_of(keys):
            return await self._find(keys)
        found = list(map(self._hot.get, keys))
        absent = [i for i, value in enumerate(found) if value is None]
        if absent:
            for i, value in zip(absent, await self._find([keys[i] for i in absent])):
                found[i] = value
        return found

    async def _find(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of keys that are not among the hot ones."""
        if len(keys) <= INLINE_KEYS:
            answers = [self._files.get_warm(key) for key in keys]
            if all(known for known, _ in answers):
                return [value for _, value in answers]
        return await self._read(keys)

    async def _read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        with self._hot.reading() as read:
            values = await self._in_thread(self._files.get_many, keys)
        self._hot.keep(keys, values, read)
        return values

    async def scan(
        self, start: bytes, stop: bytes, *, want: Want = "values", reverse: bool = False, limit: int | None = None
    ) -> AsyncIterator[Page]:
        self._check_open()
        cursor = self._files.cursor(start, stop, want=want, reverse=reverse)
        self._cursors.add(cursor)
        try:
            while page := cursor.page(PAGE if limit is None else min(PAGE, limit)):
                yield page
                if limit is not None:
                    limit -= len(page)
                if cursor.ended or limit == 0:
                    return
                await asyncio.sleep(0)  # a long scan lets others run between its pages
                self._check_open()
        finally:
            cursor.close()

    async def scan_many(self, ranges: Sequence[tuple[bytes, bytes]], *, limit: int) -> list[Page]:
        if limit > PAGE:
            return await super().scan_many(ranges, limit=limit)
        out = []
        for n, (start, stop) in enumerate(ranges, 1):
            self._check_open()
            out.append(self._files.first(start, stop, limit))
            if n % SEEKS == 0:
                await asyncio.sleep(0)  # 5 us a seek
        return out

    async def commit(
        self, batch: Batch, *, durable: bool = True, written: Callable[[Receipt], None] | None = None
    ) -> Receipt:
        check_limits(batch, self.limits)
        while True:
            try:
                receipt = Receipt(self._write(batch))
                break
            except WriteStalled:
                await asyncio.sleep(STALL_PAUSE)
        if written is not None:
            written(receipt)
        if self._durable == "all" or (durable and self._durable == "edits"):
            await self._disk.reached()
        return receipt

    def _write(self, batch: Batch) -> tuple[int, ...]:
        """Check the expectations and write; not a coroutine, so that nothing comes between."""
        self._check_open()
        if self._disk.error is not None:
            raise StoreClosed(f"the store at {self.place} takes no commits since a write failed: {self._disk.error}")
        for key, value in batch.expects.items():
            if self._files.get(key) != value:
                raise Conflict(key)
        puts, numbers = self._numbered(batch)
        if puts or batch.ranges:
            try:
                self._files.write(batch.ranges, puts)
            except UnknownOutcome as error:
                self._disk.error = error
                raise
            finally:
                self._hot.drop(batch)
        return numbers

    def _numbered(self, batch: Batch) -> tuple[dict[bytes, bytes | None], tuple[int, ...]]:
        """The puts of `batch` with those of its appends, and the numbers that the appends got."""
        puts, numbers = dict(batch.puts), []
        for prefix, record in batch.appends:
            if prefix in puts:
                head = puts[prefix]
            elif any(start <= prefix < stop for start, stop in batch.ranges):
                head = None
            else:
                head = self._files.get(prefix)
            n = int.from_bytes(head or b"", "big") + 1
            puts[prefix] = n.to_bytes(8, "big")
            puts[prefix + n.to_bytes(8, "big")] = record
            numbers.append(n)
        return puts, tuple(numbers)

    async def checkpoint(self, path: Path) -> None:
        """Make the new folder `path` a store of its own: this one as of one moment; an extra of this engine.

        Files are hard-linked where the file system can.  The server stands still for that part of the work.
        """
        self._check_open()
        try:
            await self._in_thread(self._files.checkpoint, path)
        except Exception as error:
            raise StoreError(f"the checkpoint {path} failed: {error}") from error

    async def aclose(self) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await _settled(self._closing)

    async def _close(self) -> None:
        await self._disk.idle()
        for cursor in list(self._cursors):
            cursor.close()
        await asyncio.to_thread(self._release)

    def _release(self) -> None:
        self._pool.shutdown()  # waits for the reads under way
        try:
            self._files.close()
        except Exception as error:
            raise StoreError(f"closing the store at {self.place} failed: {error}") from error


class GroupSync:
    """One fsync at a time, each for all commits that were written before it began."""

    def __init__(self, start: Callable[[], asyncio.Future[None]]) -> None:
        self.error: BaseException | None = None
        """Why the disk cannot be trusted any more; a later fsync may succeed and yet have lost what an earlier one did
        not write, so none is tried."""
        self._start = start
        self._current: Outcome | None = None
        self._next: Outcome | None = None

    async def reached(self) -> None:
        """Return when everything written before the call is on disk, or raise `UnknownOutcome`; not sooner, even when
        the task is cancelled meanwhile."""
        loop = asyncio.get_running_loop()
        if self._next is None:
            self._next = loop.create_future()
            if self._current is None:
                loop.call_soon(self._begin)  # so the other commits of this turn of the loop take part
        error = await _settled(self._next)
        if error is not None:
            raise UnknownOutcome(f"an fsync failed: {error}") from error

    def _begin(self) -> None:
        self._current, self._next = self._next, None
        if self._current is not None:
            if self.error is None:
                self._start().add_done_callback(self._end)
            else:
                self._current.set_result(self.error)
                self._current = None

    def _end(self, sync: asyncio.Future[None]) -> None:
        self.error = self.error or sync.exception()
        if self._current is not None:
            self._current.set_result(self.error)
        self._begin()

    async def idle(self) -> None:
        """Return when no fsync is under way or asked for."""
        while (group := self._next or self._current) is not None:
            await asyncio.wait([group])


async def _settled(future: asyncio.Future[R]) -> R:
    """The result of `future`; a cancellation waits for it and is raised then."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.shield(future)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    return future.result()


def _opened(config: RocksConfig) -> RocksFiles:
    cache = Cache(config.cache_mib << 20)
    large = _family(config, cache, DBCompressionType.none())  # large values come compressed from their datatypes
    options = _family(config, cache, DBCompressionType.lz4())
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    options.set_db_write_buffer_size(config.write_buffer_mib << 20)
    options.set_max_total_wal_size(4 * config.write_buffer_mib << 20)  # bounds what a start after a crash replays
    options.set_max_open_files(config.open_files)
    options.set_max_background_jobs(4)
    options.set_keep_log_file_num(4)
    options.set_stats_dump_period_sec(0)
    return RocksFiles(Path(config.path), options, large)


def _family(config: RocksConfig, cache: Cache, compression: DBCompressionType) -> Options:
    table = BlockBasedOptions()
    table.set_block_cache(cache)
    table.set_bloom_filter(10, False)
    table.set_block_size(8 << 10)
    options = Options(raw_mode=True)
    options.set_block_based_table_factory(table)
    options.set_compression_type(compression)
    options.set_write_buffer_size(config.write_buffer_mib << 19)
    options.set_max_write_buffer_number(4)
    return options
