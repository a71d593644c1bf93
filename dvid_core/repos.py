"""All repos of a server: loading, making and deleting them, and finding a version by its name."""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Any

import msgspec

from .dag import Node
from .errors import BadRequest, ConfigError, Conflict, NameTaken, Refused, UnknownInstance, UnknownType, UnknownVersion
from .ids import VersionName, check_uuid, new_uuid, parse_version
from .instance import Instance
from .keys import Meta, instance_ranges, u32
from .mutation import OPEN_MARK
from .records import FORMAT_VERSION, Doomed, InstanceRecord, RepoRecord, now, pack, unpack
from .repo import Repo
from .settings import Compression, read_checksum, read_switch, read_tags
from .storage.base import Batch
from .tasks import to_the_end

if TYPE_CHECKING:
    from .server import Server

log = logging.getLogger(__name__)

RESERVED = frozenset(("log", "branch", "note", "commit", "newversion"))


class Repos:
    """The repos of a server by id, and their versions by UUID."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.by_id: dict[int, Repo] = {}
        self._versions: dict[str, tuple[Repo, Node]] = {}
        self._sorted: list[str] = []
        self._counters: dict[str, int] = {}
        self._counting = asyncio.Lock()
        self._removals: set[asyncio.Task[None]] = set()

    # -- loading

    async def load(self) -> None:
        """Read all metadata.  Raises `ConfigError` when the store is of a newer format."""
        meta = self.server.meta
        await self._check_format()
        records: dict[int, RepoRecord] = {}
        nodes: dict[int, list[Node]] = {}
        async for page in meta.scan(*Meta.REPO.range()):
            for key, data in page:
                records[int.from_bytes(key[2:6], "big")] = unpack(data, RepoRecord)
        async for page in meta.scan(*Meta.NODE.range()):
            for key, data in page:
                nodes.setdefault(int.from_bytes(key[2:6], "big"), []).append(unpack(data, Node))
        for repo_id, record in records.items():
            try:
                repo = Repo(self.server, record, nodes.get(repo_id, ()))
                self.by_id[repo_id] = repo
                for node in repo.dag.nodes.values():
                    self.register(node.uuid, repo, node)
            except Exception:
                log.exception("repo %s cannot be read; the others are served", record.root)
        async for page in meta.scan(*Meta.MUTATION_ID.range()):
            for key, data in page:
                if owner := self.by_id.get(int.from_bytes(key[2:6], "big")):
                    owner.mutation_id = owner.saved_mutation_id = int.from_bytes(data, "big")
        async for page in meta.scan(*Meta.INSTANCE.range()):
            for key, data in page:
                if owner := self.by_id.get(int.from_bytes(key[2:6], "big")):
                    instance = self._instance(owner, unpack(data, InstanceRecord))
                    owner.instances[instance.name] = instance
        async for page in meta.scan(*Meta.DOOMED.range()):
            for _, data in page:
                self._remove_later(unpack(data, Doomed))

    async def _check_format(self) -> None:
        meta, key = self.server.meta, Meta.FORMAT.key()
        found = await meta.get(key)
        if found is None:
            batch = Batch()
            batch.put(key, str(FORMAT_VERSION).encode())
            await meta.commit(batch)
        elif int(found) > FORMAT_VERSION:
            raise ConfigError(
                f"the store at {meta.place} has format {int(found)}; this server reads up to {FORMAT_VERSION}: "
                "install a newer dvid-core"
            )

    def _instance(self, repo: Repo, record: InstanceRecord) -> Instance:
        kind = self.server.types.get(record.typename, Instance)
        store = self.server.store_for(record, repo)
        try:
            return kind(self.server, repo, record, store)
        except Exception:
            log.exception("instance %s of type %s cannot be read; its data are kept", record.name, record.typename)
            return Instance(self.server, repo, record, store)

    # -- ids and names

    async def new_id(self, what: str) -> int:
        """The next number of a counter: 1, 2, 3, ..."""
        key = Meta.COUNTER.key(what.encode())
        async with self._counting:
            while True:
                before = await self.server.meta.get(key)
                n = int.from_bytes(before or b"", "big") + 1
                batch = Batch()
                batch.expect(key, before)
                batch.put(key, u32(n))
                try:
                    # The commit that uses the number follows in the same write-ahead log and is durable.
                    await self.server.meta.commit(batch, durable=False)
                    return n
                except Conflict:
                    continue

    def stage_uuid(self, batch: Batch, uuid: str, repo: int, version: int) -> None:
        """Stage a version's UUID, which must be new on the server."""
        key = Meta.UUID.key(uuid.encode())
        batch.expect(key, None)
        batch.put(key, u32(repo) + u32(version))

    def register(self, uuid: str, repo: Repo, node: Node) -> None:
        """Make a version known by its UUID."""
        self._versions[uuid] = (repo, node)
        insort(self._sorted, uuid)

    def match(self, prefix: str) -> tuple[Repo, Node]:
        """The version with this UUID, or the only one that begins so.  Raises `UnknownVersion`."""
        found = self._versions.get(prefix)
        if found is not None:
            return found
        at = bisect_left(self._sorted, prefix)
        fits = [u for u in self._sorted[at : at + 2] if u.startswith(prefix)]
        if not fits:
            raise UnknownVersion(f"no version {prefix[:80]!r} on this server")
        if len(fits) > 1:
            raise UnknownVersion(
                f"{prefix!r} begins the UUIDs of more than one version, {fits[0]} and {fits[1]} among them"
            )
        return self._versions[fits[0]]

    def find(self, text: str) -> tuple[Repo, Node]:
        """The version that a request names; see `dvid_core.ids.parse_version`."""
        found = self._versions.get(text)
        if found is not None:
            return found
        name: VersionName = parse_version(text)
        if name.branch is None:
            return self.match(name.prefix)
        if name.prefix:
            repo, node = self.match(name.prefix)
            if not name.branch:
                return repo, node
        elif len(self.by_id) == 1:
            repo = next(iter(self.by_id.values()))
            if not name.branch:
                return repo, repo.dag.root
        else:
            raise UnknownVersion(f"{text!r} names no repo, and this server has {len(self.by_id)}")
        leaf = repo.branch_leaf(name.branch)
        if not name.back:
            return repo, leaf
        versions = repo.branch_versions(name.branch)
        if name.back >= len(versions):
            raise UnknownVersion(
                f"branch {name.branch!r} has {len(versions)} versions back to the root, not {name.back + 1}"
            )
        return repo, versions[name.back]

    # -- making and deleting

    @to_the_end
    async def create(self, alias: str = "", description: str = "", passcode: str = "", root: str | None = None) -> Repo:
        """A new repo with one open version."""
        if root is not None:
            check_uuid(root, "root")
        at, uuid = now(), root or new_uuid()
        record = RepoRecord(id=await self.new_id("repo"), root=uuid, alias=alias, description=description,
                            passcode=passcode, created=at, updated=at)  # fmt: skip
        node = Node(uuid=uuid, version=await self.new_id("version"), created=at, updated=at)
        repo = Repo(self.server, record, [node])
        batch = Batch()
        batch.put(Meta.REPO.key(u32(record.id)), pack(record))
        repo.stage_node(batch, node)
        self.stage_uuid(batch, uuid, record.id, node.version)
        batch.put(Meta.OPEN.key(u32(node.version)), OPEN_MARK)
        try:
            await self.server.meta.commit(batch)
        except Conflict:
            raise NameTaken(f"root: {uuid} is the UUID of a version already") from None
        self.by_id[record.id] = repo
        self.register(uuid, repo, node)
        return repo

    @to_the_end
    async def create_instance(self, repo: Repo, node: Node, config: dict[str, Any]) -> Instance:
        """A new data instance of `repo`, from the wire's object with its settings."""
        given = {k.lower(): v for k, v in config.items()}
        typename, name = (_text(given, k) for k in ("typename", "dataname"))
        kind = self.server.types.get(typename)
        if kind is None:
            raise UnknownType(f"typename: no datatype {typename!r} is installed; /api/server/compiled-types lists them")
        if name in RESERVED or "/" in name or name in (".", ".."):
            raise BadRequest(f"dataname: {name!r} cannot be the name of an instance")
        settings = kind.read_settings(config)
        settings = await kind.admit(self.server, settings)
        wanted = Compression.read(given.get("compression", "lz4"))
        compression = kind.compression(wanted, settings)
        checksum = read_checksum(given.get("checksum", "none"))
        tags = read_tags(given["tags"]) if "tags" in given else None
        versioned = read_switch(given.get("versioned", True), "versioned")
        async with repo.lock():
            if name in repo.instances:
                raise NameTaken(f"dataname: an instance {name!r} already exists in this repo")
            record = InstanceRecord(
                id=await self.new_id("instance"),
                repo=repo.id,
                name=name,
                typename=typename,
                type_version=kind.type_version,
                data_uuid=new_uuid(),
                made_in=node.uuid,
                versioned=versioned,
                compression=(compression.codec, compression.level),
                checksum=checksum,
                tags=tags,
                settings=msgspec.to_builtins(settings),
            )
            record.store = self.server.alias_for(record, repo)
            instance = kind(self.server, repo, record, self.server.stores[record.store])
            batch = Batch()
            self._stage_instance(batch, record)
            repo.stage_log(batch, 0, [f"new instance {name} of type {typename} at {node.uuid}"])
            updated = repo.touch(batch)
            await self.server.meta.commit(batch)
            repo.record = updated
            repo.instances[name] = instance
        await self.server.follow_with_sinks(instance)
        return instance

    def _stage_instance(self, batch: Batch, record: InstanceRecord) -> None:
        batch.put(Meta.INSTANCE.key(u32(record.repo), u32(record.id)), pack(record))

    async def change_instance(self, instance: Instance, note: str = "", **changes: Any) -> None:
        """Store and take on changed fields of an instance's record; the caller holds the repo's lock."""
        repo = instance.repo
        batch = Batch()
        record = msgspec.structs.replace(instance.record, **changes)
        self._stage_instance(batch, record)
        if note:
            repo.stage_log(batch, 0, [note])
        updated = repo.touch(batch)
        await self.server.meta.commit(batch)
        repo.record, instance.record = updated, record

    @to_the_end
    async def set_tags(self, instance: Instance, tags: dict[str, str], *, replace: bool) -> None:
        """Add tags to those of an instance, or put them in their place."""
        async with instance.repo.lock():
            if tags or replace:
                kept = {} if replace else instance.record.tags or {}
                await self.change_instance(instance, tags={**kept, **tags})

    @to_the_end
    async def rename_instance(self, repo: Repo, old: str, new: str) -> None:
        """Give an instance another name; its data and identity stay."""
        if not new or new in RESERVED or "/" in new or new in (".", ".."):
            raise BadRequest(f"to: {new!r} cannot be the name of an instance")
        async with repo.lock():
            instance = repo.instances.get(old)
            if instance is None:
                raise UnknownInstance(f"no data instance {old!r} in repo {repo.root}")
            if new in repo.instances:
                raise NameTaken(f"to: an instance {new!r} already exists in this repo")
            await self.change_instance(instance, f"renamed instance {old} to {new}", name=new)
            repo.instances[new] = repo.instances.pop(old)

    @to_the_end
    async def delete_instance(self, repo: Repo, name: str) -> None:
        """Remove an instance; the name is free at once, the data go in the background."""
        async with repo.lock():
            instance = repo.instances.get(name)
            if instance is None:
                raise UnknownInstance(f"no data instance {name!r} in repo {repo.root}")
            batch = Batch()
            doomed = self._stage_doom(batch, instance)
            repo.stage_log(batch, 0, [f"deleted instance {name}"])
            updated = repo.touch(batch)
            await self.server.meta.commit(batch)
            repo.record = updated
            await self._forget_instance(instance)
        self._remove_later(doomed, instance)

    def _stage_doom(self, batch: Batch, instance: Instance) -> Doomed:
        doomed = Doomed(id=instance.id, name=instance.record.store, data_uuid=instance.data_uuid)
        batch.delete(Meta.INSTANCE.key(u32(instance.repo.id), u32(instance.id)))
        batch.put(Meta.DOOMED.key(u32(instance.id)), pack(doomed))
        return doomed

    async def _forget_instance(self, instance: Instance) -> None:
        instance.deleted = True
        instance.repo.instances.pop(instance.name, None)
        await self.server.bus.unfollow(instance.id)
        await self.server.bus.forget(instance.id)
        if instance.opened:
            await instance.close()

    @to_the_end
    async def delete(self, repo: Repo, passcode: str) -> None:
        """Remove a whole repo; its UUIDs vanish at once, the data go in the background."""
        self.check_passcode(repo, passcode)
        async with repo.lock():
            batch = Batch()
            doomed = [(self._stage_doom(batch, i), i) for i in repo.instances.values()]
            batch.delete(Meta.REPO.key(u32(repo.id)))
            batch.delete(Meta.MUTATION_ID.key(u32(repo.id)))
            for space in (Meta.NODE, Meta.LOG_LINE):
                batch.delete_range(*space.range(u32(repo.id)))
            for v in repo.dag.nodes.values():
                batch.delete(Meta.UUID.key(v.uuid.encode()))
                batch.delete(Meta.OPEN.key(u32(v.version)))
            await self.server.meta.commit(batch)
            repo.deleted = True
            del self.by_id[repo.id]
            for v in repo.dag.nodes.values():
                self._versions.pop(v.uuid, None)
                v.locked = True
            self._sorted = sorted(self._versions)
            for instance in list(repo.instances.values()):
                await self._forget_instance(instance)
        for d, instance in doomed:
            self._remove_later(d, instance)

    def check_passcode(self, repo: Repo, passcode: str) -> None:
        """Raise `Refused` when the repo has a passcode and this is another."""
        if repo.record.passcode and passcode != repo.record.passcode:
            raise Refused("passcode: it does not fit this repo")

    def _remove_later(self, doomed: Doomed, instance: Instance | None = None) -> None:
        task = asyncio.get_running_loop().create_task(self._remove(doomed, instance))
        self._removals.add(task)
        task.add_done_callback(self._removals.discard)

    async def _remove(self, doomed: Doomed, instance: Instance | None) -> None:
        """Remove the data of a deleted instance; taken up again at the next start if it is interrupted."""
        try:
            if instance is not None:
                await instance.quiet()
            store = self.server.stores.get(doomed.name)
            if store is None:
                return
            for start, stop in instance_ranges(doomed.id):
                batch = Batch()
                batch.delete_range(start, stop)
                await store.commit(batch, durable=False)
            batch = Batch()
            batch.delete(Meta.DOOMED.key(u32(doomed.id)))
            await self.server.meta.commit(batch, durable=False)
        except Exception:
            log.exception("the data of instance %s could not be removed; the next start tries again", doomed.data_uuid)

    async def close(self) -> None:
        """End background work."""
        for task in self._removals:
            task.cancel()
        await asyncio.gather(*self._removals, return_exceptions=True)


def _text(given: dict[str, Any], key: str) -> str:
    value = given.get(key)
    if not isinstance(value, str) or not value:
        raise BadRequest(f"{key}: expected a non-empty string, got {value!r:.80}")
    return value
