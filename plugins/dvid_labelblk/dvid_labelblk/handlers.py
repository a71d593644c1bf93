"""All endpoints of labelblk.  Each does what that of other label volumes does, with the options that labelblk has."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from dvid_core import About, Reply, Request, Switch, Vec3, View, get, post, put
from dvid_voxels.paths import PlaneName, Size
from dvid_voxels.segmentation import (
    block_handlers,
    load_handlers,
    point_handlers,
    setting_handlers,
    sync_handlers,
    voxel_handlers,
)
from dvid_voxels.segmentation.asking import LabelQuery, instance_of


class VolumeQuery(msgspec.Struct, frozen=True):
    """Options of raw, isotropic and pseudocolor."""

    roi: Annotated[str, About("name of an ROI: voxels of blocks outside read as 0")] = ""
    compression: Annotated[
        Literal["", "lz4", "gzip", "google", "googlegzip"],
        About("of boxes: `lz4`: an LZ4 block; `gzip`; `google`: Neuroglancer's compressed segmentation; `googlegzip`"),
    ] = ""
    throttle: Annotated[Switch, About("`on` or `true`: answer 503 when too many such requests are under way")] = False

    @property
    def raw(self) -> voxel_handlers.RawQuery:
        """The same for volumes that have more options."""
        return voxel_handlers.RawQuery(roi=self.roi, compression=self.compression, throttle=self.throttle)


class BlocksQuery(msgspec.Struct, frozen=True):
    """Options of blocks."""

    compression: Annotated[Literal["lz4", "uncompressed"], About("the form of a block's voxels, uint64 LE")] = "lz4"
    throttle: Annotated[Switch, About("`on` or `true`: answer 503 when too many such requests are under way")] = False


class PointsQuery(msgspec.Struct, frozen=True):
    """Options of labels."""

    hash: Annotated[str, About("MD5 of the body in lower-case hex: refuse a body that has another")] = ""


async def get_raw(
    view: View, plane: PlaneName, size: Size, offset: Vec3, query: VolumeQuery, format: str = ""
) -> Reply:
    """Labels of a box, or the image of a slice.

    <plane> is 0_1_2 (vol) for a box, or xy, xz, yz (0_1, 0_2, 1_2) for a slice; <size> has a number for each of its
    axes; <offset> is x_y_z and may be negative. What was not written is 0.

    A box comes as uint64 LE, x fastest, then y, then z, in one of several compressions. A slice is an image: <format>
    png (default), jpg, jpg:<quality>, tif or bmp. Its pixels are 16-bit RGBA whose 8 bytes are the label's, the least
    significant first; only PNG and TIFF keep them.

        GET /api/node/3f8c/bodies/raw/0_1_2/64_64_64/0_0_128?compression=lz4
        GET /api/node/3f8c/bodies/raw/xz/512_256/0_0_100/png
    """
    return await voxel_handlers.get_raw(view, plane, size, offset, query.raw, format)


async def get_isotropic(
    view: View, plane: PlaneName, size: Size, offset: Vec3, query: VolumeQuery, format: str = ""
) -> Reply:
    """As raw, but slices are resampled so that their pixels are square.

    <size> is that of the image. Of the two axes the one with the longer voxels is stretched; each pixel is the nearest
    voxel.

        GET /api/node/3f8c/bodies/isotropic/xz/512_512/0_0_100
    """
    return await voxel_handlers.get_isotropic(view, plane, size, offset, query.raw, format)


async def get_pseudocolor(
    view: View, plane: PlaneName, size: Size, offset: Vec3, query: VolumeQuery, format: str = ""
) -> Reply:
    """The image of a slice of labels, each in a color of its own (8-bit RGB).

        GET /api/node/3f8c/bodies/pseudocolor/xy/512_512/0_0_100
    """  # fmt: skip
    return await voxel_handlers.get_pseudocolor(view, plane, size, offset, query.raw, format)


async def post_raw(
    view: View, request: Request, plane: PlaneName, size: Size, offset: Vec3, query: voxel_handlers.WriteQuery
) -> Reply:
    """Write the labels of a box: <plane> is 0_1_2, the body as GET raw sends it.

    Offset and size are multiples of the block size. What was there is replaced, and a labelvol that follows hears of
    it. A large box is written in several steps; when the request breaks off, those that were done stay, and it can be
    sent again.

        POST /api/node/3f8c/bodies/raw/0_1_2/512_512_64/0_0_128?compression=lz4
    """
    return await voxel_handlers.post_raw(view, request, plane, size, offset, query)


async def get_blocks(view: View, size: Vec3, offset: Vec3, query: BlocksQuery) -> Reply:
    """The blocks of a box as a stream; those that were never written are left out.

    <size> and <offset> are in voxels, multiples of the block size. Each block is int32 x, y, z (block coordinates),
    int32 n, all little-endian, and n bytes: its voxels, uint64 LE, x fastest, as an LZ4 block without a head, or as
    they are.

        GET /api/node/3f8c/bodies/blocks/512_512_64/0_0_128?compression=uncompressed
    """
    wanted = block_handlers.BlocksQuery(compression=query.compression, throttle=query.throttle)
    return await block_handlers.get_blocks(view, size, offset, wanted)


async def get_label(view: View, point: Vec3) -> Reply:
    """The label of the voxel x_y_z: {"Label": 23}; 0 where nothing was written.

        GET /api/node/3f8c/bodies/label/100_200_300
    """  # fmt: skip
    return await point_handlers.get_label(view, point, LabelQuery())


async def get_labels(view: View, request: Request, query: PointsQuery) -> Reply:
    """The labels of many voxels, in their order; the body is a JSON list of points [x, y, z].

        GET /api/node/3f8c/bodies/labels     with the body  [[100, 200, 300], [101, 200, 300]]
    """  # fmt: skip
    return await point_handlers.get_labels(view, request, point_handlers.PointsQuery(hash=query.hash))


async def post_info(view: View) -> Reply:
    """The same as GET info; settings do not change, but for VoxelSize: see POST resolution."""
    return Reply.json(await instance_of(view).full_info(view))


ROUTES = (
    get("raw/{plane}/{size}/{offset}/{format}", get_raw, query=VolumeQuery),
    post("raw/{plane}/{size}/{offset}", post_raw, query=voxel_handlers.WriteQuery),
    put("raw/{plane}/{size}/{offset}", post_raw, query=voxel_handlers.WriteQuery),
    get("isotropic/{plane}/{size}/{offset}/{format}", get_isotropic, query=VolumeQuery),
    get("pseudocolor/{plane}/{size}/{offset}/{format}", get_pseudocolor, query=VolumeQuery),
    get("blocks/{size}/{offset}", get_blocks, query=BlocksQuery),
    get("label/{point}", get_label),
    get("labels", get_labels, query=PointsQuery),
    get("metadata", setting_handlers.get_metadata),
    post("resolution", setting_handlers.post_resolution),
    post("info", post_info, mutates=False),
    *load_handlers.ROUTES,
    *sync_handlers.ROUTES,
)
