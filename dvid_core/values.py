"""Stored values: one codec byte and the payload; an empty value is a tombstone.

Above `INLINE` bytes the key holds a manifest (size, id), and the payload lies in chunks of `CHUNK` bytes under
`0x04 | instance | id | n`.  Chunks are written before the commit that names them, marked as staged until then, and
marked for the sweeper by the commit that replaces them: a crash leaves garbage that is found again, never a
manifest without its chunks.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from .keys import chunk_key
from .storage.base import Store

INLINE = 64 << 10
CHUNK = 1 << 20
TOMBSTONE = b""
PLAIN, MANIFEST = 0, 1
"""Codec bytes: the payload follows; its size and id do."""
_READ_AHEAD = 4


class Staged(msgspec.Struct, frozen=True):
    """A large value whose chunks are written, but that no key names yet."""

    id: int
    size: int


def encode(value: bytes | Staged) -> bytes:
    """The stored form of a small or staged value."""
    if isinstance(value, Staged):
        return bytes((MANIFEST,)) + value.id.to_bytes(8, "big") + value.size.to_bytes(8, "big")
    return b"\x00" + value


def manifest_id(raw: bytes | None) -> int | None:
    """The id of the chunks when `raw` is a manifest, else None."""
    return int.from_bytes(raw[1:9], "big") if raw and raw[0] == MANIFEST else None


class Value:
    """A value as it was found: its size is known, its bytes are read when asked for."""

    __slots__ = ("_id", "_instance", "_raw", "_store", "size")

    def __init__(self, raw: bytes, store: Store, instance: int) -> None:
        self._raw, self._store, self._instance = raw, store, instance
        if raw[0] == PLAIN:
            self._id: int | None = None
            self.size = len(raw) - 1
        elif raw[0] == MANIFEST:
            self._id, self.size = int.from_bytes(raw[1:9], "big"), int.from_bytes(raw[9:17], "big")
        else:
            raise ValueError(f"stored value with unknown codec {raw[0]}")

    @property
    def inline(self) -> bytes | None:
        """The payload when it is at hand without a further read."""
        return self._raw[1:] if self._id is None else None

    @property
    def memory(self) -> memoryview | None:
        """The same as `inline` without a copy."""
        return memoryview(self._raw)[1:] if self._id is None else None

    async def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """The bytes start <= i < stop; 0 <= start <= stop <= size."""
        if self._id is None:
            return self._raw[1 + start : None if stop is None else 1 + stop]
        return b"".join([c async for c in self.chunks(start, stop)])

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """The same bytes in pieces of at most 1 MiB; only a few of them are in memory at a time."""
        stop = self.size if stop is None else stop
        if self._id is None:
            if stop > start:
                yield self._raw[1 + start : 1 + stop]
            return
        at = start
        while at < stop:
            first = at // CHUNK
            last = min((stop - 1) // CHUNK, first + _READ_AHEAD - 1)
            wanted = [chunk_key(self._instance, self._id, n) for n in range(first, last + 1)]
            for n, chunk in enumerate(await self._store.get_many(wanted), first):
                if chunk is None:
                    raise ValueError("a chunk of a large value is gone: it was replaced while it was read")
                low, high = at - n * CHUNK, min(stop - n * CHUNK, CHUNK)
                yield chunk[low:high] if low or high < len(chunk) else chunk
                at = n * CHUNK + high
