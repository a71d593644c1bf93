"""`View`: one data instance seen from one version, with every read resolved along the DAG."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from .dag import Node
from .errors import BadRequest, MergeConflict
from .keys import NEWEST, Kind, chunk_key, u32, u64
from .requests import SYSTEM, Caller
from .storage.base import Batch, Page, Want
from .values import CHUNK, INLINE, PLAIN, Staged, Value

if TYPE_CHECKING:
    from .instance import Instance
    from .mutation import Edited, Mutation

T = TypeVar("T")
P = TypeVar("P")

FEW = 8
"""Below this many versions that wrote a class, their keys are asked for one by one; above, a seek per key."""


class Disputed(msgspec.Struct, frozen=True):
    """Stands for a value that parents of a merge disagree about."""

    versions: tuple[int, ...]


Found = Value | Disputed


class View:
    """Reads of `instance` as of `node`; edits go to `node`.

    A tkey is what a `KeyClass` makes.  Unversioned instances have one set of data for all nodes.
    """

    __slots__ = ("_prefix", "caller", "instance", "node", "version")

    def __init__(self, instance: Instance, node: Node, caller: Caller = SYSTEM) -> None:
        self.instance, self.node, self.caller = instance, node, caller
        self.version = node.version if instance.versioned else 0
        self._prefix = instance.prefix

    @property
    def uuid(self) -> str:
        """The UUID of the version."""
        return self.node.uuid

    def at(self, node: Node) -> View:
        """The same instance seen from another version."""
        return View(self.instance, node, self.caller)

    def writers(self, klass: int) -> Sequence[int]:
        """The versions whose entries of this class can be seen from here, newest first."""
        return self.instance.writers(klass, self.version)

    # -- single values

    async def raw(self, tkey: bytes) -> bytes | None:
        """The stored form of the value seen here; None when there is none.  Raises `MergeConflict`."""
        writers = self.writers(tkey[0])
        store = self.instance.store
        key = self._prefix + tkey
        if len(writers) == 1:
            return await store.get(key + u32(NEWEST - writers[0])) or None
        if not writers:
            return None
        if len(writers) < FEW:
            keys = [key + u32(NEWEST - w) for w in writers]
            entries = [(w, r) for w, r in zip(writers, await store.get_many(keys)) if r is not None]
        else:
            start, stop = self._seek(key)
            entries = await self._nearest(tkey[0], start, stop)
        return self._settle(tkey, entries)

    def _seek(self, key: bytes) -> tuple[bytes, bytes]:
        return key + u32(NEWEST - self.version), key + b"\xff\xff\xff\xff\x00"

    async def _nearest(self, klass: int, start: bytes, stop: bytes) -> list[tuple[int, bytes]]:
        """The entries of one key that decide what is seen here, newest first; usually not all there are."""
        first = (await self.instance.store.scan_many([(start, stop)], limit=self._few(klass)))[0]
        return await self._deciding(klass, first, start, stop)

    def _few(self, klass: int) -> int:
        """How many entries of a key are read at first."""
        return 1 if self.instance.is_chain(klass, self.version) else FEW

    async def _deciding(self, klass: int, first: Page, start: bytes, stop: bytes) -> list[tuple[int, bytes]]:
        """The same, given the first `_few` entries."""
        entries = [(NEWEST - int.from_bytes(k[-4:], "big"), r) for k, r in first]
        few = self._few(klass)
        if len(entries) < few or (few == 1 and entries[0][0] in self.writers(klass)):
            return entries
        entries = []
        async for page in self.instance.store.scan(start, stop):
            entries += [(NEWEST - int.from_bytes(k[-4:], "big"), r) for k, r in page]
        return entries

    def _settle(self, tkey: bytes, entries: list[tuple[int, bytes]]) -> bytes | None:
        raw, rivals = self._resolve(entries)
        if rivals:
            raise self.conflict(tkey, rivals)
        return raw

    def _resolve(self, entries: list[tuple[int, bytes]]) -> tuple[bytes | None, tuple[int, ...]]:
        """The value that wins among the entries of one tkey, newest first; or the versions that disagree."""
        if not entries:
            return None, ()
        if not self.instance.versioned:
            return entries[0][1] or None, ()
        nearest = self.instance.repo.dag.survivors(self.version, [w for w, _ in entries])
        if len(nearest) == 1:
            return next(r for w, r in entries if w == nearest[0]) or None, ()
        live = [(w, r) for w, r in entries if w in nearest and r]
        if len(live) > 1:
            return None, tuple(w for w, _ in live)
        return (live[0][1], ()) if live else (None, ())

    def conflict(self, tkey: bytes, versions: Sequence[int]) -> MergeConflict:
        """The error that names what disagrees and how to decide."""
        nodes = self.instance.repo.dag.nodes
        kind = next((c for c in self.instance.keys if c.number == tkey[0]), None)
        what = f"{kind.about} {', '.join(map(str, kind.unpack(tkey)))}" if kind is not None else tkey.hex()
        rivals = ", ".join(nodes[v].uuid for v in versions)
        return MergeConflict(
            f"merge conflict: {what} differs between versions {rivals}; write it at {self.uuid} or use resolve"
        )

    async def open(self, tkey: bytes) -> Value | None:
        """The value seen here, its bytes not yet read if it is large.  Raises `MergeConflict`."""
        raw = await self.raw(tkey)
        return None if raw is None else Value(raw, self.instance.store, self.instance.id)

    async def get(self, tkey: bytes) -> bytes | None:
        """The bytes of the value seen here.  Raises `MergeConflict`."""
        found = await self.open(tkey)
        return None if found is None else await found.read()

    # -- many values

    async def find_many(self, tkeys: Sequence[bytes]) -> list[Found | None]:
        """What is seen of each of these tkeys of one class, in their order, in one round trip."""
        if not tkeys:
            return []
        if any(k[0] != tkeys[0][0] for k in tkeys):
            raise ValueError("all keys of one read must be of one class")
        writers = self.writers(tkeys[0][0])
        store, prefix = self.instance.store, self._prefix
        if not writers:
            return [None] * len(tkeys)
        if len(writers) == 1:
            last = u32(NEWEST - writers[0])
            return [self._value(r) for r in await store.get_many([prefix + k + last for k in tkeys])]
        if len(writers) < FEW:
            tails = [u32(NEWEST - w) for w in writers]
            raws = iter(await store.get_many([prefix + k + t for k in tkeys for t in tails]))
            per_key = [[(w, r) for w in writers if (r := next(raws)) is not None] for _ in tkeys]
        else:
            klass = tkeys[0][0]
            ranges = [self._seek(prefix + k) for k in tkeys]
            pages = await store.scan_many(ranges, limit=self._few(klass))
            per_key = [await self._deciding(klass, page, *r) for r, page in zip(ranges, pages)]
        out: list[Found | None] = []
        for entries in per_key:
            raw, rivals = self._resolve(entries)
            out.append(Disputed(rivals) if rivals else self._value(raw))
        return out

    def _value(self, raw: bytes | None) -> Value | None:
        return Value(raw, self.instance.store, self.instance.id) if raw else None

    async def get_many(self, tkeys: Sequence[bytes]) -> list[bytes | None]:
        """The bytes of each of these tkeys of one class, in their order.  Raises `MergeConflict`."""
        values = await self._settled(tkeys)
        return [v if v is None else v.inline if v.inline is not None else await v.read() for v in values]

    async def buffers(self, tkeys: Sequence[bytes]) -> list[memoryview | None]:
        """The same as `get_many` without a copy, for values of many kilobytes that are only read."""
        if len(tkeys) > 1 and len(writers := self.writers(tkeys[0][0])) == 1:
            # What hundreds of blocks of one request take: a third of the time of the way through `Value`.
            last = u32(NEWEST - writers[0])
            prefix = self._prefix
            raws = await self.instance.store.get_many([prefix + k + last for k in tkeys])
            if all(not r or r[0] == PLAIN for r in raws):
                return [memoryview(r)[1:] if r else None for r in raws]
            values = [self._value(r) for r in raws]
        else:
            values = await self._settled(tkeys)
        return [v if v is None else v.memory or memoryview(await v.read()) for v in values]

    async def _settled(self, tkeys: Sequence[bytes]) -> list[Value | None]:
        out: list[Value | None] = []
        for tkey, found in zip(tkeys, await self.find_many(tkeys)):
            if isinstance(found, Disputed):
                raise self.conflict(tkey, found.versions)
            out.append(found)
        return out

    async def scan(
        self, start: bytes, stop: bytes, *, reverse: bool = False
    ) -> AsyncIterator[list[tuple[bytes, Found]]]:
        """Pages of (tkey, what is seen of it) for start <= tkey < stop within one class, in order of the tkeys."""
        async for page in self._scan_raw(start, stop, "values", reverse):
            store, instance = self.instance.store, self.instance.id
            yield [(t, r if isinstance(r, Disputed) else Value(r, store, instance)) for t, r in page]

    async def scan_keys(self, start: bytes, stop: bytes, *, reverse: bool = False) -> AsyncIterator[list[bytes]]:
        """Pages of the tkeys that have a value here, or several that disagree, in order."""
        klass = start[0]
        if start < stop and not self.instance.has_tombstones(klass) and self._alone(klass):
            size, writer = len(self._prefix), self.writers(klass)[0]
            pages = self.instance.store.scan(self._prefix + start, self._prefix + stop, want="keys", reverse=reverse)
            async for page in pages:
                found = [k[size:-4] for k, _ in self._own(page, klass, writer)]
                if found:
                    yield found
            return
        async for seen in self._scan_raw(start, stop, "heads", reverse):
            yield [t for t, _ in seen]

    def _alone(self, klass: int) -> bool:
        """Whether one version wrote all there is of a class, and it is seen from here."""
        writers = self.writers(klass)
        return len(writers) == 1 and self.instance.wrote_only(klass, writers[0])

    def _own(self, page: Page, klass: int, writer: int) -> Page:
        """The entries of `writer`: alone when the scan was asked for, others may have come before it began."""
        if self.instance.wrote_only(klass, writer):
            return page
        tail = u32(NEWEST - writer)
        return [pair for pair in page if pair[0][-4:] == tail]

    async def _scan_raw(
        self, start: bytes, stop: bytes, want: Want, reverse: bool
    ) -> AsyncIterator[list[tuple[bytes, bytes | Disputed]]]:
        writers = self.writers(start[0])
        if not writers or start >= stop:
            return
        size = len(self._prefix)
        pages = self.instance.store.scan(self._prefix + start, self._prefix + stop, want=want, reverse=reverse)
        if self._alone(start[0]):
            async for page in pages:
                page = self._own(page, start[0], writers[0])
                found: list[tuple[bytes, bytes | Disputed]] = [(k[size:-4], r) for k, r in page if r]
                if found:
                    yield found
            return
        current = b""
        entries: list[tuple[int, bytes]] = []
        out: list[tuple[bytes, bytes | Disputed]] = []
        async for page in pages:
            for key, raw in page:
                tkey = key[size:-4]
                if tkey != current:
                    if entries:
                        self._emit(current, entries, reverse, out)
                    current, entries = tkey, []
                entries.append((NEWEST - int.from_bytes(key[-4:], "big"), raw))
            if out:
                yield out
                out = []
        if entries:
            self._emit(current, entries, reverse, out)
        if out:
            yield out

    def _emit(self, tkey: bytes, entries: list[tuple[int, bytes]], reverse: bool, out: list[tuple[bytes, Any]]) -> None:
        if reverse:
            entries.reverse()
        raw, rivals = self._resolve(entries)
        if rivals:
            out.append((tkey, Disputed(rivals)))
        elif raw:
            out.append((tkey, raw))

    # -- edits

    async def edit(
        self,
        op: str,
        change: Callable[[Mutation], Awaitable[T]],
        *,
        locks: Iterable[Any] = (),
        with_id: bool = False,
        durable: bool = True,
    ) -> Edited[T]:
        """Run `change` and commit what it stages, all or nothing; see `dvid_core.mutation`."""
        from .mutation import edit

        return await edit(self, op, change, locks=locks, with_id=with_id, durable=durable)

    async def stage(self, chunks: AsyncIterator[bytes], *, limit: int = 1 << 40) -> bytes | Staged:
        """Read a body of any size, to be put by a later edit.

        Small ones come back as bytes; of larger ones the chunks are written as they come.  Bodies first, locks
        after: call it before `edit`.  `discard` a staged value that no edit takes.
        """
        held = bytearray()
        staged: Staged | None = None
        n = size = 0
        try:
            async for piece in chunks:
                held += piece
                size += len(piece)
                if size > limit:
                    raise BadRequest(f"the value is longer than {limit} bytes")
                if staged is None and size > INLINE:
                    staged = Staged(secrets.randbits(63), 0)
                    self.instance.live_stages.add(staged.id)
                    self.instance.has_large = True
                while staged is not None and len(held) >= CHUNK:
                    await self._write_chunk(staged.id, n, bytes(held[:CHUNK]))
                    del held[:CHUNK]
                    n += 1
            if staged is None:
                return bytes(held)
            if held:
                await self._write_chunk(staged.id, n, bytes(held))
            return Staged(staged.id, size)
        except BaseException:
            if staged is not None:
                await self.discard(staged)
            raise

    async def _write_chunk(self, value_id: int, n: int, data: bytes) -> None:
        batch = Batch()
        batch.put(chunk_key(self.instance.id, value_id, n), data)
        if n == 0:
            batch.put(Kind.STAGED.key(self.instance.id, u64(value_id)), b"\x01")
        with self.instance.writes():
            await self.instance.store.commit(batch, durable=False)
        await asyncio.sleep(0)  # neither a body at hand nor such a commit waits for anything

    async def discard(self, value: bytes | Staged) -> None:
        """Remove the chunks of a staged value that no key names; nothing when an edit named it meanwhile."""
        if isinstance(value, Staged) and value.id in self.instance.live_stages:
            self.instance.live_stages.discard(value.id)
            batch = Batch()
            batch.delete(Kind.STAGED.key(self.instance.id, u64(value.id)))
            batch.delete_range(chunk_key(self.instance.id, value.id), chunk_key(self.instance.id, value.id + 1))
            await self.instance.store.commit(batch, durable=False)

    # -- the surroundings

    async def run(self, kernel: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run a kernel off the event loop."""
        return await self.instance.server.kernels.run(kernel, *args, **kwargs)

    async def peer(self, name: str, protocol: type[P]) -> P:
        """What the instance `name` of this repo offers as `protocol`, seen from this version.

        Raises `UnknownInstance`, or `BadRequest` when that instance does not offer the protocol.
        """
        other = self.instance.repo.instance(name)
        await other.ready()
        offered = other.offer(protocol, View(other, self.node, self.caller))
        if offered is None:
            raise BadRequest(f"{name}: an instance of type {other.typename} offers no {protocol.__name__}")
        return offered
