"""`Instance`: a datatype is a subclass, a data instance an object.  It owns its in-memory state."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import msgspec

from . import settings as _settings
from .errors import BadRequest, UnknownInstance
from .events import Event
from .keys import LOG_CLASS, KeyClass, Kind, check_key_classes, data_prefix, prefix_range, u32
from .mutlog import LogRecord, read_log
from .records import InstanceRecord
from .routes import Route, RouteTable
from .settings import CHECKSUMS, Compression, read_settings
from .storage.base import Store

if TYPE_CHECKING:
    from .mutation import Mutation
    from .repo import Repo
    from .server import Server
    from .view import View

P = TypeVar("P")

WROTE = b"\x01"
BURIED = b"\x02"
"""Marks that a version wrote a class; the second one: with tombstones."""


class Info(msgspec.Struct, frozen=True, kw_only=True):
    """What a datatype adds to the info of its instances."""

    extended: dict[str, Any] = {}
    """The content of "Extended"."""
    extra: dict[str, Any] = {}
    """Further keys beside "Base" and "Extended"."""


class Instance:
    """Base of all datatypes.

    The class docstring opens the type's help.  `apply` is the only writer of in-memory state: it is called for
    every log record, right after its commit became visible and without an await between, and again from the log
    when the state is rebuilt.
    """

    typename: ClassVar[str] = ""
    type_version: ClassVar[str] = "0.1"
    type_url: ClassVar[str] = ""
    Settings: ClassVar[type[_settings.Settings]] = _settings.Settings
    keys: ClassVar[tuple[KeyClass, ...]] = ()
    routes: ClassVar[Sequence[Route]] = ()
    emits: ClassVar[tuple[type[Event], ...]] = ()
    handles: ClassVar[dict[type[Event], Callable[[Any, Mutation, Any], Awaitable[None]]]] = {}
    """Event type -> method `(self, mutation, event)`, called when an instance that this one is synced to emits it."""

    table: ClassVar[RouteTable]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_key_classes(cls.keys)
        cls.table = RouteTable(cls.routes)
        taken = [r for r in cls.routes if any(name in ("uuid", "instance") for _, name, *_ in r.params)]
        if taken:
            raise TypeError(f"{taken[0]}: <uuid> and <instance> stand for the parts of the path before it")

    def __init__(self, server: Server, repo: Repo, record: InstanceRecord, store: Store) -> None:
        self.server, self.repo, self.record, self.store = server, repo, record, store
        self.id = record.id
        self.versioned = record.versioned
        self.prefix = data_prefix(record.id)
        self.settings = self.read_settings(record.settings)
        self.opened = False
        self.deleted = False
        self.has_large = False
        self.live_stages: set[int] = set()
        self.writing = 0
        self._quiet: asyncio.Event | None = None
        self._opening = asyncio.Lock()
        self._wrote: dict[int, set[int]] = {}
        self._buried: set[int] = set()
        self._visible: dict[tuple[int, int], list[int]] = {}
        self._chains: dict[tuple[int, int], bool] = {}

    # -- for datatypes to override

    @classmethod
    def read_settings(cls, raw: dict[str, Any]) -> _settings.Settings:
        """Settings from the wire's object; `BadRequest` names a wrong one."""
        return read_settings(cls.Settings, raw)

    @classmethod
    def compression(cls, wanted: Compression, settings: _settings.Settings) -> Compression:
        """The compression that is recorded for what was asked; `BadRequest` when the type has no use for it."""
        if wanted.codec == "jpeg":
            raise BadRequest(f"Compression: jpeg is for images, not for a {cls.typename}")
        return wanted

    @classmethod
    async def admit(cls, server: Server, settings: _settings.Settings) -> _settings.Settings:
        """The settings that a new instance gets; `BadRequest` when it cannot be made on this server."""
        return settings

    async def open(self) -> None:
        """On first use: rebuild in-memory state."""

    async def close(self) -> None:
        """At the end, or before the data are deleted."""

    def apply(self, version: int, number: int, record: LogRecord) -> None:
        """Bring in-memory state up to date with a log record."""

    def is_ready_to_lock(self, view: View) -> bool:
        """Whether nothing that was acknowledged or begun at the version of `view` is still being worked into it."""
        return True

    async def before_commit(self, view: View) -> None:
        """Return when `is_ready_to_lock`: a version is locked only then, as far as that does not take minutes."""

    async def on_commit(self, view: View) -> None:
        """The version of `view` was just locked."""

    async def info(self, view: View) -> Info:
        """What info shows beyond the base part, at this version."""
        return Info()

    def offer(self, protocol: type[P], view: View) -> P | None:
        """This instance as a peer protocol, seen from a version; None when it does not offer it."""
        return None

    def event_locks(self, events: Sequence[Event]) -> Iterable[Any]:
        """Keys of this instance that are locked while `events` are handled."""
        return ()

    async def records(self, version: int, after: int = 0) -> AsyncIterator[tuple[int, LogRecord]]:
        """The log records of a version numbered after + 1 and up, in order; for `open` to rebuild state from."""
        async for number, record in read_log(self.store, self.id, version, after):
            yield number, record

    def logged_versions(self) -> frozenset[int]:
        """The versions that have log records."""
        return self.written(LOG_CLASS)

    # -- names

    @property
    def name(self) -> str:
        """What requests call the instance."""
        return self.record.name

    @property
    def data_uuid(self) -> str:
        """Its identity, kept through renames and copies to other servers."""
        return self.record.data_uuid

    @classmethod
    def follows(cls, other: type[Instance]) -> bool:
        """Whether this type handles any event of another type."""
        return any(issubclass(e, h) for e in other.emits for h in cls.handles)

    def base_info(self) -> dict[str, Any]:
        """The base part of info."""
        r = self.record
        return {
            "TypeName": r.typename,
            "TypeURL": self.type_url,
            "TypeVersion": r.type_version,
            "DataUUID": r.data_uuid,
            "Name": r.name,
            "RepoUUID": r.made_in,
            "Compression": str(Compression(*r.compression)),
            "Checksum": CHECKSUMS[r.checksum],
            "Syncs": [i.name for i in map(self.repo.by_id, r.syncs) if i is not None],
            "Versioned": r.versioned,
            "KVStore": f"{self.store.engine} @ {self.store.place}",
            "LogStore": f"{self.store.engine} @ {self.store.place}",
            "Tags": r.tags,
        }

    async def full_info(self, view: View) -> dict[str, Any]:
        """The reply to `info`."""
        await self.ready()
        own = await self.info(view)
        return {"Base": self.base_info(), "Extended": own.extended, **own.extra}

    # -- life

    async def ready(self) -> None:
        """Open the instance once; every request does this first."""
        if self.opened:
            return
        async with self._opening:
            if not self.opened:
                await self._load_written()
                self.has_large = await self._any(Kind.STAGED) or await self._any(Kind.SWEEP) or await self._chunked()
                await self.open()
                self.opened = True

    async def _any(self, kind: Kind) -> bool:
        async for _ in self.store.scan(*kind.range(self.id), want="keys", limit=1):
            return True
        return False

    async def _chunked(self) -> bool:
        async for _ in self.store.scan(*prefix_range(b"\x04" + u32(self.id)), want="keys", limit=1):
            return True
        return False

    async def _load_written(self) -> None:
        async for page in self.store.scan(*prefix_range(self.prefix + b"\x00")):
            for key, mark in page:
                self._wrote.setdefault(key[6], set()).add(int.from_bytes(key[7:11], "big"))
                if mark == BURIED:
                    self._buried.add(key[6])

    @contextlib.contextmanager
    def writes(self) -> Iterator[None]:
        """Around every write of data: none begins once the instance is deleted, and the removal waits for the last."""
        if self.deleted:
            raise UnknownInstance(f"the data instance {self.name!r} was deleted")
        self.writing += 1
        try:
            yield
        finally:
            self.writing -= 1
            if not self.writing and self._quiet is not None:
                self._quiet.set()

    async def quiet(self) -> None:
        """Return when no write of data is under way; for an instance that is deleted, so that none begins."""
        if self.writing:
            self._quiet = asyncio.Event()
            await self._quiet.wait()

    # -- which versions wrote what

    def has_written(self, klass: int, version: int) -> bool:
        """Whether `version` ever wrote keys of `klass`."""
        return version in self._wrote.get(klass, ())

    def wrote_only(self, klass: int, version: int) -> bool:
        """Whether `version` is the only one that ever wrote keys of `klass`."""
        wrote = self._wrote.get(klass, ())
        return len(wrote) == 1 and version in wrote

    def has_tombstones(self, klass: int) -> bool:
        """Whether any version ever put a tombstone in this class, so that a scan must look at values."""
        return klass in self._buried

    def mark_buried(self, classes: Iterable[int]) -> None:
        """Note that these classes have tombstones."""
        self._buried.update(classes)

    def written(self, klass: int) -> frozenset[int]:
        """The versions that ever wrote keys of `klass`."""
        return frozenset(self._wrote.get(klass, ()))

    def mark_written(self, classes: Iterable[int], version: int) -> None:
        """Note that `version` wrote these classes."""
        for klass in classes:
            self._wrote.setdefault(klass, set()).add(version)
            for key in [k for k in self._visible if k[0] == klass]:
                del self._visible[key]
                self._chains.pop(key, None)

    def writers(self, klass: int, version: int) -> list[int]:
        """The versions that wrote `klass` and are seen from `version`, newest first."""
        found = self._visible.get((klass, version))
        if found is None:
            wrote = self._wrote.get(klass, ())
            found = self.repo.dag.visible(version, wrote) if self.versioned else sorted(wrote)
            self._visible[klass, version] = found
        return found

    def is_chain(self, klass: int, version: int) -> bool:
        """Whether each of `writers` descends from all that follow it, so that the newest entry seen decides."""
        found = self._chains.get((klass, version))
        if found is None:
            writers = self.writers(klass, version)
            is_ancestor = self.repo.dag.is_ancestor
            found = not self.versioned or all(is_ancestor(b, a) for a, b in itertools.pairwise(writers))
            self._chains[klass, version] = found
        return found

    def seen_elsewhere(self, klass: int, version: int) -> bool:
        """Whether an ancestor of `version` wrote `klass`, so that a deletion needs a tombstone."""
        return any(w != version for w in self.writers(klass, version))
