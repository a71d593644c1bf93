"""Lower scales: what an ingest still has to compute, kept in the store until it is done.

The commit of the voxels holds a mark (`keys.DIRTY`) with the parents that it touched and which of their octants.  Each
scale is one commit that writes the parents and moves the mark to the next scale; a server that was killed goes on from
the marks.  An octant is computed from the child as it is then, so that of concurrent ingests the last one is right.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterable, Sequence
from itertools import chain

import msgspec

from dvid_core import Mutation, View

from .. import labels
from ..geometry import Triple
from .keys import BLOCK, DIRTY
from .merging import first_parent
from .volume import Unpacker, packed

Parent = tuple[Triple, int]
"""Block coordinates z, y, x of the coarser scale, and its touched octants: bit 4 (z & 1) + 2 (y & 1) + (x & 1)."""

_HEAD = struct.Struct("<B?I")
_ENTRY = struct.Struct("<3iB")

AT_ONCE = 64
"""Parents of one commit."""

SHARE = 4
"""Parents that one kernel call computes."""


class Pyramid(msgspec.Struct, frozen=True):
    """Parents at `scale` that are to be computed, and those above them after that."""

    scale: int
    parents: list[Parent]
    erased: bool = False
    """All that was written is background, by a small request that says that it replaces voxels.  Then parents become
    background as a whole, as clients know it from the reference, although the rule for octants says otherwise."""

    def pack(self) -> bytes:
        """The stored form."""
        return _HEAD.pack(self.scale, self.erased, len(self.parents)) + b"".join(
            _ENTRY.pack(*at, m) for at, m in self.parents
        )


def read_pyramid(data: bytes) -> Pyramid:
    """From the stored form."""
    scale, erased, count = _HEAD.unpack_from(data)
    parents = [((z, y, x), mask) for z, y, x, mask in _ENTRY.iter_unpack(data[_HEAD.size :])]
    assert len(parents) == count
    return Pyramid(scale, parents, erased)


def touched_parents(blocks: Iterable[Triple]) -> list[Parent]:
    """The parents of blocks, in order, and which of their octants these are."""
    found: dict[Triple, int] = {}
    for z, y, x in blocks:
        parent = (z >> 1, y >> 1, x >> 1)
        found[parent] = found.get(parent, 0) | 1 << (4 * (z & 1) + 2 * (y & 1) + (x & 1))
    return sorted(found.items())


async def compute(view: View, number: int, work: Pyramid, levels: int, unpack: Unpacker) -> None:
    """Do all that a mark says, up to scale `levels`, and remove it."""
    scale, parents = work.scale, work.parents
    while scale <= levels and parents:
        above = touched_parents(at for at, _ in parents) if scale < levels else []
        for at in range(0, len(parents), AT_ONCE):
            rest = parents[at + AT_ONCE :]
            # A mark for what is left of this scale would lose the scales above it, so it stays until all is done.
            mark = None if rest else Pyramid(scale + 1, above, work.erased)
            some = Pyramid(scale, parents[at : at + AT_ONCE], work.erased)
            await _compute_some(view, number, some, mark, unpack)
        scale, parents = scale + 1, above


async def _compute_some(view: View, number: int, work: Pyramid, mark: Pyramid | None, unpack: Unpacker) -> None:
    scale, parents = work.scale, work.parents
    keys = [BLOCK.key(scale, at) for at, _ in parents]
    wanted = [
        BLOCK.key(scale - 1, (2 * z + (n >> 2), 2 * y + (n >> 1 & 1), 2 * x + (n & 1)))
        for (z, y, x), mask in parents
        for n in range(8)
        if mask >> n & 1
    ]

    async def change(m: Mutation) -> None:
        reader = first_parent(view, BLOCK.number)
        children = iter(await reader.get_many(wanted))
        old = [None] * len(keys) if work.erased else await reader.get_many(keys)
        jobs = [
            ([next(children) if mask >> n & 1 else None for n in range(8)], mask, before)
            for (_, mask), before in zip(parents, old)
        ]
        shares = [jobs[at : at + SHARE] for at in range(0, len(jobs), SHARE)]
        made = await asyncio.gather(*(view.run(_computed, share, unpack) for share in shares))
        for key, value in zip(keys, chain.from_iterable(made)):
            m.put(key, value)
        if mark is not None:
            if mark.parents:
                m.put(DIRTY.key(number), mark.pack())
            else:
                m.delete(DIRTY.key(number))

    await view.edit("downres", change, locks=[(view.version, 0, scale, *at) for at, _ in parents], durable=False)


Job = tuple[Sequence[bytes | None], int, bytes | None]


def _computed(jobs: Sequence[Job], unpack: Unpacker) -> list[bytes]:
    """A kernel: parents from their touched children and from what they were."""
    blank = labels.zero(unpack.size)
    out = []
    for children, mask, before in jobs:
        parts = [
            None if not mask >> n & 1 else blank if child is None else unpack(child) for n, child in enumerate(children)
        ]
        old = None if before is None or mask == 255 else unpack(before)
        out.append(packed(labels.downres(parts, unpack.size, old)))
    return out
