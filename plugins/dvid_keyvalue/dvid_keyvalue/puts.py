"""Edits of keyvalue: puts of one pair and of many, and deletions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import Self

from dvid_core import BadRequest, Mutation, Staged, View

from .keys import KEY, check_key

SMALL = 64 << 10
"""Bytes of the longest value that is written with its key; longer ones are staged as they come."""

HELD = 48 << 20
"""Bytes of small values that one edit writes."""

LOGGED = 12 << 20
"""Bytes of what one edit says in the mutation log, which is one record."""

SLICE = 1000
"""Pairs that are prepared before others are served."""


async def put_one(view: View, key: str, value: bytes | Staged) -> None:
    """Set the value of a key."""

    async def change(m: Mutation) -> None:
        m.put(KEY.key(key), value)
        m.record({"Action": "postkv", "Key": key, "Bytes": _size(value)})

    try:
        await view.edit("postkv", change)
    except BaseException:
        await discard(view, [value])
        raise


async def delete_one(view: View, key: str) -> None:
    """Remove a key."""

    async def change(m: Mutation) -> None:
        m.delete(KEY.key(key))
        m.record({"Action": "delete", "Key": key})

    await view.edit("delete", change)


class Puts:
    """Pairs that are collected and then put together, all or none.

    As a context it drops what was staged and not put.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._values: dict[str, bytes | Staged] = {}
        self._sizes: list[tuple[str, int]] = []
        self._held = self._logged = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            await discard(self._view, self._values.values())

    async def add(self, key: str, value: bytes | AsyncIterator[bytes]) -> None:
        """Take a pair; it replaces an earlier one of the same key.  Raises `BadRequest` when it cannot be put."""
        try:
            check_key(key)
        except ValueError as err:
            raise BadRequest(f"key {key[:80]!r}: {err}") from None
        taken: bytes | Staged
        if isinstance(value, bytes) and len(value) <= SMALL:
            taken = value
            self._held += len(value)
        else:
            taken = await self._view.stage(_pieces(value) if isinstance(value, bytes) else value)
        self._logged += 3 * len(key) + 40
        if isinstance(before := self._values.get(key), Staged):
            await discard(self._view, [before])
        self._values[key] = taken
        self._sizes.append((key, _size(taken)))
        if self._held > HELD:
            raise BadRequest(f"the values of up to {SMALL} bytes have more than {HELD} together; send fewer at once")
        if self._logged > LOGGED:
            raise BadRequest(f"{len(self._sizes)} pairs or more are too many at once; send them in several requests")

    async def commit(self) -> None:
        """Put them all; nothing is done when there are none."""
        if self._values:
            await self._view.edit("postkv", self._change)

    async def _change(self, m: Mutation) -> None:
        for n, (key, value) in enumerate(self._values.items(), 1):
            m.put(KEY.key(key), value)
            if n % SLICE == 0:
                await asyncio.sleep(0)
        for n, (key, size) in enumerate(self._sizes, 1):
            m.record({"Action": "postkv", "Key": key, "Bytes": size})
            if n % SLICE == 0:
                await asyncio.sleep(0)


async def discard(view: View, values: Iterable[bytes | Staged]) -> None:
    """Drop the chunks of staged values that no edit took.

    An edit that is cancelled while the disk is written has happened, and what it took must stay.
    """
    for value in values:
        if isinstance(value, Staged) and value.id in view.instance.live_stages:
            await view.discard(value)


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(data), 1 << 20):
        yield data[at : at + (1 << 20)]
        await asyncio.sleep(0)


def _size(value: bytes | Staged) -> int:
    return value.size if isinstance(value, Staged) else len(value)
