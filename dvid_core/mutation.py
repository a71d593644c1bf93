"""`Mutation`: one edit.  Data, log record and events go in one commit, or nothing does.

    async def merge(m: Mutation) -> None:
        index = await m.get(INDEX.key(target))            # what the edit depends on becomes an expectation
        m.put(INDEX.key(target), merged)
        m.record({"Action": "merge", ...}, events=[LabelsMerged(target, labels)])

    done = await view.edit("merge", merge, locks=(target, *labels), with_id=True)

The function is run again when another edit changed what it read, so it must not do anything but stage.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from .errors import BadRequest, Conflict, NodeLocked, Unavailable, UnknownOutcome
from .events import Event, pack_events
from .instance import BURIED, WROTE
from .keys import LOG_CLASS, NEWEST, Kind, Meta, log_prefix, u32, u64, wrote_key
from .mutlog import LogRecord, pack_record
from .records import now
from .storage.base import Batch, Receipt
from .values import TOMBSTONE, Staged, Value, encode, manifest_id

if TYPE_CHECKING:
    from .view import View

log = logging.getLogger(__name__)

T = TypeVar("T")

TRIES = 50
OPEN_MARK = b"\x01"


class Edited(msgspec.Struct, Generic[T], frozen=True):
    """What a committed edit gave."""

    result: T
    """What the edit's function returned."""
    number: int
    """The number of its log record; 0 when it recorded nothing."""
    mutation_id: int


class Sealed(msgspec.Struct):
    """An edit ready to be committed."""

    batch: Batch
    record: LogRecord | None
    first: set[int]
    """Classes that this version writes for the first time."""
    buried: set[int]
    """Classes that get their first tombstone."""


class Mutation:
    """What one edit reads and stages, at one version of one instance."""

    __slots__ = (
        "_batch",
        "_changed",
        "_entries",
        "_events",
        "_payload",
        "_staged",
        "chain",
        "id",
        "op",
        "time",
        "view",
    )

    def __init__(self, view: View, op: str, mutation_id: int, chain: tuple[int, ...] = ()) -> None:
        self.view, self.op, self.id, self.chain = view, op, mutation_id, chain
        self.time = now()
        self._batch = Batch()
        self._changed: dict[bytes, bytes] = {}
        self._entries: list[dict[str, Any]] = []
        self._events: list[Event] = []
        self._payload: Any = None
        self._staged: list[Staged] = []

    def _key(self, tkey: bytes) -> bytes:
        return self.view.instance.prefix + tkey + u32(NEWEST - self.view.version)

    async def get(self, tkey: bytes) -> bytes | None:
        """The value as this edit sees it, its own puts included.

        The entry of this version becomes an expectation of the commit; entries of ancestors are locked.
        """
        return (await self.get_many([tkey]))[0]

    async def get_many(self, tkeys: Sequence[bytes]) -> list[bytes | None]:
        """`get` of several tkeys of one class."""
        instance, version = self.view.instance, self.view.version
        wanted = [t for t in tkeys if t not in self._changed]
        keys = [self._key(t) for t in wanted]
        found = dict(zip(wanted, await instance.store.get_many(keys)))
        for tkey, key in zip(wanted, keys):
            self._batch.expect(key, found[tkey])
        # What this version wrote decides, as it was read here: a later read may already see another edit's value.
        older = [t for t in found if found[t] is None and instance.seen_elsewhere(t[0], version)]
        seen = dict(zip(older, await self.view.get_many(older)))
        out = []
        for tkey in tkeys:
            raw = self._changed[tkey] if tkey in self._changed else found[tkey]
            if raw is None:
                out.append(seen.get(tkey))
            else:
                out.append(await Value(raw, instance.store, instance.id).read() if raw else None)
        return out

    def put(self, tkey: bytes, value: bytes | Staged) -> None:
        """Set the value at this version."""
        if isinstance(value, Staged):
            self._staged.append(value)
        self._changed[tkey] = encode(value)

    def delete(self, tkey: bytes) -> None:
        """Remove the value here and below; ancestors keep theirs."""
        self._changed[tkey] = TOMBSTONE

    def record(self, entry: dict[str, Any] | None = None, *, events: Iterable[Event] = (), payload: Any = None) -> None:
        """Add to the log record: an entry as `GET mutations` shows it, events, and what `apply` needs."""
        if entry is not None:
            self._entries.append(entry)
        self._events.extend(events)
        if payload is not None:
            self._payload = payload

    def expect_stored(self, key: bytes, value: bytes | None) -> None:
        """Demand a stored key outside the data; for the core's own bookkeeping."""
        self._batch.expect(key, value)

    def put_stored(self, key: bytes, value: bytes) -> None:
        """Set a stored key outside the data; for the core's own bookkeeping."""
        self._batch.put(key, value)

    async def seal(self) -> Sealed:
        """What is to be committed."""
        view, batch = self.view, self._batch
        instance, version = view.instance, view.version
        for staged in self._staged:
            batch.delete(Kind.STAGED.key(instance.id, u64(staged.id)))
        await self._sweep_replaced(batch)
        classes = {tkey[0] for tkey in self._changed}
        alone = {c: not instance.seen_elsewhere(c, version) for c in classes}
        buried: set[int] = set()
        for tkey, raw in self._changed.items():
            if raw:
                batch.put(self._key(tkey), raw)
            elif alone[tkey[0]]:
                batch.delete(self._key(tkey))
            else:
                batch.put(self._key(tkey), TOMBSTONE)
                buried.add(tkey[0])
        record = None
        if self._entries or self._events or self._payload is not None:
            record = LogRecord(
                op=self.op,
                time=self.time,
                user=view.caller.user,
                app=view.caller.app,
                mutation_id=self.id,
                entries=tuple(self._entries),
                payload=self._payload,
                events=tuple(pack_events(self._events)),
                chain=self.chain,
            )
            batch.append(log_prefix(instance.id, version), pack_record(record))
            classes.add(LOG_CLASS)
        first = {c for c in classes if not instance.has_written(c, version)}
        for c in first:
            batch.put(wrote_key(instance.id, c, version), WROTE)
        buried = {c for c in buried if not instance.has_tombstones(c)}
        for c in buried:
            batch.put(wrote_key(instance.id, c, version), BURIED)
        return Sealed(batch, record, first, buried)

    async def _sweep_replaced(self, batch: Batch) -> None:
        """Mark the chunks of large values that this edit replaces, expecting that nobody replaced them before."""
        instance = self.view.instance
        if not (instance.has_large or self._staged):
            return
        keys = [self._key(t) for t in self._changed]
        for key, raw in zip(keys, await instance.store.get_many(keys)):
            batch.expect(key, raw)
            if (old := manifest_id(raw)) is not None:
                batch.put(Kind.SWEEP.key(instance.id, u64(old)), u64(int(now() * 1_000_000)))

    @property
    def staged(self) -> list[Staged]:
        """The large values that this edit names."""
        return self._staged


async def edit(
    view: View,
    op: str,
    change: Callable[[Mutation], Awaitable[T]],
    *,
    locks: Iterable[Any] = (),
    with_id: bool = False,
    durable: bool = True,
) -> Edited[T]:
    """Run `change` under the locks and commit what it staged.

    `locks` are keys of this instance, mutually comparable; the version is held shared, so that its commit waits.
    Raises what `change` raises, `NodeLocked`, and `Unavailable` when others kept changing what it reads.
    """
    instance, node = view.instance, view.node
    server = instance.server
    table = server.locks
    guarded = instance.versioned and not (view.caller.admin or server.fullwrite)
    wanted = [(instance.id, key) for key in locks]
    async with table.hold(shared=(("version", node.version),) if instance.versioned else ()):
        if guarded and node.locked:
            raise NodeLocked(f"version {node.uuid} is committed and cannot be changed; make a new version of it")
        mutation_id = await instance.repo.next_mutation_id() if with_id else 0
        if not wanted:
            return await _attempts(view, op, change, mutation_id, durable, guarded)
        async with table.hold(exclusive=wanted):
            return await _attempts(view, op, change, mutation_id, durable, guarded)


async def handle(view: View, op: str, change: Callable[[Mutation], Awaitable[T]], chain: tuple[int, ...]) -> Edited[T]:
    """An edit that follows another instance's log.

    It takes no hold of the version: the commit of a version waits for its listeners while it keeps users out.
    """
    return await _attempts(view, op, change, 0, True, False, chain)


async def _attempts(
    view: View,
    op: str,
    change: Callable[[Mutation], Awaitable[T]],
    mutation_id: int,
    durable: bool,
    guarded: bool,
    chain: tuple[int, ...] = (),
) -> Edited[T]:
    instance, node = view.instance, view.node
    open_key = Meta.OPEN.key(u32(node.version))
    for attempt in range(TRIES):
        m = Mutation(view, op, mutation_id, chain)
        result = await change(m)
        sealed = await m.seal()
        batch = sealed.batch
        if not batch:
            return Edited(result, 0, mutation_id)
        if guarded and instance.store is instance.server.meta:
            batch.expect(open_key, OPEN_MARK)
        try:
            with instance.writes():
                number = await _commit(view, m, sealed, durable)
        except Conflict as err:
            if err.key == open_key:
                raise NodeLocked(f"version {node.uuid} is committed and cannot be changed") from None
            await asyncio.sleep(random.uniform(0, 0.001 * min(attempt, 20)))
            continue
        except ValueError as err:
            raise BadRequest(str(err)) from None
        return Edited(result, number, mutation_id)
    raise Unavailable(f"{op}: others kept changing the same data; try again")


async def _commit(view: View, m: Mutation, sealed: Sealed, durable: bool) -> int:
    instance, version, record = view.instance, view.version, sealed.record
    done: Receipt | None = None

    def written(receipt: Receipt) -> None:
        nonlocal done
        if done is not None:
            return
        done = receipt
        if sealed.first:
            instance.mark_written(sealed.first, version)
        if sealed.buried:
            instance.mark_buried(sealed.buried)
        for staged in m.staged:
            instance.live_stages.discard(staged.id)
        if record is not None:
            try:
                instance.apply(version, receipt.numbers[0], record)
            except Exception:
                log.exception("the state of %s in memory lacks record %d", instance.name, receipt.numbers[0])

    try:
        receipt = await _commit_once(view, m, sealed.batch, durable, written)
    finally:
        # Also when the caller was cancelled while the disk was waited for: the record is there.
        if done is not None and record is not None:
            instance.server.bus.wake(instance.id, version)
    return receipt.numbers[0] if record is not None else 0


async def _commit_once(
    view: View, m: Mutation, batch: Batch, durable: bool, written: Callable[[Receipt], None]
) -> Receipt:
    instance = view.instance
    if not instance.store.limits.uncertain:
        return await instance.store.commit(batch, durable=durable, written=written)
    token = Kind.TOKEN.key(instance.id, u64(int(m.time)), secrets.token_bytes(12))
    batch.put(token, OPEN_MARK)
    batch.expect(token, None)
    while True:
        try:
            return await instance.store.commit(batch, durable=durable, written=written)
        except UnknownOutcome:
            # The commit carries a token: it happened exactly when the token is there.
            if await instance.store.get(token) is not None:
                head = await instance.store.get(log_prefix(instance.id, view.version))
                receipt = Receipt((int.from_bytes(head or b"", "big"),))
                written(receipt)
                return receipt
