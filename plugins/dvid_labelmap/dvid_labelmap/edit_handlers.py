"""The endpoints that edit bodies."""

from __future__ import annotations

from typing import Annotated

import msgspec

from dvid_core import EMPTY, About, BadRequest, Reply, Request, Uint64, View, post
from dvid_voxels.segmentation.asking import check_body, check_indexed, read_labels

from .edits.body_split import split_body
from .edits.cleave import cleave
from .edits.merge import merge
from .edits.renumber import renumber
from .edits.split import split_supervoxel
from .edits.undo import undo

RUNS = 256 << 20
"""Bytes of a posted sparse volume: some 16 million runs."""


class SplitQuery(msgspec.Struct, frozen=True):
    """Options of split-supervoxel."""

    split: Annotated[Uint64 | None, About("the name of the part that is given; else a new label")] = None
    remain: Annotated[Uint64 | None, About("the name of the rest; else a new label")] = None
    downres: Annotated[str, About("`false`: lower scales stay as they were")] = ""


async def post_merge(view: View, request: Request) -> Reply:
    """Merge bodies into the first one: the body is a JSON list [<target>, <merged>, ...]. Replies {"MutationID": 5}.

    All supervoxels of the merged bodies belong to <target> from then on, and the merged bodies are gone. All of them
    are bodies of this version: an id that is only a supervoxel of another body is refused.

        POST /api/node/3f8c/segmentation/merge     with the body  [23, 24, 25]
    """
    check_indexed(view)
    named = (await read_labels(view, request)).tolist()
    if len(named) < 2:
        raise BadRequest("at least two bodies are needed: [<target>, <merged>, ...]")
    return Reply.json({"MutationID": await merge(view, named[0], named[1:])})


async def post_cleave(view: View, request: Request, label: Uint64) -> Reply:
    """Move supervoxels of body <label> to a new body: replies {"CleavedLabel": 31, "MutationID": 6}.

    The body is a JSON list of supervoxels of <label>, some but not all of them. The new body is called by the next new
    label.

        POST /api/node/3f8c/segmentation/cleave/23     with the body  [24]
    """
    check_indexed(view)
    check_body(label)
    cleaved, mutation = await cleave(view, label, await read_labels(view, request))
    return Reply.json({"CleavedLabel": cleaved, "MutationID": mutation})


async def post_renumber(view: View, request: Request) -> Reply:
    """Rename bodies: the body is a JSON list [<new>, <old>, <new>, <old>, ...].

    The pairs are taken in order, so a later one may use a name that an earlier one left; all of them are done or none.
    A new name may be that of a supervoxel of another body, but not that of a body.

        POST /api/node/3f8c/segmentation/renumber     with the body  [500, 23]
    """
    check_indexed(view)
    named = (await read_labels(view, request)).tolist()
    if len(named) % 2:
        raise BadRequest(f"pairs [<new>, <old>, ...] are needed, not {len(named)} labels")
    if named:
        await renumber(view, list(zip(named[::2], named[1::2])))
    return EMPTY


async def post_split_supervoxel(view: View, request: Request, supervoxel: Uint64, query: SplitQuery) -> Reply:
    """Cut supervoxel <supervoxel> in two: replies {"SplitSupervoxel": 32, "RemainSupervoxel": 33, "MutationID": 7}.

    The body is a sparse volume of some of its voxels, not all: byte 0 is 0, bytes 1 to 7 are ignored, uint32 n, then n
    runs of int32 x, y, z, length, little-endian. These voxels become SplitSupervoxel, the others RemainSupervoxel; both
    belong to the body that the supervoxel belonged to, and its own id is never used again.

        POST /api/node/3f8c/segmentation/split-supervoxel/24
        POST /api/node/3f8c/segmentation/split-supervoxel/24?split=5000&remain=5001
    """
    check_indexed(view)
    check_body(supervoxel)
    chosen = query.split, query.remain
    posted = await request.read(RUNS)
    halves = await split_supervoxel(view, supervoxel, posted, chosen, query.downres != "false")
    return Reply.json({
        "SplitSupervoxel": halves.split, "RemainSupervoxel": halves.remain, "MutationID": halves.mutation,
    })  # fmt: skip


async def post_split(view: View, request: Request, label: Uint64) -> Reply:
    """Cut voxels off body <label>, which make up a new body: replies {"label": 34, "MutationID": 8}.

    The body is a sparse volume as for split-supervoxel. Every supervoxel that has some of these voxels is cut in two.
    Only on servers whose configuration says allowLabelmapSplit = true.

        POST /api/node/3f8c/segmentation/split/23
    """
    if not view.instance.server.config.server.allow_labelmap_split:
        raise BadRequest("split is not allowed on this server (allowLabelmapSplit); use split-supervoxel and cleave")
    check_indexed(view)
    check_body(label)
    new, mutation = await split_body(view, label, await request.read(RUNS))
    return Reply.json({"label": new, "MutationID": mutation})


async def post_undo(view: View, label: Uint64) -> Reply:
    """Undo the last edit of body <label>: replies {"MutationID": 9, "Undone": 6, "Action": "cleave"}.

    The last edit of a body is the last merge, cleave, renumber or split, at this version or an ancestor, that changed
    it, made it or ended it, and that was not undone before; so called again it undoes the one before that. Undoing is
    an edit of its own that does the contrary: of a merge it cleaves, of a cleave it merges, with the names of before; a
    renumbering of several bodies is undone as a whole. An edit is refused when bodies or voxels that it changed were
    changed again: undo the later edits first.

        POST /api/node/3f8c/segmentation/undo/23
    """
    check_indexed(view)
    undone = await undo(view, check_body(label))
    return Reply.json({"MutationID": undone.mutation, "Undone": undone.undoes, "Action": undone.kind})


ROUTES = (
    post("merge", post_merge),
    post("cleave/{label}", post_cleave),
    post("renumber", post_renumber),
    post("split-supervoxel/{supervoxel}", post_split_supervoxel, query=SplitQuery),
    post("split/{label}", post_split),
    post("undo/{label}", post_undo),
)
