"""One repo: its versions, its data instances, its notes and logs.

Every change is one commit of metadata made under the repo's lock; memory is changed right after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from .dag import MASTER, Dag, Node
from .errors import BadRequest, Conflict, MissingPlugin, NameTaken, NodeLocked, Refused, UnknownInstance, UnknownVersion
from .ids import check_uuid, new_uuid
from .instance import Instance
from .keys import Meta, u32, u64
from .mutation import OPEN_MARK
from .records import RepoRecord, now, pack, rfc3339
from .storage.base import Batch
from .tasks import to_the_end
from .view import View

if TYPE_CHECKING:
    from .requests import Caller
    from .server import Server

STRIDE = 100
FIRST_MUTATION_ID = 1_000_000_000


SETTLING = 60.0
"""Seconds for which a commit of a version waits for what instances still work into it."""


class Repo:
    """A repo in memory."""

    def __init__(self, server: Server, record: RepoRecord, nodes: Sequence[Node] = ()) -> None:
        self.server, self.record = server, record
        self.dag = Dag(nodes)
        self.instances: dict[str, Instance] = {}
        self.deleted = False
        self.saved_mutation_id = self.mutation_id = server.first_mutation_id
        self._reserving = asyncio.Lock()

    @property
    def id(self) -> int:
        return self.record.id

    @property
    def root(self) -> str:
        """UUID of the first version."""
        return self.record.root

    @contextlib.asynccontextmanager
    async def lock(self) -> AsyncIterator[None]:
        """Hold this while metadata of the repo are checked and changed.  Raises `UnknownVersion` once it is deleted."""
        async with self.server.locks.hold(exclusive=(("repo", self.id),)):
            if self.deleted:
                raise UnknownVersion(f"the repo {self.root} was deleted")
            yield

    # -- instances

    def instance(self, name: str) -> Instance:
        """The data instance of this name.  Raises `UnknownInstance`, `MissingPlugin`."""
        found = self.instances.get(name)
        if found is None:
            raise UnknownInstance(f"no data instance {name[:200]!r} in repo {self.root}")
        if not found.typename:
            raise MissingPlugin(
                f"instance {name!r} is of type {found.record.typename!r}, whose plug-in is not installed "
                f"(pip install dvid-{found.record.typename}); its data are kept"
            )
        return found

    def by_id(self, instance_id: int) -> Instance | None:
        """The data instance with this id."""
        return next((i for i in self.instances.values() if i.id == instance_id), None)

    # -- mutation ids

    async def next_mutation_id(self) -> int:
        """A fresh mutation id; ids are reserved ahead in strides, so none is given twice after a crash."""
        if self.mutation_id >= self.saved_mutation_id:
            async with self._reserving:
                if self.mutation_id >= self.saved_mutation_id:
                    batch = Batch()
                    batch.put(Meta.MUTATION_ID.key(u32(self.id)), u64(self.mutation_id + STRIDE))
                    await self.server.meta.commit(batch)
                    self.saved_mutation_id = self.mutation_id + STRIDE
        self.mutation_id += 1
        return self.mutation_id - 1

    # -- properties, notes, logs

    def touch(self, batch: Batch, **changes: Any) -> RepoRecord:
        """Stage the repo's record with a new time, and with `changes`; memory takes it after the commit."""
        record = msgspec.structs.replace(self.record, updated=now(), **changes)
        batch.put(Meta.REPO.key(u32(self.id)), pack(record))
        return record

    def stage_node(self, batch: Batch, node: Node) -> None:
        """Stage a node's record."""
        batch.put(Meta.NODE.key(u32(self.id), u32(node.version)), pack(node))

    def stage_log(self, batch: Batch, version: int, lines: Sequence[str]) -> None:
        """Stage log lines of a version, or of the repo (version 0)."""
        for line in lines:
            text = f"{rfc3339(now(), 'seconds')}  {line}"
            batch.append(Meta.LOG_LINE.key(u32(self.id), u32(version)), text.encode(errors="replace"))

    async def log_lines(self, version: int = 0) -> list[str]:
        """The log of a version, or of the repo (version 0), oldest first."""
        prefix = Meta.LOG_LINE.key(u32(self.id), u32(version))
        out = []
        async for page in self.server.meta.scan(prefix + b"\x00", prefix + b"\xff" * 9):
            out += [text.decode() for _, text in page]
        return out

    @to_the_end
    async def set_properties(self, alias: str | None, description: str | None) -> None:
        """Change the alias or the description; None leaves one as it is."""
        async with self.lock():
            changes = {k: v for k, v in (("alias", alias), ("description", description)) if v is not None}
            batch = Batch()
            record = self.touch(batch, **changes)
            await self.server.meta.commit(batch)
            self.record = record

    @to_the_end
    async def add_log(self, lines: Sequence[str], version: int = 0) -> None:
        """Append lines to the log of the repo or of a version."""
        async with self.lock():
            batch = Batch()
            self.stage_log(batch, version, lines)
            await self._commit_node(batch, self.dag.nodes.get(version))

    @to_the_end
    async def set_note(self, node: Node, note: str) -> None:
        """Replace the note of a version."""
        async with self.lock():
            await self._commit_node(Batch(), node, note=note)

    async def _commit_node(self, batch: Batch, node: Node | None, **changes: Any) -> None:
        record = self.touch(batch)
        changed = None
        if node is not None:
            changed = msgspec.structs.replace(node, updated=now(), **changes)
            self.stage_node(batch, changed)
        await self.server.meta.commit(batch)
        self.record = record
        if changed is not None and node is not None:
            for name in (*changes, "updated"):
                setattr(node, name, getattr(changed, name))

    # -- versions

    @to_the_end
    async def commit(self, node: Node, note: str, lines: Sequence[str], caller: Caller) -> None:
        """Lock a version.

        Waits for the edits under way, then for what listens to them; afterwards nothing in it changes.
        """
        deadline = time.monotonic() + SETTLING
        while True:
            views = [View(i, node, caller) for i in list(self.instances.values()) if i.opened]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                    for view in views:
                        await view.instance.before_commit(view)
            async with self.server.locks.hold(exclusive=(("version", node.version),)):
                if node.locked:
                    raise NodeLocked(f"version {node.uuid} is committed already")
                await self.server.bus.idle(version=node.version)
                if time.monotonic() < deadline and not all(v.instance.is_ready_to_lock(v) for v in views):
                    continue
                await self._lock(node, note, lines, caller)
                return

    async def _lock(self, node: Node, note: str, lines: Sequence[str], caller: Caller) -> None:
        async with self.lock():
            batch = Batch()
            batch.delete(Meta.OPEN.key(u32(node.version)))
            batch.expect(Meta.OPEN.key(u32(node.version)), OPEN_MARK)
            self.stage_log(batch, node.version, lines)
            changes = {"locked": True, "note": note or node.note}
            try:
                await self._commit_node(batch, node, **changes)
            except Conflict:
                raise NodeLocked(f"version {node.uuid} is committed already") from None
        for instance in list(self.instances.values()):
            if instance.opened:
                await instance.on_commit(View(instance, node, caller))

    @to_the_end
    async def new_version(self, parent: Node, note: str = "", uuid: str | None = None) -> Node:
        """A child on the branch of its parent."""
        async with self.lock():
            return await self._child(parent, parent.branch, note, uuid)

    @to_the_end
    async def branch(self, parent: Node, branch: str, note: str = "", uuid: str | None = None) -> Node:
        """A child on a new branch; the parent's own branch makes a new version."""
        if not branch or branch == "master":
            raise BadRequest("branch: expected the name of a new branch, other than 'master'")
        async with self.lock():
            if branch != parent.branch and any(n.branch == branch for n in self.dag.nodes.values()):
                raise NameTaken(f"branch: {branch!r} is in use in this repo")
            return await self._child(parent, branch, note, uuid)

    @to_the_end
    async def tag(self, parent: Node, tag: str, note: str = "") -> Node:
        """A locked child whose UUID is the tag."""
        if not tag or "/" in tag or ":" in tag:
            raise BadRequest("tag: expected a name without '/' and ':'")
        async with self.lock():
            self._need_locked(parent)
            note = note or f'Tag of version {parent.uuid} with "{tag}"'
            return await self.add_version(tag, [parent], f"tag-{tag}", note, locked=True)

    @to_the_end
    async def merge(self, parents: Sequence[Node], note: str = "") -> Node:
        """An open child of several locked versions, on the default branch; conflicts show when they are read."""
        if len(parents) < 2 or len({p.version for p in parents}) != len(parents):
            raise BadRequest("parents: a merge needs two or more different versions")
        async with self.lock():
            for parent in parents:
                self._need_locked(parent)
            return await self.add_version(None, parents, MASTER, note)

    async def _child(self, parent: Node, branch: str, note: str, uuid: str | None) -> Node:
        self._need_locked(parent)
        taken = [c for c in self.dag.children(parent.version) if self.dag.nodes[c].branch == branch]
        if taken and branch == parent.branch:
            other = self.dag.nodes[taken[0]].uuid
            raise NameTaken(f"version {parent.uuid} has a child on its branch already: {other}; make a branch instead")
        if uuid is not None:
            check_uuid(uuid, "uuid")
        return await self.add_version(uuid, [parent], branch, note)

    def _need_locked(self, parent: Node) -> None:
        if not parent.locked:
            raise Refused(f"version {parent.uuid} is open; commit it first")

    async def add_version(
        self, uuid: str | None, parents: Sequence[Node], branch: str, note: str, locked: bool = False
    ) -> Node:
        """Make a version; the caller holds the repo's lock."""
        at = now()
        node = Node(
            uuid=uuid or new_uuid(),
            version=await self.server.repos.new_id("version"),
            parents=tuple(p.version for p in parents),
            branch=branch,
            note=note,
            locked=locked,
            created=at,
            updated=at,
        )
        batch = Batch()
        record = self.touch(batch)
        self.server.repos.stage_uuid(batch, node.uuid, self.id, node.version)
        self.stage_node(batch, node)
        for parent in parents:
            self.stage_node(batch, msgspec.structs.replace(parent, updated=at))
        if not locked:
            batch.put(Meta.OPEN.key(u32(node.version)), OPEN_MARK)
        try:
            await self.server.meta.commit(batch)
        except Conflict:
            raise NameTaken(f"{node.uuid} is the UUID of a version already") from None
        self.record = record
        for parent in parents:
            parent.updated = at
        self.dag.add(node)
        self.server.repos.register(node.uuid, self, node)
        return node

    def branch_leaf(self, branch: str) -> Node:
        """The leaf of a branch as requests name it.  Raises `UnknownVersion`."""
        leaf = self.dag.branch_leaf(MASTER if branch == "master" else branch)
        if leaf is None:
            raise UnknownVersion(f"no branch {branch!r} in repo {self.root}")
        return leaf

    def branch_versions(self, branch: str) -> list[Node]:
        """The versions of a branch, its leaf first; empty when there is no such branch."""
        return self.dag.branch_versions(MASTER if branch == "master" else branch)
