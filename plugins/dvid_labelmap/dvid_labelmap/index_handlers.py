"""The endpoints of label indices."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import cramjam
import msgspec

from dvid_core import EMPTY, OCTETS, About, BadRequest, LazyInt, Reply, Request, Uint64, View, get, post
from dvid_voxels.segmentation.asking import Yes, check_body, read_labels
from dvid_voxels.segmentation.body import NO_ROWS, Body, Rows
from dvid_voxels.segmentation.index import rows_of
from dvid_voxels.segmentation.keys import BODY
from dvid_voxels.segmentation.merging import FirstParent, first_parent

from .asking import ABSENT
from .indices import put_indices, whole_indices
from .messages import read_index, read_indices, write_indices, write_list, write_stored
from .past import PastQuery, body_of
from .snapshot import pieces

ASKED = 50_000
"""Indices that one request may ask for."""

AT_ONCE = 64
"""Indices that are read and sent at a time."""

SMALL_AT_ONCE = 1024
"""Those that are one value of some kilobytes."""

MESSAGE = 256 << 20
"""Bytes of posted indices."""


class IndexQuery(PastQuery, frozen=True):
    """Options of GET index."""

    metadata_only: Annotated[Yes, About("`true`: JSON with the voxels and the last change only")] = msgspec.field(
        name="metadata-only", default=False
    )


async def get_index(view: View, label: Uint64, query: IndexQuery) -> Reply:
    """The index of a body as a protobuf message; 404 when there is none.

        message SVCount    { map<uint64, uint32> counts = 1; uint64 surface_mutid = 2; }
        message LabelIndex { map<uint64, SVCount> blocks = 1; uint64 label = 2; uint64 last_mutid = 3;
                             string last_mod_time = 4; string last_mod_user = 5; string last_mod_app = 6; }

    The key of a block is z << 42 | y << 21 | x; each has 21 bits, a sign and a magnitude.

    With mutid=<id> it is the index just before the last edit up to that mutation id that touched a body of this name,
    at this version or an ancestor; 404 when there was no such edit, or no such body before it. The edits are those that
    lineage shows; nothing has to be configured for it. Where voxels were written over since, it is refused.

        GET /api/node/3f8c/segmentation/index/23
        GET /api/node/3f8c/segmentation/index/23?metadata-only=true
        GET /api/node/3f8c/segmentation/index/23?mutid=1000000123
    """
    check_body(label)
    if query.mutid is not None:
        rows, body = await _past_index(view, label, query.mutid)
    else:
        [(_, rows, body)] = await whole_indices(view, [label], view)
    if body is None:
        return ABSENT
    touch = body.touch
    if query.metadata_only:
        return Reply.json({
            "num_voxels": body.voxels, "last_mutid": touch.mutation_id, "last_mod_time": touch.time,
            "last_mod_user": touch.user, "last_mod_app": touch.app,
        })  # fmt: skip
    [message] = await view.run(write_indices, [(label, rows, body)])
    return Reply(content_type=OCTETS, stream=pieces(message), length=len(message)) if message else Reply(b"", OCTETS)


async def _past_index(view: View, label: int, mutid: LazyInt) -> tuple[Rows, Body | None]:
    body = await body_of(view, label, mutid)
    try:
        return (NO_ROWS, None) if body is None else (await rows_of(view, body), body)
    except LookupError:
        raise BadRequest("mutid: voxels of the body were written over since, so its blocks are not known") from None


async def _asked(view: View, request: Request) -> list[int]:
    labels: list[int] = (await read_labels(view, request)).tolist()
    if len(labels) > ASKED:
        raise BadRequest(f"{len(labels)} indices are asked for; one request can ask for {ASKED}")
    return labels


async def get_indices(view: View, request: Request) -> Reply:
    """The indices of many bodies, in their order; one that is not there has its label only.

    The body is a JSON list of at most 50,000 bodies.

        message LabelIndices { repeated LabelIndex indices = 1; }       // see index

        GET /api/node/3f8c/segmentation/indices     with the body  [23, 24]
    """
    return Reply(content_type=OCTETS, stream=_indices(view, await _asked(view, request)))


async def get_indices_compressed(view: View, request: Request) -> Reply:
    """The indices of many bodies, each compressed; the body is a JSON list of at most 50,000 bodies.

    Each is uint64 n, uint64 label, n bytes; these are a byte 0x80, uint32 size and an LZ4 block of a LabelIndex. Where
    there is no index n is 0.

        GET /api/node/3f8c/segmentation/indices-compressed     with the body  [23, 24]
    """
    return Reply(content_type=OCTETS, stream=_compressed(view, await _asked(view, request)))


async def _indices(view: View, labels: list[int]) -> AsyncIterator[bytes]:
    reader = first_parent(view, BODY.number)
    for at in range(0, len(labels), SMALL_AT_ONCE):
        some = labels[at : at + SMALL_AT_ONCE]
        values = await reader.find_many([BODY.key(label) for label in some])
        stored = [b"" if value is None else value.memory for value in values]
        pieces, lacking = await view.run(write_stored, some, stored)
        yield pieces[0]
        for first in range(0, len(lacking), AT_ONCE):
            found = await whole_indices(view, [some[n] for n in lacking[first : first + AT_ONCE]], reader)
            messages = await view.run(write_indices, found)
            for message, piece in zip(messages, pieces[first + 1 :]):
                yield write_list([message])
                yield piece


async def _compressed(view: View, labels: list[int]) -> AsyncIterator[bytes]:
    reader = first_parent(view, BODY.number)
    for at in range(0, len(labels), AT_ONCE):
        found = await whole_indices(view, labels[at : at + AT_ONCE], reader)
        yield await view.run(_packed, found)


def _packed(found: list[tuple[int, Rows, Body | None]]) -> bytes:
    out = []
    for (label, _, body), message in zip(found, write_indices(found)):
        payload = b""
        if body is not None:
            block = bytes(cramjam.lz4.compress_block(message, store_size=False))
            payload = b"\x80" + len(message).to_bytes(4, "little") + block
        out += [len(payload).to_bytes(8, "little"), label.to_bytes(8, "little"), payload]
    return b"".join(out)


async def post_index(view: View, request: Request, label: Uint64) -> Reply:
    """Replace the index of a body; the message (see GET index) must name the same label. Without blocks it is deleted.

        POST /api/node/3f8c/segmentation/index/23
    """  # fmt: skip
    check_body(label)
    data = await request.read(MESSAGE)
    named, body = await view.run(read_index, data)
    if named != label:
        raise BadRequest(f"the index in the body is of label {named}, not of {label}")
    await put_indices(view, {label: body})
    return EMPTY


async def post_indices(view: View, request: Request) -> Reply:
    """Replace the indices of many bodies, all or none; those without blocks are deleted.

    The body is a LabelIndices message, see GET indices.

        POST /api/node/3f8c/segmentation/indices
    """
    data = await request.read(MESSAGE)
    bodies = await view.run(read_indices, data)
    if 0 in bodies:
        raise BadRequest("label: 0 is the background, not a body")
    if bodies:
        await put_indices(view, bodies)
    return EMPTY


async def get_index_version(view: View, label: Uint64) -> Reply:
    """The full UUID of the nearest version in which the index of a body was stored; 404 when there is none."""
    if await view.raw(BODY.key(check_body(label))) is None:
        return ABSENT
    if not view.instance.versioned:
        return Reply.text(view.instance.repo.dag.root.uuid)
    [origin] = await FirstParent(view).origins([label])
    return Reply.text(origin.uuid)


ROUTES = (
    get("index/{label}", get_index, query=IndexQuery),
    post("index/{label}", post_index),
    get("indices", get_indices),
    post("indices", post_indices),
    get("indices-compressed", get_indices_compressed),
    get("index-version/{label}", get_index_version),
)
