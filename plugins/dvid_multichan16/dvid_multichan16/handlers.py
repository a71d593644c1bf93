"""The endpoints of multichan16."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from typing import IO, TYPE_CHECKING, Annotated, Any, cast

import msgspec
from numpy.typing import NDArray

from dvid_core import About, BadRequest, Mutation, Reply, Request, Route, Vec3, View, get, post
from dvid_voxels.images import Format, check_picture, encode, parse_format
from dvid_voxels.ingest import Ingest
from dvid_voxels.paths import Size, box_of, parse_plane

from .channels import EMPTY, SHOWN, Channel, Channels, composite, grow_channels, read_channels
from .keys import CHANNELS, EXTENTS
from .v3draw import HEAD, ChannelBody, Head, Source, read_head

if TYPE_CHECKING:
    from .multichan16 import MultiChan16

PIECE = 1 << 20


class SliceQuery(msgspec.Struct, frozen=True):
    """Which channel is shown."""

    channel: Annotated[int, About("number of a channel, from 1; 0 is the composite of the first three")] = 0


def instance_of(view: View) -> MultiChan16:
    """The instance behind a view."""
    return cast("MultiChan16", view.instance)


async def get_slice(
    view: View, request: Request, size: Size, offset: Vec3, query: SliceQuery, format: str = ""
) -> Reply:
    """The image of a slice of <size> (w_h) voxels at <offset> (x_y_z), which may be negative.

    A channel comes as 16-bit gray. The composite has the first three channels as red, green and blue, each scaled so
    that the range of its values in the volume becomes 0 to 255. Where nothing was loaded voxels are 0. <format> is png
    (default), jpg, jpg:<quality>, tif or bmp.

        GET /api/node/3f8c/brain/xy/512_512/0_0_80?channel=2
        GET /api/node/3f8c/brain/xz/512_256/0_100_0/jpg:90
    """
    plane = parse_plane(request.parts[0])
    box = plane.box(size, offset)
    form = parse_format(format)
    check_picture(form, size[0], size[1], 4)
    channels = await read_channels(view)
    if all(c.is_empty for c in channels):
        raise BadRequest(f"{view.instance.name} has no voxels yet; POST load puts them in")
    if not 0 <= query.channel <= len(channels):
        raise BadRequest(f"channel: expected 0 to {len(channels)}, got {query.channel}")
    wanted = [query.channel] if query.channel else range(1, min(SHOWN, len(channels)) + 1)
    instance = instance_of(view)
    slices = [plane.flat(await instance.volume(view, n).read(box)) for n in wanted]
    data = await view.run(_encode, slices, () if query.channel else channels[:SHOWN], form)
    return Reply(data, form.content_type)


def _encode(slices: list[NDArray[Any]], channels: Channels, form: Format) -> bytes:
    return encode(composite(slices, channels) if channels else slices[0], form)


async def get_alias(
    view: View, request: Request, size: Size, offset: Vec3, query: SliceQuery, format: str = ""
) -> Reply:
    """Another name of xy, xz or yz."""
    return await get_slice(view, request, size, offset, query, format)


class LoadQuery(msgspec.Struct, frozen=True):
    """Where a volume is put."""

    offset: Annotated[Vec3, About("the place x_y_z of its first voxel")] = (0, 0, 0)


async def post_load(view: View, request: Request, query: LoadQuery) -> Reply:
    """Load a volume of several channels: the body is a V3D raw file (.raw, .v3draw) with values of 8 or 16 bits.

    The reply says what the instance holds now. A large volume can be loaded in parts at several offsets, all with the
    same number of channels. It is written in many steps; when the request breaks off, it can be sent again.

        POST /api/node/3f8c/brain/load
        POST /api/node/3f8c/brain/load?offset=0_0_256
        {"NumChannels": 3, "MinPoint": [0, 0, 0], "MaxPoint": [1023, 1023, 511]}
    """
    length = request.body.length
    if length is not None:
        return await _load(view, Source(request.chunks()), length, query)
    # Nobody promised a length, so that what is there is known only at the end.
    with tempfile.TemporaryFile(dir=view.instance.server.spool_dir) as file:
        length = 0
        async for piece in request.chunks():
            length += len(piece)
            await view.run(file.write, piece)
        file.seek(0)
        return await _load(view, Source(_pieces(file)), length, query)


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(file.read, PIECE):
        yield piece


async def _load(view: View, source: Source, length: int, query: LoadQuery) -> Reply:
    head = read_head(await source.exactly(min(length, HEAD)))
    _check_length(head, length)
    box = box_of(head.size, query.offset)
    # First of all the number of channels is settled, so that of different volumes sent at once one is refused unread.
    await _grow(view, (EMPTY,) * head.channels)
    instance = instance_of(view)
    loaded: list[Channel] = []
    for number in range(1, head.channels + 1):
        body = ChannelBody(source, head)
        await Ingest(instance.volume(view, number), EXTENTS).box(box, Request("POST", [], body=body))
        loaded.append(body.channel)

    await _grow(view, tuple(loaded))
    shown = instance.shown_extents(await instance.extents(view))
    return Reply.json({"NumChannels": head.channels, **shown})


async def _grow(view: View, loaded: Channels) -> None:
    async def change(m: Mutation) -> None:
        await grow_channels(m, loaded)

    await view.edit("load", change, locks=(CHANNELS.key(),))


def _check_length(head: Head, length: int) -> None:
    wanted = HEAD + head.channels * head.nbytes
    if length != wanted:
        raise BadRequest(
            f"the body has {length} bytes, but a V3D raw file of {head.channels} channels of "
            f"{'x'.join(map(str, head.size))} voxels of {head.width} bytes has {wanted}"
        )


def _slices() -> tuple[Route, ...]:
    pattern = "/{size}/{offset}/{format}"
    routes = []
    for name, *others in (("xy", "XY", "0_1", "0,1"), ("xz", "XZ", "0_2", "0,2"), ("yz", "YZ", "1_2", "1,2")):
        routes.append(get(name + pattern, get_slice, query=SliceQuery))
        routes += [get(other + pattern, get_alias, query=SliceQuery) for other in others]
    return tuple(routes)


ROUTES = (post("load", post_load, query=LoadQuery), *_slices())
