"""The endpoints that drop parts of bodies and make them anew from the voxels of the labelblk."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dvid_core import EMPTY, BadRequest, Mutation, Reply, Request, Uint64, Vec3, View, delete, post
from dvid_voxels import labels
from dvid_voxels.geometry import Box, Triple
from dvid_voxels.label_events import LabelBlocks, VoxelsWritten
from dvid_voxels.paths import box_of, check_aligned
from dvid_voxels.segmentation.asking import check_body
from dvid_voxels.segmentation.packing import Keys, unpack_blocks
from dvid_voxels.segmentation.relabel_handlers import named_blocks
from dvid_voxels.segmentation.relabeling import Relabel, relabel, stage_blocks
from dvid_voxels.segmentation.sparse import triples
from dvid_voxels.segmentation.volume import BATCH, Unpacker, batches

from .sparse_handlers import instance_of, labelblk_of

RESYNC_BYTES = 1 << 20

RESYNCED = 8192
"""Blocks of one resync."""


async def delete_area(view: View, label: Uint64, size: Vec3, offset: Vec3) -> Reply:
    """Drop the voxels of a label in a box, here alone: the voxels of the labelblk stay.

    <size> and <offset> are multiples of the block size. Those that follow do not hear of it.

        DELETE /api/node/3f8c/bodies/area/23/64_64_64/0_0_128
    """
    check_body(label)
    block = instance_of(view).settings.block
    box = box_of(size, offset)
    check_aligned(box, block)

    def choose(found: Keys) -> Keys:
        return _inside(found, box.blocks(block))

    await relabel(view, Relabel("area", (label,), 0, choose, told=False))
    return EMPTY


def _inside(found: Keys, blocks: Box) -> Keys:
    points = unpack_blocks(found)
    return found[((points >= blocks.low) & (points < blocks.high)).all(axis=1)]


async def post_resync(view: View, request: Request, label: Uint64) -> Reply:
    """Make a label anew in some blocks, from the voxels of the labelblk that is followed.

    The body is a sparse volume in block coordinates, as GET sparsevol-coarse sends it, of at most 8192 blocks.

        POST /api/node/3f8c/bodies/resync/23
    """
    check_body(label)
    instance = instance_of(view)
    source = labelblk_of(instance)
    names = triples(await view.run(named_blocks, await request.read(RESYNC_BYTES), RESYNCED))
    peer = await view.peer(source.name, LabelBlocks)
    if peer.block != instance.settings.block:
        raise BadRequest(f"{source.name} has blocks of another size than {instance.name}")
    await instance.caught_up(view)

    async def change(m: Mutation) -> None:
        for some in batches(names, BATCH):
            theirs = dict(await peer.named(some))
            own = dict(await instance.volume(view).blocks.values(some))
            made = await view.run(_remade, some, theirs, own, label, instance.unpack)
            await stage_blocks(m, made)
        raised = instance.raises(view.version, label)
        m.record(events=[VoxelsWritten(tuple(names))], payload={"max": label} if raised else None)

    await view.edit("resync", change, locks=instance.relabel_rules.locks)
    return EMPTY


def _remade(
    names: Sequence[Triple], theirs: dict[Triple, bytes], own: dict[Triple, bytes], label: int, unpack: Unpacker
) -> list[tuple[Triple, bytes]]:
    """A kernel: own blocks whose voxels of a label are those of others."""
    nothing = labels.zero(unpack.size)
    out = []
    for at in names:
        if at not in theirs and at not in own:
            continue
        wanted = labels.decode(theirs.get(at, nothing), unpack.size) == np.uint64(label)
        voxels = labels.decode(unpack(own.get(at, nothing)), unpack.size)
        voxels[voxels == np.uint64(label)] = 0
        voxels[wanted] = label
        out.append((at, labels.encode(voxels)))
    return out


ROUTES = (
    delete("area/{label}/{size}/{offset}", delete_area),
    post("resync/{label}", post_resync),
)
