"""Requests that ask to be throttled: only so many run at a time on a server, the others are told to come again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from dvid_core import Piece, Unavailable, View


@contextmanager
def throttled(view: View, wanted: bool) -> Iterator[None]:
    """Count as a throttled operation, if `wanted`, for as long as it is entered.

    Raises `Unavailable` when as many are under way as the server allows.
    """
    if not wanted:
        yield
        return
    server = view.instance.server
    if server.throttled >= server.throttle:
        raise Unavailable(f"{server.throttled} throttled requests are under way and no more are taken; try again later")
    server.throttled += 1
    try:
        yield
    finally:
        server.throttled -= 1


async def throttled_stream(view: View, wanted: bool, stream: AsyncIterator[Piece]) -> AsyncIterator[Piece]:
    """`stream`, counted as a throttled operation from its first piece to its end."""
    with throttled(view, wanted):
        async for piece in stream:
            yield piece
            del piece  # it may be large
