"""The folder of a RocksDB store, and its two column families read as one ordered space.  Blocking calls only.

Values of `LARGE` bytes or more lie in the family "large", where no search steps over them.  The family "default" has
every key: with its value, or with `ESCAPE` and the first byte of a large one.  A small value that itself begins with
`ESCAPE` is stored behind `ESCAPE` and 0, which makes it longer than those two bytes.  So a scan without values walks
one family, and a small value costs one search.

The file `DVID-STORE` marks a folder as ours and names the version of this layout.  A folder with other files and
without it belongs to another program and is not touched.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from rocksdict import (
    Checkpoint,
    Options,
    Rdict,
    RdictIter,
    ReadOptions,
    WriteBatch,
    WriteOptions,
)

from ..errors import ConfigError, StoreError, StoreInUse, UnknownOutcome
from .base import Page, Want

MARKER = "DVID-STORE"
DRAFT = re.compile(rf"{MARKER}\.\d+")
LAYOUT = 1

LARGE = 8 << 10
"""From here on the second search pays: at 8,000 bytes a scan takes 3.1 us a pair in two families and 2.8 in one, a get
3.5 and 3.6, a scan of keys 0.2 and 1.9; at 16,000 bytes 6.5 and 6.0, 8.2 and 6.5, 0.2 and 5.5."""

BOTTOM_SECONDS = 86_400
"""Seconds that large values lie on the lowest level before what no snapshot needs any more is taken out of a table."""

GUESS = 4
"""Of so many keys the first is looked at to guess where the values of the others are; it takes 2 us, each right guess
saves as much."""

ESCAPE = b"\xff"

PAGE_BYTES = 1 << 20

POINT_DELETES = 1000
"""A range of fewer keys is deleted key by key: each read after a range deletion sorts those of the memtable anew, which
took 120 us with 1,000 to 2,000 of them."""


class Marker(msgspec.Struct, frozen=True):
    """What the file `DVID-STORE` of a folder says."""

    engine: str = "rocksdb"
    layout: int = LAYOUT


class WriteStalled(Exception):
    """Raised when RocksDB would make a writer wait for its background work; nothing was written."""


class RocksFiles:
    """The open database.  `write` and `cursor` belong to one thread, so that a cursor has both families as of one
    moment; the reads are for any thread."""

    def __init__(self, path: Path, small: Options, large: Options) -> None:
        """Open or create the database in the folder `path`; `small` are its own options and those of "default"."""
        claim(path)
        try:
            db = Rdict(str(path), small, {"large": large})
        except Exception as error:  # rocksdict raises bare Exceptions
            text = str(error)
            if "lock hold by current process" in text or ("While lock file" in text and "unavailable" in text):
                raise StoreInUse(f"the store at {path} is in use, by another process or by this one") from error
            raise ConfigError(f"the store at {path} cannot be opened: {text}") from error
        # A handle with a family of its own gets in 1.3 us, the plain one looks the family up each time: 1.9 us.
        self._small = db.get_column_family("default")
        self._large = db.get_column_family("large")
        self._large_family = db.get_column_family_handle("large")
        db.close()
        # What is worth keeping of them is kept whole by `RocksStore`; here it would push out the small ones.
        options = ReadOptions()
        options.fill_cache(False)  # type: ignore[call-arg]  # its stub lacks the argument
        self._large.set_read_options(options)
        # Else the end of any scan (its snapshot) has RocksDB rewrite whole tables that were only just written, to make
        # their sequence numbers 0: half of what a bulk ingest wrote.
        self._large.set_options({"bottommost_file_compaction_delay": str(BOTTOM_SECONDS)})
        # A stalled write would hold the GIL for its whole wait (170 ms seen); so it is refused instead.
        self._no_stall = WriteOptions()
        self._no_stall.no_slowdown = True

    def get(self, key: bytes) -> bytes | None:
        """The value of `key`, from disk if need be, which holds the GIL; for the thread of `write`."""
        try:
            raw: bytes | None = self._small.get(key)
            if _is_elsewhere(raw):
                value: bytes | None = self._large.get(key)
                return value
            return _plain(raw)
        except Exception as error:
            raise StoreError(f"reading key {key.hex()} failed: {error}") from error

    def get_warm(self, key: bytes) -> tuple[bool, bytes | None]:
        """(True, the value of `key`) when memory alone can tell, else (False, None)."""
        try:
            # key_may_exist answers from memtables and cache only; as fast as get.
            may, raw = self._small.key_may_exist(key, True)  # type: ignore[misc]
            if _is_elsewhere(raw):
                may, raw = self._large.key_may_exist(key, True)  # type: ignore[misc]
                return raw is not None, raw
            return raw is not None or not may, _plain(raw)
        except Exception as error:
            raise StoreError(f"reading key {key.hex()} failed: {error}") from error

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of `keys`; releases the GIL while it reads."""
        try:
            if len(keys) < GUESS or not _is_elsewhere(self._raws(keys[:1])[0]):
                return self._get_each(keys)
            # Keys that are asked for together are mostly of one kind: where one value is large, the others are, and a
            # value in "large" is always the valid one.
            out: list[bytes | None] = self._large.get(list(keys))  # type: ignore[assignment]  # a list gives a list
            absent = [i for i, value in enumerate(out) if value is None]
            if absent:
                for i, value in zip(absent, self._get_each([keys[i] for i in absent])):
                    out[i] = value
            return out
        except Exception as error:
            raise StoreError(f"reading {len(keys)} keys failed: {error}") from error

    def _raws(self, keys: Sequence[bytes]) -> list[bytes | None]:
        # A list of keys is asked for without the GIL.
        raws: list[bytes | None] = self._small.get(list(keys))  # type: ignore[assignment]
        return raws

    def _get_each(self, keys: Sequence[bytes]) -> list[bytes | None]:
        raws = self._raws(keys)
        out = [_plain(raw) for raw in raws]
        at = [i for i, raw in enumerate(raws) if _is_elsewhere(raw)]
        if at:
            for i, value in zip(at, self._large.get([keys[i] for i in at]) or (), strict=True):
                # Absent: a commit between the two reads moved the value, so the key is read again.
                out[i] = self._get_each([keys[i]])[0] if value is None else value
        return out

    def cursor(self, start: bytes, stop: bytes, *, want: Want, reverse: bool) -> Cursor:
        """The pairs with start <= key < stop as of now."""
        return Cursor(self._small, self._large, start, stop, want=want, reverse=reverse)

    def first(self, start: bytes, stop: bytes, limit: int) -> Page:
        """The first `limit` pairs with start <= key < stop: a cursor of one small page without what a long one needs;
        for the thread of `write`."""
        page: Page = []
        options = ReadOptions()
        options.set_iterate_upper_bound(stop)  # `stop` outlives `rows`, which keeps a bare pointer into it
        rows = self._small.iter(options)
        try:
            rows.seek(start)
            while len(page) < limit:
                key = rows.key()
                if key is None:
                    rows.status()
                    break
                raw = rows.value()
                if raw[:1] == ESCAPE:
                    raw = raw[2:] if len(raw) > 2 else self._large.get(key)
                page.append((key, raw))
                rows.next()
        except Exception as error:
            raise StoreError(f"a scan from {start.hex()} failed: {error}") from error
        return page

    def write(self, ranges: Sequence[tuple[bytes, bytes]], puts: Mapping[bytes, bytes | None]) -> None:
        """Delete `ranges`, then put or delete `puts`, all or nothing.  Raises `WriteStalled` and `UnknownOutcome`."""
        batch = WriteBatch(raw_mode=True)
        for start, stop in ranges:
            self._delete_range(batch, start, stop)
        for key, value in puts.items():
            if value is not None and len(value) >= LARGE:
                batch.put(key, ESCAPE + value[:1])
                batch.put(key, value, self._large_family)
                continue
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, ESCAPE + b"\0" + value if value[:1] == ESCAPE else value)
            if self._large.key_may_exist(key):  # 0.3 us; false means surely absent
                batch.delete(key, self._large_family)
        try:
            self._small.write(batch, self._no_stall)
        except Exception as error:
            if "Write stall" in str(error):
                raise WriteStalled from None
            raise UnknownOutcome(f"a write failed: {error}") from error

    def _delete_range(self, batch: WriteBatch, start: bytes, stop: bytes) -> None:
        cursor = self.cursor(start, stop, want="keys", reverse=False)
        keys = [key for key, _ in cursor.page(POINT_DELETES)]
        if cursor.ended:
            for key in keys:
                batch.delete(key)
                if self._large.key_may_exist(key):
                    batch.delete(key, self._large_family)
        else:
            batch.delete_range(start, stop)
            batch.delete_range(start, stop, self._large_family)

    def sync(self) -> None:
        """Return when everything written so far is on disk; releases the GIL."""
        self._small.flush_wal(True)

    def checkpoint(self, path: Path) -> None:
        """Make the new folder `path` a copy of the store as of one moment, by hard links where that can be."""
        # What is flushed here, without the GIL, create_checkpoint need not flush with it.
        self._small.flush()
        self._large.flush()
        Checkpoint(self._small).create_checkpoint(str(path))
        _write_marker(path)

    def close(self) -> None:
        """Flush, sync and release the folder; every cursor must be closed before."""
        # RocksDB stays open, and its lock held, as long as any handle lives.
        del self._large_family
        try:
            self._large.close()
        finally:
            self._small.close()


class Cursor:
    """Walks the pairs of a range as of the moment it was made."""

    def __init__(self, small: Rdict, large: Rdict, start: bytes, stop: bytes, *, want: Want, reverse: bool) -> None:
        self.ended = False
        self._start, self._want, self._reverse = start, want, reverse
        # The iterator keeps a bare pointer into the bound and does not keep the object: it must live as long.
        self._stop = stop
        # set_iterate_lower_bound sets the upper bound (rocksdict 0.3.29); so `page` looks at the lower one itself.
        options = ReadOptions()
        options.set_iterate_upper_bound(stop)
        # items() ends silently at a damaged block; only this iterator has a status.
        self._rows: RdictIter | None = small.iter(options)
        # Only single gets honour a snapshot; an iterator made from one shows the present.
        self._snapshot = large.snapshot() if want == "values" else None
        if reverse:
            self._rows.seek_for_prev(stop)  # the bound excludes `stop` itself
        else:
            self._rows.seek(start)

    def page(self, limit: int) -> Page:
        """The next pairs, at most `limit` and, but for the last of them, `PAGE_BYTES`; sets `ended` with the last."""
        page: Page = []
        rows, want, weight = self._rows, self._want, 0
        if rows is None:
            return page
        step = rows.prev if self._reverse else rows.next
        try:
            while len(page) < limit and weight < PAGE_BYTES:
                key = rows.key()
                if key is None or key < self._start:
                    rows.status()
                    self.ended = True
                    break
                if want == "keys":  # the value is not even copied: 0.13 us instead of 0.9 for one of 1,000 bytes
                    value = b""
                else:
                    value = rows.value()
                    if value[:1] == ESCAPE:
                        value = self._unescaped(key, value)
                    if want == "heads":
                        value = value[:1]
                page.append((key, value))
                weight += len(key) + len(value)
                step()
        except Exception as error:
            raise StoreError(f"a scan from {self._start.hex()} failed: {error}") from error
        return page

    def _unescaped(self, key: bytes, raw: bytes) -> bytes:
        if len(raw) > 2:
            return raw[2:]
        value: bytes = raw[1:] if self._snapshot is None else self._snapshot[key]
        return value

    def close(self) -> None:
        """Release the files that the cursor holds; `page` gives nothing from then on."""
        self._rows = self._snapshot = None


def claim(path: Path) -> None:
    """Make `path` a folder of this engine, or raise `ConfigError` and leave it as it is."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        names = {entry.name for entry in path.iterdir()}
        if MARKER in names:
            _check_marker(path, names)
        elif all(DRAFT.fullmatch(name) for name in names):  # none, or those of starts that died
            _write_marker(path)
        else:
            raise ConfigError(f"{path} holds {_owner(names)}; name an empty folder, or one that this server made")
    except OSError as error:
        raise ConfigError(f"{path} cannot be the folder of a store: {error.strerror}") from error


def _check_marker(path: Path, names: set[str]) -> None:
    try:
        marker = msgspec.json.decode((path / MARKER).read_bytes(), type=Marker)
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path / MARKER} cannot be read: {error}") from error
    if marker.engine != Marker().engine:
        raise ConfigError(f'{path} is a store of the engine "{marker.engine}", not "{Marker().engine}"')
    if marker.layout > LAYOUT:
        raise ConfigError(f"{path} has layout version {marker.layout}; this server reads versions up to {LAYOUT}")
    # Without CURRENT RocksDB would begin an empty database in the midst of the old files.
    if "CURRENT" not in names and any(name.endswith(".sst") for name in names):
        raise ConfigError(f"{path} has table files but has lost its file CURRENT; restore it from a backup")


def _write_marker(path: Path) -> None:
    draft = path / f"{MARKER}.{os.getpid()}"
    with draft.open("wb") as file:
        file.write(msgspec.json.encode(Marker()))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path / MARKER)
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _owner(names: set[str]) -> str:
    if "KEYREGISTRY" in names or any(name.endswith(".vlog") for name in names):
        return "a Badger database, such as the reference server's"
    if "CURRENT" in names:
        return "a LevelDB or RocksDB database of another program"
    return "files that are not this server's"


def _is_elsewhere(raw: bytes | None) -> bool:
    return raw is not None and len(raw) == 2 and raw[:1] == ESCAPE


def _plain(raw: bytes | None) -> bytes | None:
    return raw[2:] if raw is not None and raw[:1] == ESCAPE else raw
