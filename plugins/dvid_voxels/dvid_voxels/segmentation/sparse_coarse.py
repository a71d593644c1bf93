"""Coarse sparse volumes: the blocks of bodies, as runs along x."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Sequence

import numpy as np
from numpy.typing import NDArray

from dvid_core import Disputed, View

from ..geometry import Triple
from .body import Body, Rows, read_body
from .keys import BODY
from .packing import REACH, Keys
from .sparse import blocks_of, distinct, find_place

FIELD = np.uint64((1 << 21) - 1)

HEAD = struct.Struct("<Qi")

Limits = tuple[Triple, Triple]


def block_runs(blocks: Keys) -> NDArray[np.int32]:
    """Packed blocks, ascending, as runs: (n, 4) of x, y, z, length."""
    if not len(blocks):
        return np.empty((0, 4), np.int32)
    # Numbers of blocks that follow one another along x do so too.
    ends = np.flatnonzero(blocks[1:] - blocks[:-1] != 1) + 1
    first = np.empty(len(ends) + 1, np.intp)
    first[0], first[1:] = 0, ends
    out = np.empty((len(first), 4), np.int32)
    begun = blocks[first]
    for column, shift in enumerate((0, 21, 42)):
        out[:, column] = (begun >> np.uint64(shift) & FIELD).view(np.int64) - REACH
    out[:-1, 3], out[-1, 3] = ends, len(blocks)
    out[:, 3] -= first
    return out


async def coarse_of_all(view: View, first: int, last: int, limits: Limits | None) -> AsyncIterator[bytes]:
    """For each body from `first` to `last`, ascending: u64 label, int32 n, n runs, LE."""
    end = BODY.key(last + 1) if last + 1 < 1 << 64 else BODY.all()[1]
    async for page in view.scan(BODY.key(first), end):
        stored: list[tuple[int, bytes]] = []
        for tkey, found in page:
            if isinstance(found, Disputed):
                raise view.conflict(tkey, found.versions)
            stored.append((BODY.unpack(tkey)[0], found.inline if found.inline is not None else await found.read()))
        parts, large = await view.run(_page, stored, limits)
        for n, body in large:
            parts[n] = await _large(view, stored[n][0], body, limits)
        yield b"".join(parts)


def _page(stored: Sequence[tuple[int, bytes]], limits: Limits | None) -> tuple[list[bytes], list[tuple[int, Body]]]:
    """A kernel: what is sent for small bodies, and those that have segments, by their places."""
    parts, large = [], []
    for n, (label, data) in enumerate(stored):
        body = read_body(data)
        if body.segments is not None:
            large.append((n, body))
        parts.append(_frame(label, distinct(body.rows.blocks, limits)) if isinstance(body.rows, Rows) else b"")
    return parts, large


async def _large(view: View, label: int, body: Body, limits: Limits | None) -> bytes:
    assert body.segments is not None
    try:
        blocks = await blocks_of(view, body.segments, limits)
    except LookupError:
        # An edit replaced segments since the body was read.
        place = await find_place(view, label, supervoxel=False, limits=limits)
        if place is None:
            return b""
        blocks = place.blocks
    return await view.run(_frame, label, blocks)


def _frame(label: int, blocks: Keys) -> bytes:
    runs = block_runs(blocks)
    return HEAD.pack(label, len(runs)) + runs.tobytes()
