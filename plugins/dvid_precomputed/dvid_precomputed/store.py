"""The engine "ngprecomputed": no keys and values, but a volume of blocks that lies elsewhere."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

from msgspec.structs import replace

from dvid_core import BadRequest, Batch, ConfigError, Page, Receipt, Store, StoreConfig, Unavailable, Want
from dvid_voxels.geometry import Triple
from dvid_voxels.grids import GridScale
from dvid_voxels.volume import Stored

from .chunks import Chunks
from .instances import make_instances
from .settings import PrecomputedConfig, below
from .volume_info import INFO_BYTES, VolumeInfo, read_info

if TYPE_CHECKING:
    from types import ModuleType

    from dvid_core.server import Server

log = logging.getLogger(__name__)

INDEX_BYTES = 32 << 20
"""Bytes of the indexes of shards that are kept in memory."""

RETRIES = {"max_retries": 6, "initial_delay": "200ms", "max_delay": "5s"}

FOR_EVER = 0
"""What was read once is never asked for again (kept since 1970): the volume does not change."""


class PrecomputedStore(Store):
    """A precomputed volume; its scales are offered as a `GridSource`."""

    engine = "ngprecomputed"
    Config = PrecomputedConfig

    def __init__(self, config: PrecomputedConfig, info: VolumeInfo, levels: Sequence[Level]) -> None:
        self.config, self.info, self.place = config, info, config.ref
        self._levels = tuple(levels)
        self.scales: tuple[GridScale, ...] = tuple(level.scale for level in levels)

    # -- the volume

    @classmethod
    async def open(cls, config: StoreConfig) -> Self:
        assert isinstance(config, PrecomputedConfig)
        place = config.place
        try:
            async with asyncio.timeout(config.timeout):
                ts = await asyncio.to_thread(importlib.import_module, "tensorstore")
                limits = {f"{kind}_request_retries": RETRIES for kind in ("http", "gcs", "s3")}
                context = ts.Context({"cache_pool": {"total_bytes_limit": INDEX_BYTES}, **limits})
                files = await ts.KvStore.open(place, context=context)
                found = await files.read("info")
                if found.state != "value":
                    raise ValueError("there is no file `info` in this place")
                if len(found.value) > INFO_BYTES:
                    raise ValueError(f"its info has {len(found.value)} bytes")
                info = read_info(found.value)
                levels = [await Level.open(config, info, n, ts, files, context) for n in range(len(info.scales))]
        except (ValueError, OSError, ImportError, TimeoutError) as err:
            why = str(err) or f"no answer within {config.timeout:g} seconds"
            raise ConfigError(f"[store.{config.alias}] the volume at {config.ref} cannot be shown: {why}") from err
        return cls(config, info, levels)

    async def blocks(self, level: int, wanted: Sequence[Triple]) -> list[Stored]:
        """See `dvid_voxels.grids.GridSource`."""
        return await self._levels[level].blocks(wanted)

    async def started(self, server: Server) -> None:
        """The server knows its repos: make the instances that the configuration asks for."""
        await make_instances(server, self.config, self.scales)

    # -- keys and values, of which there are none

    async def get(self, key: bytes) -> bytes | None:
        return None

    async def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [None] * len(keys)

    async def scan(
        self,
        start: bytes,
        stop: bytes,
        *,
        want: Want = "values",
        reverse: bool = False,
        limit: int | None = None,
    ) -> AsyncIterator[Page]:
        return
        yield

    async def commit(
        self, batch: Batch, *, durable: bool = True, written: Callable[[Receipt], None] | None = None
    ) -> Receipt:
        raise BadRequest(
            f"the store {self.config.alias!r} is a precomputed volume and takes no data: assign instances to another "
            "store by [backend], and show the volume by their setting GridStore"
        )

    async def aclose(self) -> None:
        pass


class Level:
    """One scale of a volume and where its chunks are."""

    def __init__(self, config: PrecomputedConfig, chunks: Chunks, files: Any, folder: str) -> None:
        self.scale, self._chunks, self._files = chunks.scale, chunks, files
        self._config, self._folder = config, folder
        self._zipped = config.ref.startswith(("file://", "precomputed://file://"))

    @classmethod
    async def open(
        cls, config: PrecomputedConfig, info: VolumeInfo, n: int, ts: ModuleType, files: Any, context: Any
    ) -> Level:
        """A scale whose chunks nobody can read says so in its `problem`."""
        scale, entry = info.scale(n), info.scales[n]
        chunks = Chunks(entry, scale, info.data_type, ts)
        if scale.problem:
            return cls(config, chunks, files, "")
        try:
            if entry.encoding not in ("raw", "jpeg"):
                await asyncio.to_thread(chunks.alone, (1, 1, 1))
            if entry.sharding is None:
                return cls(config, chunks, files, f"{entry.key.strip('/')}/")
            base = below(config.place, entry.key)
            spec = {"driver": "neuroglancer_uint64_sharded", "base": base, "metadata": entry.sharding}
            return cls(config, chunks, await ts.KvStore.open(spec, context=context), "")
        except (ValueError, OSError) as err:
            log.warning("scale %d of the volume at %s cannot be read: %s", n, config.ref, err)
            chunks.scale = replace(scale, problem=str(err))
            return cls(config, chunks, files, "")

    async def blocks(self, wanted: Sequence[Triple]) -> list[Stored]:
        """Those of the wanted chunks that exist, as stored blocks."""
        found = await self._fetch_all(wanted)
        there = [(at, data) for at, data in zip(wanted, found) if data is not None]
        return await asyncio.to_thread(self._stored, there) if there else []

    def _stored(self, found: list[tuple[Triple, bytes]]) -> list[Stored]:
        return [(at, self._chunks.stored(at, data)) for at, data in found]

    async def _fetch_all(self, wanted: Sequence[Triple]) -> list[bytes | None]:
        try:
            async with asyncio.timeout(self._config.timeout):
                return await asyncio.gather(*(self._fetch(self._chunks.key(at)) for at in wanted))
        except TimeoutError:
            raise Unavailable(
                f"the volume of the store {self._config.alias!r} did not answer within {self._config.timeout:g} seconds"
            ) from None
        except (ValueError, OSError) as err:
            raise Unavailable(f"the volume of the store {self._config.alias!r} cannot be read: {err}") from err

    async def _fetch(self, key: str | bytes) -> bytes | None:
        if isinstance(key, bytes):
            return await self._read(key)
        name = f"{self._folder}{key}"
        found = await self._read(name)
        # Tools that write to a file system mark compressed objects so; elsewhere it is said in a header.
        return await self._read(f"{name}.gz") if found is None and self._zipped else found

    async def _read(self, key: str | bytes) -> bytes | None:
        found = await self._files.read(key, staleness_bound=FOR_EVER)
        return found.value if found.state == "value" else None
