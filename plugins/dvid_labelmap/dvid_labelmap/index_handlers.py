"""The endpoints of label indices, and the sizes and lists that come from them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

import cramjam
import msgspec
import numpy as np

from dvid_core import (
    EMPTY,
    JSON,
    OCTETS,
    About,
    BadRequest,
    Disputed,
    LazyNumber,
    Mutation,
    Param,
    Reply,
    Request,
    Uint64,
    Unavailable,
    View,
    get,
    post,
)  # fmt: skip
from dvid_voxels.segmentation.asking import Yes, check_body, check_indexed, read_labels
from dvid_voxels.segmentation.body import NO_ROWS, Body, Rows, head_of, read_body
from dvid_voxels.segmentation.index import check_rows, read_bodies, replace_index, rows_of, sizes_of
from dvid_voxels.segmentation.keys import BODY
from dvid_voxels.segmentation.packing import unpack_blocks

from .asking import labelmap_of
from .mapping import Labels
from .messages import LabelIndex, LabelIndices, parse, read_index, write_indices, write_list
from .snapshot import pieces

ASKED = 50_000
"""Indices that one request may ask for."""

AT_ONCE = 256
"""Indices that are read and sent at a time."""

MESSAGE = 256 << 20
"""Bytes of posted indices."""

LISTED = 10_000_000
"""Labels that listlabels sends at most."""

TRIES = 4

ABSENT = Reply(b"", None, status=404)
"""There is no such body."""


class SizeQuery(msgspec.Struct, frozen=True):
    """Options of size and sizes."""

    supervoxels: Annotated[Yes, About("`true`: of supervoxels, not of bodies")] = False
    hash: Annotated[str, About("MD5 of the body in lower-case hex: refuse a body that has another")] = ""


class IndexQuery(msgspec.Struct, frozen=True):
    """Options of GET index."""

    metadata_only: Annotated[Yes, About("`true`: JSON with the voxels and the last change only")] = msgspec.field(
        name="metadata-only", default=False
    )
    mutid: Annotated[LazyNumber | None, About("the index before a mutation; none is kept, so 404")] = None


def _uint64(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,20}", text, re.ASCII) or int(text) >= 2**64:
        raise ValueError("expected a whole number from 0 to 2^64-1")
    return int(text)


class ListQuery(msgspec.Struct, frozen=True):
    """Options of listlabels."""

    start: Annotated[int, Param(_uint64), About("the first label that may come")] = 0
    number: Annotated[int, Param(_uint64), About(f"how many may come; at most {LISTED}")] = LISTED
    sizes: Annotated[Yes, About("`true`: the voxels of each body follow its label")] = False


# -- sizes


async def get_size(view: View, label: Uint64, query: SizeQuery) -> Reply:
    """The voxels of a body, or of a supervoxel: {"voxels": 1234}; 404 when there is none.

        GET /api/node/3f8c/segmentation/size/23?supervoxels=true
    """  # fmt: skip
    check_body(label)
    if query.supervoxels:
        if not int(labelmap_of(view).seen(view).bodies(np.array([label], np.uint64))[0]):
            raise BadRequest(f"supervoxel {label} was split or retired")
        [voxels] = await supervoxel_sizes(view, np.array([label], np.uint64))
    else:
        [voxels] = await sizes_of(view, [label])
    return Reply.json({"voxels": voxels}) if voxels else ABSENT


async def get_sizes(view: View, request: Request, query: SizeQuery) -> Reply:
    """The voxels of many bodies or supervoxels, in their order, 0 for those that are not there; the body is a list.

    GET /api/node/3f8c/segmentation/sizes     with the body  [23, 24]
    """
    asked = await read_labels(view, request, query.hash)
    if query.supervoxels:
        return Reply.json(await supervoxel_sizes(view, asked))
    out: list[int] = []
    names = asked.tolist()
    for at in range(0, len(names), 1 << 14):
        out += await sizes_of(view, names[at : at + (1 << 14)])
    return Reply.json(out)


async def supervoxel_sizes(view: View, supervoxels: Labels) -> list[int]:
    """The voxels of supervoxels in the indices of their bodies; 0 for those that are retired or not there."""
    bodies = await view.run(labelmap_of(view).seen(view).bodies, supervoxels)
    out = np.zeros(len(supervoxels), np.uint64)
    labels = np.unique(bodies[bodies > 0]).tolist()
    for at in range(0, len(labels), AT_ONCE):
        found = await read_bodies(view, labels[at : at + AT_ONCE])
        await view.run(_fill_sizes, out, found, supervoxels, bodies)
    return [int(n) for n in out]


def _fill_sizes(out: Labels, found: dict[int, Body], supervoxels: Labels, bodies: Labels) -> None:
    order = np.argsort(bodies, kind="stable")
    ordered = bodies[order]
    for label, body in found.items():
        names, voxels = body.sizes()
        low, high = _span(ordered, label)
        rows = order[low:high]
        places = np.minimum(np.searchsorted(names, supervoxels[rows]), max(0, len(names) - 1))
        if len(names):
            out[rows] = np.where(names[places] == supervoxels[rows], voxels[places], np.uint64(0))


def _span(ordered: Labels, label: int) -> tuple[int, int]:
    low = np.searchsorted(ordered, np.uint64(label), "left")
    return int(low), int(np.searchsorted(ordered, np.uint64(label), "right"))


async def _body(view: View, label: int) -> Body | None:
    return (await read_bodies(view, [check_body(label)])).get(label)


async def get_supervoxels(view: View, label: Uint64) -> Reply:
    """The supervoxels of a body as a JSON list; 404 when there is no such body."""
    body = await _body(view, label)
    return ABSENT if body is None else Reply.json(body.sizes()[0].tolist())


async def get_supervoxel_sizes(view: View, label: Uint64) -> Reply:
    """The supervoxels of a body and their voxels: {"supervoxels": [...], "sizes": [...]}; 404 when there is none."""
    body = await _body(view, label)
    if body is None:
        return ABSENT
    names, voxels = body.sizes()
    return Reply.json({"supervoxels": names.tolist(), "sizes": voxels.tolist()})


async def get_lastmod(view: View, label: Uint64) -> Reply:
    """Who changed a body last: {"mutation id", "last mod user", "last mod app", "last mod time"}; 404 when absent."""
    body = await _body(view, label)
    if body is None:
        return ABSENT
    touch = body.touch
    return Reply.json({
        "mutation id": touch.mutation_id, "last mod user": touch.user, "last mod app": touch.app,
        "last mod time": touch.time,
    })  # fmt: skip


async def get_sparsevol_size(view: View, label: Uint64, query: SizeQuery) -> Reply:
    """The voxels of a body, or of a supervoxel, its blocks and the box of these blocks; 404 when there is none.

    Replies {"voxels", "numblocks", "minvoxel", "maxvoxel"}, corners x, y, z, both inside.

        GET /api/node/3f8c/segmentation/sparsevol-size/23
    """
    check_body(label)
    indexed = check_indexed(view)
    name = label
    if query.supervoxels:
        name = int(indexed.seen(view).bodies(np.array([label], np.uint64))[0])
        if not name:
            raise BadRequest(f"supervoxel {label} was split or retired")
    [(_, rows, _)] = await whole_indices(view, [name])
    if query.supervoxels:
        rows = rows.take(rows.supervoxels == label)
    if not len(rows):
        return ABSENT
    blocks = np.unique(rows.blocks)
    points = unpack_blocks(blocks).astype(np.int64)
    size = np.array(indexed.settings.block)
    low, high = points.min(axis=0) * size, (points.max(axis=0) + 1) * size - 1
    return Reply.json({
        "voxels": rows.total, "numblocks": len(blocks), "minvoxel": low[::-1].tolist(), "maxvoxel": high[::-1].tolist(),
    })  # fmt: skip


# -- lists


async def get_existing_labels(view: View) -> Reply:
    """The bodies that have an index, ascending, as a JSON list."""
    return Reply(content_type=JSON, stream=_existing(view))


async def _existing(view: View) -> AsyncIterator[bytes]:
    sign = b"["
    async for page in view.scan_keys(*BODY.all()):
        yield sign + b",".join([b"%d" % int.from_bytes(tkey[1:], "big") for tkey in page])
        sign = b","
    yield b"]" if sign == b"," else b"[]"


async def get_listlabels(view: View, query: ListQuery) -> Reply:
    """The bodies that have an index, ascending, as uint64 LE, with sizes=true each followed by its voxels.

    GET /api/node/3f8c/segmentation/listlabels?start=1000&number=100&sizes=true
    """
    stream = _listed(view, query.start, min(query.number, LISTED), query.sizes)
    return Reply(content_type=OCTETS, stream=stream)


async def _listed(view: View, start: int, number: int, sizes: bool) -> AsyncIterator[bytes]:
    first, last = BODY.key(start), BODY.all()[1]
    if not number:
        return
    if not sizes:
        async for page in view.scan_keys(first, last):
            names = b"".join([tkey[1:] for tkey in page[:number]])
            yield np.frombuffer(names, ">u8").astype("<u8").tobytes()
            number -= len(page)
            if number <= 0:
                return
        return
    async for found in view.scan(first, last):
        out: list[int] = []
        for tkey, value in found[:number]:
            if isinstance(value, Disputed):
                raise view.conflict(tkey, value.versions)
            head = value.inline if value.inline is not None else await value.read(0, 64)
            out += [int.from_bytes(tkey[1:], "big"), head_of(head)[0]]
        yield np.array(out, "<u8").tobytes()
        number -= len(found)
        if number <= 0:
            return


# -- indices


async def get_index(view: View, label: Uint64, query: IndexQuery) -> Reply:
    """The index of a body as a protobuf message; 404 when there is none.

        message SVCount    { map<uint64, uint32> counts = 1; uint64 surface_mutid = 2; }
        message LabelIndex { map<uint64, SVCount> blocks = 1; uint64 label = 2; uint64 last_mutid = 3;
                             string last_mod_time = 4; string last_mod_user = 5; string last_mod_app = 6; }

    The key of a block is z << 42 | y << 21 | x; each has 21 bits, a sign and a magnitude.

        GET /api/node/3f8c/segmentation/index/23
        GET /api/node/3f8c/segmentation/index/23?metadata-only=true
    """
    check_body(label)
    if query.mutid is not None:
        query.mutid.value("mutid")
        return ABSENT
    [(_, rows, body)] = await whole_indices(view, [label])
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


async def whole_indices(view: View, labels: Sequence[int]) -> list[tuple[int, Rows, Body | None]]:
    """Bodies with all their rows, in order; a body that is not there is None."""
    for _ in range(TRIES):
        found = await read_bodies(view, [n for n in labels if n])
        try:
            return [
                (n, await rows_of(view, body) if (body := found.get(n)) is not None else NO_ROWS, body) for n in labels
            ]
        except LookupError:
            continue  # an edit replaced segments between the two reads
    raise Unavailable("the indices are changed faster than they can be read; try again")


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
    return Reply(content_type=OCTETS, stream=_indices(view, await _asked(view, request), write_list))


async def get_indices_compressed(view: View, request: Request) -> Reply:
    """The indices of many bodies, each compressed; the body is a JSON list of at most 50,000 bodies.

    Each is uint64 n, uint64 label, n bytes; these are a byte 0x80, uint32 size and an LZ4 block of a LabelIndex. Where
    there is no index n is 0.

        GET /api/node/3f8c/segmentation/indices-compressed     with the body  [23, 24]
    """
    return Reply(content_type=OCTETS, stream=_indices(view, await _asked(view, request), None))


async def _indices(view: View, labels: list[int], form: Any) -> AsyncIterator[bytes]:
    for at in range(0, len(labels), AT_ONCE):
        found = await whole_indices(view, labels[at : at + AT_ONCE])
        yield await view.run(_packed, found, form)


def _packed(found: list[tuple[int, Rows, Body | None]], form: Any) -> bytes:
    messages = write_indices(found)
    if form is not None:
        packed: bytes = form(messages)
        return packed
    out = []
    for (label, _, body), message in zip(found, messages):
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
    named, body = await view.run(_read_one, data)
    if named != label:
        raise BadRequest(f"the index in the body is of label {named}, not of {label}")
    await put_indices(view, {label: body})
    return EMPTY


def _read_one(data: bytes) -> tuple[int, Body]:
    message = parse(LabelIndex, data)
    return message.label, read_index(message)


async def post_indices(view: View, request: Request) -> Reply:
    """Replace the indices of many bodies, all or none; those without blocks are deleted.

    The body is a LabelIndices message, see GET indices.

        POST /api/node/3f8c/segmentation/indices
    """
    data = await request.read(MESSAGE)
    bodies = await view.run(_read_many, data)
    if 0 in bodies:
        raise BadRequest("label: 0 is the background, not a body")
    if bodies:
        await put_indices(view, bodies)
    return EMPTY


def _read_many(data: bytes) -> dict[int, Body]:
    return {message.label: read_index(message) for message in parse(LabelIndices, data).indices}


async def put_indices(view: View, bodies: dict[int, Body]) -> None:
    """Replace indices, given with rows, in one commit."""
    instance = labelmap_of(view)
    check_rows(sum(len(body.rows or NO_ROWS) for body in bodies.values()))
    largest = max((label for label, body in bodies.items() if not body.empty), default=0)

    async def change(m: Mutation) -> None:
        stored = await m.get_many([BODY.key(label) for label in bodies])
        for (label, body), data in zip(bodies.items(), stored):
            if data is not None or not body.empty:
                await replace_index(m, label, body, None if data is None else read_body(data))
        if largest and instance.raises(view.version, largest):
            m.record(payload={"max": largest})

    await view.edit("indices", change, locks=[(view.version, 2, label) for label in bodies])


async def get_index_version(view: View, label: Uint64) -> Reply:
    """The full UUID of the nearest version in which the index of a body was stored; 404 when there is none."""
    tkey = BODY.key(check_body(label))
    if await view.raw(tkey) is None:
        return ABSENT
    instance = labelmap_of(view)
    for version in instance.order(view.version):
        if not instance.has_written(BODY.number, version):
            continue
        # The layout of data keys: prefix, tkey, the version counted down.
        if await instance.store.get(instance.prefix + tkey + (2**32 - 1 - version).to_bytes(4, "big")) is not None:
            node = instance.repo.dag.nodes.get(version) or instance.repo.dag.root
            return Reply.text(node.uuid)
    return ABSENT


ROUTES = (
    get("size/{label}", get_size, query=SizeQuery),
    get("sizes", get_sizes, query=SizeQuery),
    get("sparsevol-size/{label}", get_sparsevol_size, query=SizeQuery),
    get("supervoxels/{label}", get_supervoxels),
    get("supervoxel-sizes/{label}", get_supervoxel_sizes),
    get("lastmod/{label}", get_lastmod),
    get("existing-labels", get_existing_labels),
    get("listlabels", get_listlabels, query=ListQuery),
    get("index/{label}", get_index, query=IndexQuery),
    post("index/{label}", post_index),
    get("indices", get_indices),
    post("indices", post_indices),
    get("indices-compressed", get_indices_compressed),
    get("index-version/{label}", get_index_version),
)
