"""Coarse sparse volumes: the blocks of bodies, as runs along x."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Sequence

import numpy as np
from numpy.typing import NDArray

from dvid_core import Disputed, View

from ..geometry import Triple
from .body import Body, read_body
from .compiled import kernels
from .keys import BODY
from .merging import FirstParent, origin
from .packing import REACH, Keys
from .sparse import blocks_of, find_place

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
        labels, heads = [], []
        for tkey, seen in page:
            # Of what parents of a merge disagree about, lists have what the first of them has.
            found = (await FirstParent(view).find_many([tkey]))[0] if isinstance(seen, Disputed) else seen
            if found is None:
                continue
            labels.append(int.from_bytes(tkey[1:], "big"))
            heads.append(found.inline if found.inline is not None else await found.read())
        frames, ends = await view.run(_frames, labels, heads, limits)
        done = 0
        for n in np.flatnonzero(ends < 0).tolist():
            upto = int(ends[:n].max(initial=0))
            yield frames[done:upto] + await _large(view, labels[n], read_body(heads[n]), limits)
            done = upto
        yield frames[done:]


def _frames(labels: Sequence[int], heads: Sequence[bytes], limits: Limits | None) -> tuple[bytes, NDArray[np.int64]]:
    """A kernel: the frames of small bodies, and where each ends, or a negative number."""
    low, high = ((-REACH,) * 3, (REACH,) * 3) if limits is None else limits
    starts = np.zeros(len(heads) + 1, np.int64)
    np.cumsum([len(head) for head in heads], out=starts[1:])
    # Kernels load words of 8 bytes, up to so many behind the end.
    data = np.frombuffer(b"".join([*heads, bytes(8)]), np.uint8)
    frames, ends = kernels().coarse_frames(
        data, starts, np.array(labels, np.uint64), np.array(low, np.int64) + REACH, np.array(high, np.int64) + REACH
    )
    return frames.tobytes(), ends


async def _large(view: View, label: int, body: Body, limits: Limits | None) -> bytes:
    assert body.segments is not None
    try:
        blocks = await blocks_of(await origin(view, label), body.segments, limits)
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
