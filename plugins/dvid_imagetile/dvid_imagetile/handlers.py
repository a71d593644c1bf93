"""The endpoints of imagetile."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, cast

import msgspec

from dvid_core import (
    EMPTY,
    About,
    BadRequest,
    Flag,
    Mutation,
    NotFound,
    Param,
    Refused,
    Reply,
    Request,
    Vec3,
    View,
    delete,
    get,
    parse_json,
    post,
)
from dvid_voxels.images import check_picture, parse_format
from dvid_voxels.paths import Plane, PlaneName, Size, parse_plane
from dvid_voxels.peers import Voxels
from dvid_voxels.resample import source_size

from .generation import Generation, Part
from .keys import tile_key
from .levels import Level, Levels, Metadata, checked_levels, covered, default_levels, shown_levels
from .pictures import blank, empty_like, finished
from .stitched import Stitched

if TYPE_CHECKING:
    from .imagetile import ImageTile

MOST_TILES = 1 << 26
"""Tiles of level 0 that one generation makes."""


def parse_scale(text: str) -> int:
    """A level: 0 to 255."""
    if not re.fullmatch("[0-9]{1,3}", text, re.ASCII) or int(text) > 255:
        raise ValueError("expected a whole number from 0 to 255")
    return int(text)


Scale = Annotated[int, Param(parse_scale, "a level, 0 to 255; 0 is the finest", {"type": "integer", "minimum": 0})]


class TileQuery(msgspec.Struct, frozen=True):
    """What comes where no tile is."""

    noblanks: Annotated[Flag, About("`true`: 404 where no tile is, instead of a black image")] = False


def instance_of(view: View) -> ImageTile:
    """The instance behind a view."""
    return cast("ImageTile", view.instance)


def _levels(view: View) -> Levels:
    levels = instance_of(view).settings.levels
    if not levels:
        raise BadRequest(f"the levels of {view.instance.name} were not set yet; POST metadata or generate sets them")
    return levels


def _flat(plane: Plane) -> Plane:
    if not plane.is_flat:
        raise BadRequest("plane: expected xy, xz or yz; tiles and images are two-dimensional")
    return plane


async def get_metadata(view: View) -> Reply:
    """The levels with their resolutions and tile sizes, and the range of tiles, as JSON.

    400 before they were set. They are one for all versions.

        {"MinTileCoord": [0, 0, 0], "MaxTileCoord": [3, 2, 1],
         "Levels": {"0": {"Resolution": [8, 8, 8], "TileSize": [512, 512, 512]}, "1": ...}}
    """
    levels, settings = _levels(view), instance_of(view).settings
    return Reply.json({
        "MinTileCoord": settings.MinTileCoord,
        "MaxTileCoord": settings.MaxTileCoord,
        "Levels": shown_levels(levels),
    })  # fmt: skip


async def post_metadata(view: View, request: Request) -> Reply:
    """Set the metadata, all of them and for all versions: JSON as GET metadata gives it.

    Levels are numbered from 0 without a gap, the finest first; each resolution is an integral multiple of that before.
    """
    body: Metadata = parse_json(await request.read(1 << 20), Metadata)
    await instance_of(view).describe(body)
    return EMPTY


async def get_tile(view: View, plane: PlaneName, scale: Scale, at: Vec3, query: TileQuery, format: str = "") -> Reply:
    """A tile as it was posted or generated.

    <plane> is xy, xz or yz (0_1, 0_2, 1_2). Along the two axes of the plane the coordinates x_y_z count tiles; along
    the third they name the voxel of full resolution, at every level. Where no tile is, a black image of the level's
    tile size comes, in <format> png (default), jpg, jpg:<quality>, tif or bmp.

        GET /api/node/3f8c/graytiles/tile/xy/0/10_12_50
        GET /api/node/3f8c/graytiles/tile/xz/3/1_50_2?noblanks=true
    """
    levels = _levels(view)
    value = await view.open(tile_key(_flat(plane), scale, at))
    if value is not None and value.size:
        kind = instance_of(view).settings.kept.content_type
        if value.inline is not None:
            return Reply(value.inline, kind)
        return Reply(content_type=kind, stream=value.chunks(), length=value.size)
    if query.noblanks:
        raise NotFound(f"tile {plane.name} {scale} {'_'.join(map(str, at))} not found")
    if scale >= len(levels):
        raise BadRequest(f"scale: expected 0 to {len(levels) - 1}, got {scale}")
    form = parse_format(format)
    width, height = (levels[scale].TileSize[axis] for axis in plane.axes)
    check_picture(form, width, height, 1)
    return Reply(await view.run(blank, width, height, form), form.content_type)


async def post_tile(view: View, request: Request, plane: PlaneName, scale: Scale, at: Vec3) -> Reply:
    """Put a tile: the body is kept and given back as it is, so it should be an image of the instance's Format.

    POST /api/node/3f8c/graytiles/tile/xy/0/10_12_50
    """
    key = tile_key(_flat(plane), scale, at)
    value = await view.stage(request.chunks())

    async def change(m: Mutation) -> None:
        m.put(key, value)

    try:
        await view.edit("tile", change)
    except BaseException:
        await view.discard(value)
        raise
    return EMPTY


async def get_tilekey(view: View, plane: PlaneName, scale: Scale, at: Vec3) -> Reply:
    """The key under which a tile is stored, whether it is there or not: {"key": <hexadecimal>}."""
    return Reply.json({"key": (view.instance.prefix + tile_key(_flat(plane), scale, at)).hex()})


async def get_raw(view: View, plane: PlaneName, size: Size, offset: Vec3, format: str = "") -> Reply:
    """An image of <size> (w_h) voxels at <offset> (x_y_z), put together from the tiles of level 0.

    Where no tile is, it is black; or, when the instance was made with Placeholder=true, it says so. Its pixels are of
    the kind that Source has. <format> is png (default), jpg, jpg:<quality>, tif or bmp.

        GET /api/node/3f8c/graytiles/raw/xy/800_600/1000_2000_50/jpg:80
    """
    return await _picture(view, plane, size, offset, format, isotropic=False)


async def get_isotropic(view: View, plane: PlaneName, size: Size, offset: Vec3, format: str = "") -> Reply:
    """As raw, but resampled by the VoxelSize of Source so that pixels are square; <size> is that of the image."""
    return await _picture(view, plane, size, offset, format, isotropic=True)


async def _picture(
    view: View, plane: Plane, size: tuple[int, ...], offset: tuple[int, int, int], format: str, *, isotropic: bool
) -> Reply:
    _flat(plane).box(size, offset)
    form = parse_format(format)
    levels, settings = _levels(view), instance_of(view).settings
    source = await view.peer(settings.Source, Voxels)
    sample = await source.picture(plane, plane.box((1, 1), offset))
    wanted = width, height = size[0], size[1]
    if isotropic:
        across, down = (source.voxel_size[axis] for axis in plane.axes)
        width, height = source_size(wanted, (across, down))
    check_picture(form, *wanted, sample.nbytes)
    check_picture(form, width, height, sample.nbytes)
    stitched = Stitched(view, plane, levels[0], offset, settings.Placeholder)
    stitched.check(width, height)
    out = empty_like(sample, width, height)
    await stitched.draw(out)
    resize = None if (width, height) == wanted else wanted
    return Reply(await view.run(finished, out, resize, form), form.content_type)


def parse_range(text: str) -> tuple[int, int]:
    """Two whole numbers, first and last."""
    if not re.fullmatch("-?[0-9]{1,10},-?[0-9]{1,10}", text, re.ASCII):
        raise ValueError("expected two whole numbers joined by ',', such as 0,99")
    low, high = map(int, text.split(","))
    if low > high:
        raise ValueError("expected the first number not to be beyond the last")
    return low, high


def parse_planes(text: str) -> tuple[Plane, ...]:
    """Planes joined by semicolons."""
    planes = tuple(dict.fromkeys(map(parse_plane, text.split(";"))))
    if not all(p.is_flat for p in planes):
        raise ValueError("expected xy, xz, yz joined by ';'")
    return planes


Range = Annotated[tuple[int, int], Param(parse_range, "first,last")]


class GenerateQuery(msgspec.Struct, frozen=True):
    """Which slices are tiled."""

    planes: Annotated[
        tuple[Plane, ...], Param(parse_planes), About("the planes, joined by `;`, such as `xy;0,2`; all when missing")
    ] = (parse_plane("xy"), parse_plane("xz"), parse_plane("yz"))
    xrange: Annotated[Range | None, Param(parse_range), About("of yz the slices from,to along x, both inside")] = None
    yrange: Annotated[Range | None, Param(parse_range), About("of xz the slices from,to along y, both inside")] = None
    zrange: Annotated[Range | None, Param(parse_range), About("of xy the slices from,to along z, both inside")] = None

    def limits(self, plane: Plane) -> tuple[int, int] | None:
        """The range along the normal of a plane."""
        return (self.xrange, self.yrange, self.zrange)[3 - sum(plane.axes)]


async def post_generate(view: View, request: Request, query: GenerateQuery) -> Reply:
    """Make the tiles of all levels from Source, in the background; the reply shows how it stands, as GET generate does.

    The body is a JSON object of levels, as "Levels" in metadata, which are set; without a body, tiles have 512 pixels a
    side and each level doubles the resolution of the one before until one tile covers the volume. Each slice of the
    volume along each plane becomes tiles of every level; a pixel of a level is the mean, rounded down, of those that it
    covers in the plane of the slice. Tiles outside of the volume are not stored. Only one generation of an instance
    runs at a time; it ends with the server and can be asked for again.

        POST /api/node/3f8c/graytiles/generate
        POST /api/node/3f8c/graytiles/generate?planes=xy&zrange=0,99
    """
    instance = instance_of(view)
    body = await request.read(1 << 20)
    given = checked_levels(parse_json(body, dict[str, Level], "the levels")) if body.strip() else None
    source = await view.peer(instance.settings.Source, Voxels)
    extents = await source.extents()
    if extents is None:
        raise BadRequest(f"Source: {instance.settings.Source} has no voxels yet")
    levels = given or default_levels(source.voxel_size, extents)
    parts = [Part(plane, levels, extents, query.limits(plane)) for plane in query.planes]
    count = sum(part.count(extents) for part in parts)
    if count > MOST_TILES:
        raise BadRequest(f"{count} tiles of level 0 would be made; at most {MOST_TILES} are, so give ranges")
    run = Generation(view, source, extents, parts, instance.settings.kept)
    low, high = covered(levels, source.voxel_size, extents)
    async with instance.repo.lock():
        if instance.generation is not None and instance.generation.running:
            raise Refused("a generation is under way; wait for its end, or DELETE generate")
        instance.generation = run
    try:
        await instance.describe(Metadata({str(n): level for n, level in enumerate(levels)}, low, high))
    except BaseException:
        instance.generation = None
        raise
    run.start()
    return Reply.json(run.shown())


async def get_generate(view: View) -> Reply:
    """How the last generation stands, as JSON.

    "State" is none, running, done, failed ("Error" says why) or stopped; "SlicesDone" of "Slices" are finished. After a
    restart of the server it is none.

        {"State": "running", "Version": "3f8c...", "Planes": ["xy"], "Slices": 512, "SlicesDone": 100, "Tiles": 850,
         "Bytes": 91028312, "Seconds": 12.5, "Error": ""}
    """
    run = instance_of(view).generation
    return Reply.json({"State": "none"} if run is None else run.shown())


async def delete_generate(view: View) -> Reply:
    """Stop the generation that is under way; the tiles that it made stay."""
    run = instance_of(view).generation
    if run is None or not run.running:
        raise Refused("no generation is under way")
    await run.stop()
    return Reply.json(run.shown())


ROUTES = (
    get("metadata", get_metadata),
    post("metadata", post_metadata),
    get("tile/{plane}/{scale}/{at}/{format}", get_tile, query=TileQuery),
    post("tile/{plane}/{scale}/{at}", post_tile),
    get("tilekey/{plane}/{scale}/{at}", get_tilekey),
    get("raw/{plane}/{size}/{offset}/{format}", get_raw),
    get("isotropic/{plane}/{size}/{offset}/{format}", get_isotropic),
    get("generate", get_generate),
    post("generate", post_generate, query=GenerateQuery),
    delete("generate", delete_generate, mutates=False),
)
