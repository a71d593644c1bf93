"""`Server`: owns stores, repos, locks, bus and kernels.  No state is outside of it, so two fit in one process."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import secrets
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import msgspec

from .blocklist import Blocklist, load_blocklist
from .bus import Bus, Listener, SinkFollower
from .config import Config, check_engines, parse_address, unknown_options
from .errors import BadRequest, ConfigError
from .instance import Instance
from .kernels import Kernels
from .locks import Locks
from .mutlog import LogSink
from .plugins import Plugins, load_plugins
from .records import InstanceRecord, now
from .repo import FIRST_MUTATION_ID, Repo
from .repos import Repos
from .storage.base import Store
from .sweep import Sweeper
from .tasks import to_the_end
from .traffic import Traffic

log = logging.getLogger(__name__)


class Server:
    """A running service without its network side; made by `open`."""

    def __init__(self, config: Config, plugins: Plugins, admin_token: str) -> None:
        self.config, self.plugins, self.admin_token = config, plugins, admin_token
        self.types: dict[str, type[Instance]] = plugins.datatypes
        self.stores: dict[str, Store] = {}
        self.sinks: dict[str, LogSink] = {}
        self.meta: Store
        self.warnings: list[str] = list(config.warnings)
        self.locks = Locks()
        self.bus = Bus()
        self.kernels = Kernels()
        self.traffic = Traffic()
        self.started = now()
        self.draining = False
        self.shutdown_requested = asyncio.Event()
        self.blocklist = Blocklist()
        self.throttle = 1
        self.throttled = 0
        self.readonly = config.server.rwmode == "readonly"
        self.fullwrite = config.server.rwmode == "fullwrite"
        self.first_mutation_id = config.server.min_mutation_id_start or FIRST_MUTATION_ID
        self._sampling: asyncio.Task[None] | None = None
        self.repos = Repos(self)
        self.sweeper = Sweeper(self)

    @classmethod
    async def open(cls, config: Config, *, plugins: Iterable[Any] = (), admin_token: str | None = None) -> Self:
        """Open the stores and load the metadata.

        `plugins` are modules besides the installed ones; `admin_token` stands in for DVID_ADMIN_TOKEN.
        Raises `ConfigError` and `StoreInUse`.
        """
        token = os.environ.get("DVID_ADMIN_TOKEN", "") if admin_token is None else admin_token
        self = cls(config, load_plugins(plugins), token)
        try:
            await self._open()
        except BaseException:
            await self.aclose()
            raise
        return self

    async def _open(self) -> None:
        self.reload_blocklist()
        check_engines(self.config, self.plugins.stores)
        for alias, section in self.config.stores.items():
            engine = self.plugins.stores[section.engine]
            known = {f.encode_name for f in msgspec.structs.fields(engine.Config)}
            self.warnings += unknown_options(section, known)
            try:
                settings = msgspec.convert({**section.options, "alias": alias}, engine.Config, strict=True)
            except msgspec.ValidationError as err:
                raise ConfigError(f"[store.{alias}]: {err}") from None
            self.stores[alias] = await engine.open(settings)
        self.meta = self.stores[self.config.backend.metadata]
        await self._open_sinks()
        await self.repos.load()
        for store in self.stores.values():
            await store.started(self)
        for repo in self.repos.by_id.values():
            for instance in list(repo.instances.values()):
                await self._resume(instance)
        await self.sweeper.start()
        self._sampling = asyncio.get_running_loop().create_task(self.traffic.run())

    async def _open_sinks(self) -> None:
        wanted: dict[str, dict[str, Any]] = {}
        if self.config.mutations.jsonstore is not None:
            wanted["jsonstore"] = {"path": str(self.config.mutations.jsonstore)}
        for alias, section in self.config.logs.items():
            if section.engine not in self.plugins.sinks:
                there = ", ".join(self.plugins.sinks)
                raise ConfigError(
                    f"[store.{alias}] engine: no log sink {section.engine!r} is installed (there are: {there})"
                )
            wanted[alias] = section.options
        for alias, options in wanted.items():
            engine = self.config.logs[alias].engine if alias in self.config.logs else alias
            self.sinks[alias] = await self.plugins.sinks[engine].open(options)

    async def _resume(self, instance: Instance) -> None:
        """Let what follows this instance go on where it stopped; one that cannot is reported."""
        try:
            if not instance.typename:
                return
            await self.follow_with_sinks(instance)
            for source_id in instance.record.syncs:
                source = instance.repo.by_id(source_id)
                if source is not None and source.typename:
                    await self.bus.follow(Listener(source, instance))
        except Exception:
            log.exception("instance %s does not follow what it is synced to", instance.name)

    async def follow_with_sinks(self, instance: Instance) -> None:
        """Feed the log of an instance to the sinks that it is configured for."""
        r = instance.record
        alias = self.config.backend.log_for(r.data_uuid, r.name, r.made_in, r.tags, r.typename)
        for name in {"jsonstore", alias} & self.sinks.keys():
            await self.bus.follow(SinkFollower(instance, self.sinks[name]))

    @to_the_end
    async def sync(self, listener: Instance, names: list[str], *, replace: bool) -> None:
        """Let `listener` follow the instances of these names, all or none."""
        repo = listener.repo
        async with repo.lock():
            sources = []
            for name in names:
                source = repo.instance(name)
                if source is listener or not type(listener).follows(type(source)):
                    raise BadRequest(
                        f"sync: a {listener.typename} cannot follow {name!r}, an instance of type {source.typename}"
                    )
                if listener.versioned and not source.versioned:
                    raise BadRequest(f"sync: {name!r} has no versions, so what follows it must have none either")
                sources.append(source)
            old = () if replace else listener.record.syncs
            syncs = tuple(dict.fromkeys([*old, *(s.id for s in sources)]))
            added = [s for s in sources if s.id not in listener.record.syncs]
            dropped = [s for s in listener.record.syncs if s not in syncs]
            await listener.ready()
            for source in added:
                await self.bus.skip_past(listener, source)
            note = f"sync of {listener.name} set to {', '.join(s.name for s in sources) or 'nothing'}"
            await self.repos.change_instance(listener, note, syncs=syncs)
            for source_id in dropped:
                await self.bus.unfollow(listener.id, source_id)
            for source in added:
                await self.bus.follow(Listener(source, listener))

    # -- stores

    def alias_for(self, record: InstanceRecord, repo: Repo) -> str:
        """The alias of the store that the configuration assigns to an instance."""
        return self.config.backend.choose(record.data_uuid, record.name, record.made_in, record.tags, record.typename)

    def store_for(self, record: InstanceRecord, repo: Repo) -> Store:
        """The store of an instance; the choice is made anew at each start."""
        alias = self.alias_for(record, repo)
        if alias != record.store:
            self.warnings.append(
                f"instance {record.name} of repo {repo.root} was in store {record.store!r} and is now looked for in "
                f"{alias!r}; moving data is up to you"
            )
        return self.stores[alias]

    @functools.cached_property
    def spool_dir(self) -> Path | None:
        """Where bodies wait that are only known to be good at their end, as unnamed files; None: the system's place.

        It is beside the data, because the system's place for temporary files is often kept in memory.
        """
        place = Path(self.meta.place)
        if self.meta.place == "memory" or not place.is_dir():
            return None
        spool = place / "spool"
        spool.mkdir(exist_ok=True)
        return spool

    # -- state that requests change

    def reload_blocklist(self) -> bool:
        """Read the block list again; False when none is configured.  Raises `ConfigError`, keeping the old one."""
        path = self.config.server.block_list_file
        if path is None:
            return False
        self.blocklist = load_blocklist(path)
        return True

    def is_admin(self, token: str) -> bool:
        """Whether this is the admin's token; without one configured nothing is."""
        return bool(self.admin_token) and secrets.compare_digest(token.encode(), self.admin_token.encode())

    @property
    def host(self) -> str:
        """The name shown to clients."""
        return self.config.server.host or socket.gethostname()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        return parse_address(self.config.server.http_address)

    async def aclose(self) -> None:
        """End background work and close the stores; a second call does nothing."""
        if self._sampling is not None:
            self._sampling.cancel()
        await self.sweeper.stop()
        await self.bus.close()
        await self.repos.close()
        for repo in self.repos.by_id.values():
            for instance in repo.instances.values():
                if instance.opened:
                    try:
                        await instance.close()
                    except Exception:
                        log.exception("closing instance %s", instance.name)
        for sink in self.sinks.values():
            await sink.aclose()
        self.kernels.close()
        for store in self.stores.values():
            await store.aclose()
