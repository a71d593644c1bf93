"""Blocks in which supervoxels are cut in two, or put together again.  Functions without `async` are kernels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from dvid_core import BadRequest
from dvid_voxels import labels
from dvid_voxels.geometry import Triple
from dvid_voxels.segmentation.body import Labels, Rows
from dvid_voxels.segmentation.keys import BLOCK
from dvid_voxels.segmentation.packing import check_reach, pack_blocks, unpack_blocks
from dvid_voxels.segmentation.rewriting import Rewrite
from dvid_voxels.segmentation.volume import Unpacker, packed

from .draft import Again, Draft

SHARE = 16
"""Blocks that one kernel call works on."""

GROUP = 256
"""Blocks that are in memory at a time."""

Pieces = NDArray[np.int32]


class Shape(msgspec.Struct, frozen=True):
    """The voxels that are to be cut off: runs by block."""

    runs: bytes
    """As they came, without their head."""
    voxels: int
    pieces: dict[Triple, Pieces]
    """By block (z, y, x), runs within it."""


def shape_of(body: bytes, size: Triple, most: int) -> Shape:
    """A posted sparse volume, which must have fewer than `most` voxels.  Raises `BadRequest`."""
    try:
        runs = labels.parse_runs(body)
        voxels = labels.count_runs(runs)
        if not voxels:
            raise BadRequest("the sparse volume has no voxels")
        if voxels >= most:
            raise BadRequest(f"the sparse volume has {voxels} voxels, not less than the {most} that are to be split")
        at, starts, pieces = labels.runs_by_block(runs, size)
    except ValueError as err:
        raise BadRequest(str(err)) from None
    bounds = starts.tolist()
    found = {(z, y, x): pieces[bounds[k] : bounds[k + 1]] for k, (z, y, x) in enumerate(at.tolist())}
    check_reach(list(found))
    return Shape(bytes(body[12 : 12 + 16 * len(runs)]), voxels, found)


def blocks_of(rows: Rows) -> list[Triple]:
    """The blocks of rows."""
    return [(z, y, x) for z, y, x in unpack_blocks(np.unique(rows.blocks)).tolist()]


Worked = tuple[bytes, dict[int, int]]
"""A block, and how many voxels of each supervoxel were cut off."""

Work = Callable[[bytes, Pieces | None, Triple], Worked]


def cut_one(supervoxel: int, split: int, remain: int) -> Work:
    """Cuts one supervoxel, which must have all voxels of the runs."""

    def work(block: bytes, pieces: Pieces | None, size: Triple) -> Worked:
        if pieces is None:
            return labels.replace(block, {supervoxel: remain}, size), {}
        made, moved = labels.split(block, supervoxel, pieces, split, remain, size)
        return made, {supervoxel: moved}

    return work


def cut_many(names: Mapping[int, tuple[int, int]]) -> Work:
    """Cuts all supervoxels that the runs meet; `names` has the parts, split and remain, of each."""

    def work(block: bytes, pieces: Pieces | None, size: Triple) -> Worked:
        if pieces is None:
            return labels.replace(block, {old: remain for old, (_, remain) in names.items()}, size), {}
        voxels = labels.decode(block, size)
        inside = mask_of(pieces, size)
        out, moved = voxels.copy(), {}
        for old in np.unique(voxels).tolist():
            if old in names:
                here = voxels == old
                split, remain = names[old]
                out[here] = remain
                here &= inside
                out[here] = split
                moved[old] = int(here.sum())
        if sum(moved.values()) != int(inside.sum()):
            raise labels.BadRuns("the runs have voxels of other bodies")
        return labels.encode(out), moved

    return work


def mend(names: Mapping[int, int]) -> Work:
    """Gives parts of supervoxels back to what they were cut from."""

    def work(block: bytes, pieces: Pieces | None, size: Triple) -> Worked:
        return labels.replace(block, names, size), {}

    return work


def mask_of(pieces: Pieces, size: Triple) -> NDArray[np.bool_]:
    """The voxels of runs within a block.  Raises `BadRuns` where they overlap."""
    depth, rows, width = size
    x, y, z, n = pieces.astype(np.int64).T
    steps = np.zeros(depth * rows * width + 1, np.int32)
    first = (z * rows + y) * width + x
    np.add.at(steps, first, 1)
    np.add.at(steps, first + n, -1)
    depths = np.cumsum(steps[:-1])
    if (depths > 1).any():
        raise labels.BadRuns("runs overlap")
    inside: NDArray[np.bool_] = (depths > 0).reshape(size)
    return inside


def met_by(blocks: Sequence[bytes | None], pieces: Sequence[Pieces], unpack: Unpacker) -> Labels:
    """The supervoxels under runs of blocks, 0 where there are none."""
    found = [np.empty(0, np.uint64)]
    for stored, some in zip(blocks, pieces):
        if stored is None:
            return np.zeros(1, np.uint64)
        voxels = labels.decode(unpack(stored), unpack.size)
        found.append(np.unique(voxels[mask_of(some, unpack.size)]))
    return np.unique(np.concatenate(found))


async def rework(draft: Draft, at: Sequence[Triple], pieces: Mapping[Triple, Pieces], work: Work) -> Rows:
    """Change blocks of scale 0; returns how many voxels were cut off, as rows of the supervoxels they were of.

    The blocks' locks must be held.  Raises `BadRequest` where the runs are not as `work` demands.
    """
    view, instance = draft.view, draft.instance
    if not draft.blocks.issuperset(at) or instance.moves.holds(view.version, at):
        raise Again(blocks=at)
    rewrite = draft.rewrite = Rewrite(draft.m)
    found: list[tuple[Triple, int, int]] = []
    for first in range(0, len(at), GROUP):
        names = list(at[first : first + GROUP])
        stored = await view.get_many([BLOCK.key(0, block) for block in names])
        shares = [slice(n, n + SHARE) for n in range(0, len(names), SHARE)]
        some = [[pieces.get(name) for name in names[s]] for s in shares]
        made = await asyncio.gather(
            *(view.run(_reworked, names[s], stored[s], p, work, instance.unpack) for s, p in zip(shares, some))
        )
        results = [(name, r) for name, r in zip(names, (r for share in made for r in share)) if r is not None]
        await rewrite.add([name for name, _ in results], [r[0] for _, r in results])
        found += [(name, label, n) for name, (_, moved) in results for label, n in moved.items() if n]
    await rewrite.put()
    draft.payload.update(rewrite.payload)
    return Rows(
        pack_blocks(np.array([name for name, _, _ in found], np.int64).reshape(-1, 3)),
        np.array([label for _, label, _ in found], np.uint64),
        np.array([n for _, _, n in found], np.uint32),
    )


def _reworked(
    names: Sequence[Triple],
    stored: Sequence[bytes | None],
    pieces: Sequence[Pieces | None],
    work: Work,
    unpack: Unpacker,
) -> list[Worked | None]:
    out: list[Worked | None] = []
    for (z, y, x), data, some in zip(names, stored, pieces):
        if data is None:
            if some is not None:
                raise BadRequest(f"block {x}, {y}, {z} has no voxels of the supervoxel")
            out.append(None)
            continue
        try:
            block, moved = work(unpack(data), some, unpack.size)
        except ValueError as err:
            raise BadRequest(f"block {x}, {y}, {z}: {err}") from None
        out.append((packed(block), moved))
    return out
