"""Endpoints of annotations."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from dvid_core import EMPTY, JSON, BadRequest, Mutation, Reply, Request, Route, View, delete, get, parse_json, post
from dvid_voxels.geometry import Box, Triple
from dvid_voxels.regions import Region

from . import lists, reading
from .asking import (
    Label,
    ListQuery,
    LogQuery,
    Point,
    ReloadQuery,
    ScanQuery,
    check_length,
    log_entry,
    parse_block,
    parse_label,
)
from .elements import Batch, batch_of, decode_elements, read_batch
from .keys import LABEL, TAG
from .moving import delete_element, move_element
from .posting import annotation_of, post_blocks, post_elements, post_labels
from .tables import ARROW, arrow, arrow_stream

BODY = 48 << 20
"""Bytes of a POST; one commit takes 64 MiB."""

OBJECTS = 1_000_000
"""Elements, properties and relationships of one POST: decoded they take ten times the bytes."""

INLINE = 16 << 10
"""Bytes that are decoded without a hop to a thread."""


async def _in_list(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    sign = b"["
    async for text in pieces:
        yield sign + text
        sign = b","
    yield b"[]" if sign == b"[" else b"]"


async def _in_object(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield b"{"
    async for text in pieces:
        if text:
            yield text
    yield b"}"


async def _body(request: Request) -> bytes:
    data = await request.read(BODY)
    if data.count(b"{") > OBJECTS:
        raise BadRequest(f"the body has more than {OBJECTS} elements, properties and relationships; send it in parts")
    return data


def _box(size: Point, offset: Point) -> Box:
    return Box(offset[::-1], size[::-1])


def _wants_arrow(request: Request) -> bool:
    if ARROW not in request.headers.get("Accept", ""):
        return False
    arrow()
    return True


async def get_elements(view: View, request: Request, size: Point, offset: Point) -> Reply:
    """The elements in a box of voxels, with relationships: a JSON list, in any order.

    GET /api/node/3f8c/synapses/elements/200_200_100/1000_2000_0

    Box: <size> is x_y_z, <offset> the first voxel; an element at p is inside when offset <= p < offset + size.

    With the header `Accept: application/vnd.apache.arrow.stream` the reply is an Arrow IPC stream with the columns
    x, y, z, Kind, Tags, Prop (a map) and Rels (a list of Rel, x, y, z), for pyarrow, pandas and polars.
    """
    grid = await annotation_of(view).seen_grid(view)
    box = _box(size, offset)
    if _wants_arrow(request):
        texts = reading.texts_in_box(view, grid, box)
        return Reply(content_type=ARROW, stream=arrow_stream(view, texts, rels=True))
    return Reply(content_type=JSON, stream=_in_list(reading.text_in_box(view, grid, box)))


async def post_elements_(view: View, request: Request, query: LogQuery) -> Reply:
    """Put elements: a JSON list. An element takes the place of one that is at its position; nothing of that is kept.

    POST /api/node/3f8c/synapses/elements
    [{"Pos": [33, 30, 31], "Kind": "PostSyn", "Tags": ["t1"], "Prop": {"user": "ann"},
      "Rels": [{"Rel": "PostSynTo", "To": [15, 27, 35]}]}, ...]

    All elements are put or none: what is wrong with one is said, with its place in the list; two at one
    position are wrong. Lists of tags and labels show them at once.
    """
    data = await _body(request)
    batch = read_batch(data) if len(data) <= INLINE else await view.run(read_batch, data)
    await post_elements(view, batch, log_entry(query, "element-post", Elements=len(batch)))
    return EMPTY


async def delete_element_(view: View, point: Point, query: LogQuery) -> Reply:
    """Delete the element at <point>, and the relationships to it that elements near it or named by it have.

    DELETE /api/node/3f8c/synapses/element/33_30_31
    """
    await delete_element(view, point, log_entry(query, "element-delete", Point=point))
    return EMPTY


async def post_move(view: View, start: Point, stop: Point, query: LogQuery) -> Reply:
    """Move the element at <start> to <stop>, where there must be none. Lists and its partners' relationships follow.

    POST /api/node/3f8c/synapses/move/33_30_31/33_30_35
    """
    await move_element(view, start, stop, log_entry(query, "element-move", From=start, To=stop))
    return EMPTY


async def get_blocks(view: View, size: Point, offset: Point) -> Reply:
    """All elements, with relationships, of every block that a box of voxels touches: {"x,y,z": [...], ...}.

    GET /api/node/3f8c/synapses/blocks/200_200_100/1000_2000_0

    The keys are block coordinates: voxel coordinates divided by the size of a block, rounded down.
    """
    grid = await annotation_of(view).seen_grid(view)
    pieces = reading.blocks_text_in(view, grid, _box(size, offset))
    return Reply(content_type=JSON, stream=_in_object(pieces))


async def post_blocks_(view: View, request: Request, query: LogQuery) -> Reply:
    """Replace all elements of whole blocks: {"x,y,z": [<element>, ...], ...}, as GET blocks gives; [] empties one.

    POST /api/node/3f8c/synapses/blocks

    For bulk loading: lists of tags and labels and partners' relationships stay as they were until POST reload.
    Elements are stored by their positions, also if that is in another block than the one named.
    """
    data = await _body(request)
    blocks, batch = await view.run(_read_blocks, data)
    await post_blocks(view, blocks, batch, log_entry(query, "blocks-post", Blocks=len(blocks), Elements=len(batch)))
    return EMPTY


def _read_blocks(data: bytes) -> tuple[dict[Triple, None], Batch]:
    """A kernel."""
    given: dict[str, msgspec.Raw] = parse_json(data, dict[str, msgspec.Raw])
    blocks = dict.fromkeys(map(parse_block, given))
    elements = [element for key, some in given.items() for element in decode_elements(some, f"block {key}")]
    return blocks, batch_of(elements, "blocks")


async def get_all(view: View, request: Request) -> Reply:
    """All elements, with relationships, by block: {"x,y,z": [...], ...}; streamed.

    GET /api/node/3f8c/synapses/all-elements

    With `Accept: application/vnd.apache.arrow.stream` an Arrow stream, as described at GET elements.
    """
    check_length(request, 1)
    if _wants_arrow(request):
        return Reply(content_type=ARROW, stream=arrow_stream(view, reading.texts_of_all(view), rels=True))
    return Reply(content_type=JSON, stream=_in_object(reading.blocks_text(view)))


async def get_scan(view: View, request: Request, query: ScanQuery) -> Reply:
    """Count the blocks that have elements: {"num kv pairs": <blocks>, "num empty blocks": 0}.

    GET /api/node/3f8c/synapses/scan
    """
    check_length(request, 1)
    return Reply.json({"num kv pairs": await reading.count_blocks(view), "num empty blocks": 0})


async def _list(view: View, request: Request, bounds: tuple[bytes, bytes], query: ListQuery) -> Reply:
    grid = await annotation_of(view).seen_grid(view)
    how: lists.Relationships = "true" if query.relationships == "true" else ""
    if query.relationships == "verbose":
        how = "verbose"
    if _wants_arrow(request):
        texts = lists.list_texts(view, grid, *bounds, "true" if how else "")
        return Reply(content_type=ARROW, stream=arrow_stream(view, texts, rels=bool(how)))
    return Reply(content_type=JSON, stream=_in_list(lists.list_text(view, grid, *bounds, how)))


async def get_label(view: View, request: Request, label: Label, query: ListQuery) -> Reply:
    """The elements on a label, of a body if the labels that are followed have bodies: a JSON list, in any order.

    GET /api/node/3f8c/synapses/label/1008642?relationships=true

    Empty for a label that has none, and for all while no labels are followed. Changes of labels show a moment after
    the request that makes them. With `Accept: application/vnd.apache.arrow.stream` an Arrow stream as described at
    GET elements, with the column Rels if relationships are asked for.
    """
    return await _list(view, request, LABEL.all(label), query)


async def get_tag(view: View, request: Request, tag: str, query: ListQuery) -> Reply:
    """The elements with a tag: a JSON list, in any order. A tag with "/" is written with %2F.

    GET /api/node/3f8c/synapses/tag/user:ann?relationships=verbose

    With `Accept: application/vnd.apache.arrow.stream` an Arrow stream, as at GET label.
    """
    if len(tag.encode(errors="replace")) > 4096:
        return Reply.json([])
    return await _list(view, request, TAG.all(tag), query)


async def get_roi(view: View, roi: str) -> Reply:
    """The elements, with relationships, in the blocks of a region of interest: a JSON list.

    GET /api/node/3f8c/synapses/roi/medulla
    GET /api/node/3f8c/synapses/roi/medulla,9a01

    <roi> is the name of an roi whose blocks have the size of this instance's; it is read at this version, or at the
    version whose UUID follows a comma.
    """
    name, comma, uuid = roi.partition(",")
    if "," in uuid or (comma and not uuid):
        raise BadRequest("roi: expected the name of an roi, or name,uuid")
    instance = annotation_of(view)
    at = view
    if uuid:
        repo, node = instance.server.repos.find(uuid)
        if repo is not instance.repo:
            raise BadRequest(f"roi: version {uuid} is of another repo")
        at = view.at(node)
    region = await at.peer(name, Region)
    grid = await instance.seen_grid(view)
    if region.block != grid.block:
        sizes = ["x".join(map(str, block[::-1])) for block in (region.block, grid.block)]
        raise BadRequest(f"roi: {name} has blocks of {sizes[0]} voxels, and not of {sizes[1]} as this instance")
    return Reply(content_type=JSON, stream=_in_list(reading.text_in_region(view, grid, region)))


async def post_labels_(view: View, request: Request) -> Reply:
    """Replace lists of labels as given: {"<label>": "<a JSON list of elements, as a string>", ...}; label 0 is skipped.

    POST /api/node/3f8c/synapses/labels

    For bulk loading beside POST blocks; elements are not put into blocks, nor tags changed.
    """
    check_length(request, 1)
    data = await _body(request)
    await post_labels(view, await view.run(_read_labels, data))
    return EMPTY


def _read_labels(data: bytes) -> dict[int, Batch]:
    """A kernel."""
    out = {}
    for name, text in parse_json(data, dict[str, str]).items():
        if name == "0":
            continue
        try:
            label = parse_label(name)
        except ValueError as err:
            raise BadRequest(f"{name[:80]!r}: {err}") from None
        elements = decode_elements(text.encode(errors="replace"), f"label {label}")
        for element in elements:
            element.Rels = None
        out[label] = batch_of(elements, f"label {label}")
    return out


async def post_reload(view: View, query: ReloadQuery) -> Reply:
    """Make the lists of tags and labels of this version anew from its elements, in the background; replies at once.

    POST /api/node/3f8c/synapses/reload

    While it runs, writes wait a while and are then refused, but for DELETE; lists are not complete. GET reload-status
    tells how far it is. A server that is stopped meanwhile goes on after its start.
    """
    instance = annotation_of(view)
    await instance.fixed_grid(view)

    async def change(m: Mutation) -> None:
        m.record({"Action": "reload"})
        instance.works.stage(m, None)

    await instance.change(view, "reload", change, ())
    return EMPTY


async def get_status(view: View) -> Reply:
    """How far the last reload of this version is: {"State": "none", "waiting", "running", "done" or "failed", ...}.

    GET /api/node/3f8c/synapses/reload-status

    Besides: "Phase" (what it does), "Elements" (those that are filed), "Seconds", "Error"; "Waiting" counts reloads
    and large changes of labels that are still to be followed. The state is forgotten when the server stops, but for
    that of a reload under way.
    """
    works = annotation_of(view).works
    progress = works.reloads.get(view.version)
    shown = {"State": "none"} if progress is None else msgspec.to_builtins(progress)
    return Reply.json({**shown, "Waiting": len(works.pending(view))})


ROUTES: tuple[Route, ...] = (
    get("elements/{size}/{offset}", get_elements),
    post("elements", post_elements_, query=LogQuery),
    delete("element/{point}", delete_element_, query=LogQuery),
    post("move/{start}/{stop}", post_move, query=LogQuery),
    get("blocks/{size}/{offset}", get_blocks),
    post("blocks", post_blocks_, query=LogQuery),
    get("all-elements", get_all),
    get("scan", get_scan, query=ScanQuery),
    get("label/{label}", get_label, query=ListQuery),
    get("tag/{tag}", get_tag, query=ListQuery),
    get("roi/{roi}", get_roi),
    post("labels", post_labels_),
    post("reload", post_reload, query=ReloadQuery),
    get("reload-status", get_status),
)
