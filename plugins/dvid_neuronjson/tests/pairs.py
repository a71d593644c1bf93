"""A datatype of key-value pairs that offers them to others, as keyvalue does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

from dvid_core import EMPTY, TEXT, Disputed, Instance, KeyClass, Mutation, Reply, Request, View, hookimpl, post

P = TypeVar("P")
PAIR = KeyClass(1, "pair", TEXT)


async def put(view: View, request: Request, key: str) -> Reply:
    """Put a value."""
    data = await request.read(1 << 20)

    async def change(m: Mutation) -> None:
        m.put(PAIR.key(key), data)

    await view.edit("put", change)
    return EMPTY


class Offered:
    """The pairs as they are seen from one version."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def pairs(self) -> AsyncIterator[list[tuple[str, bytes]]]:
        async for page in self._view.scan(*PAIR.all()):
            yield [(PAIR.unpack(t)[0], await v.read()) for t, v in page if not isinstance(v, Disputed)]


class Pairs(Instance):
    """Pairs."""

    typename = "pairs"
    keys = (PAIR,)
    routes = (post("key/{key}", put),)

    def offer(self, protocol: type[P], view: View) -> P | None:
        offered = Offered(view)
        return offered if isinstance(offered, protocol) else None


@hookimpl
def dvid_datatypes() -> Sequence[type[Instance]]:
    return [Pairs]
