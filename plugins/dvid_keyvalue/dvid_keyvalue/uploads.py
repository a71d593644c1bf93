"""The pairs of a posted KeyValues message, read as they come, so that no message is too large to be taken.

A message of entries, cut between two of them, is two messages: what is here of it is cut behind the last entry that is
whole, and parsed.  Only an entry with a long value is taken apart here, so that the value can be passed on in pieces.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from dvid_messages import parse
from dvid_messages.keyvalues import KeyValue, KeyValues

from dvid_core import BadRequest

ENTRY, KEY, VALUE = 0x0A, 0x0A, 0x12
"""Tags of `KeyValues.kvs`, `KeyValue.key` and `KeyValue.value`."""

WHOLE = 1 << 20
"""Bytes of an entry that is parsed whole; of a longer one the value is passed on in pieces."""

UNUSUAL = 64 << 20
"""Bytes of an entry that is parsed whole because it is not just a key and then a value, as everybody writes it."""

VARINT = 5
"""Bytes of the longest varint that is a length."""

Pair = tuple[str, bytes | AsyncIterator[bytes]]


async def read_pairs(chunks: AsyncIterator[bytes]) -> AsyncIterator[Pair]:
    """Key and value of each entry.  A value in pieces must be read to its end before the next pair is asked for.

    Raises `BadRequest` when what comes is no such message.
    """
    body = Incoming(chunks)
    while body.held or await body.more():
        if end := whole_entries(body.held):
            for pair in parse(KeyValues, body.cut(end)).kvs:
                yield pair.key, pair.value
        elif body.held[0] != ENTRY:
            # Nothing that this message has; the parser knows whether it is something to be passed over.
            await body.rest()
            for pair in parse(KeyValues, body.cut(len(body.held))).kvs:
                yield pair.key, pair.value
        elif (found := await long_entry(body)) is not None:
            key, size = found
            yield key, body.pieces(size)


def whole_entries(held: bytearray) -> int:
    """How many of these bytes are entries that are here whole."""
    at = 0
    while at < len(held) and held[at] == ENTRY:
        length = varint(held, at + 1)
        if length is None or sum(length) > len(held):
            break
        at = sum(length)
    return at


async def long_entry(body: Incoming) -> tuple[str, int] | None:
    """The key of the entry that begins the body, and the size of its value, which is then what comes next.

    None when the entry is to be parsed whole; it is in memory then.
    """
    while (length := varint(body.held, 1)) is None:
        await body.fill(len(body.held) + 1)
    size, start = length
    if size <= WHOLE:
        await body.fill(start + size)
        return None
    await body.fill(start + 1 + VARINT)
    key = varint(body.held, start + 1)
    if body.held[start] == KEY and key is not None and key[0] < WHOLE // 2:
        end = sum(key)
        await body.fill(end + 1 + VARINT)
        value = varint(body.held, end + 1)
        if body.held[end] == VALUE and value is not None and sum(value) == start + size:
            name: str = parse(KeyValue, bytes(body.held[start:end])).key
            body.cut(value[1])
            return name, value[0]
    if size > UNUSUAL:
        raise BadRequest(f"a pair of {size} bytes is not written as a key and then a value")
    await body.fill(start + size)
    return None


def varint(held: bytearray, at: int) -> tuple[int, int] | None:
    """The length that begins at a place, and the place behind it; None when it is not all here."""
    value = 0
    for n, byte in enumerate(held[at : at + VARINT]):
        value |= (byte & 127) << 7 * n
        if byte < 128:
            return value, at + n + 1
    if len(held) >= at + VARINT:
        raise BadRequest("the body is no protobuf KeyValues: a length has too many digits")
    return None


class Incoming:
    """A body of which `held` is here and not yet used."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self.held = bytearray()
        self._chunks = chunks

    async def more(self) -> bool:
        """Wait for the next piece; False at the end."""
        piece = await anext(self._chunks, b"")
        self.held += piece
        return bool(piece)

    async def fill(self, size: int) -> None:
        """Wait until so many bytes are here.  Raises `BadRequest` when the body ends before."""
        while len(self.held) < size:
            if not await self.more():
                raise BadRequest("the body is no protobuf KeyValues: it ends in the middle of a pair")

    async def rest(self) -> None:
        """Wait until the body is here to its end.  Raises `BadRequest` when that is much."""
        while await self.more():
            if len(self.held) > UNUSUAL:
                raise BadRequest("the body is no protobuf KeyValues")

    def cut(self, size: int) -> bytes:
        """Take the next bytes, which are here."""
        data = bytes(self.held[:size])
        del self.held[:size]
        return data

    async def pieces(self, size: int) -> AsyncIterator[bytes]:
        """Take the next bytes as they come."""
        while size:
            await self.fill(1)
            piece = self.cut(min(size, len(self.held)))
            size -= len(piece)
            yield piece
