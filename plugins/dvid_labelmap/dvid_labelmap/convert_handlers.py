"""The endpoints that turn other label volumes into a labelmap."""

from __future__ import annotations

from dvid_core import EMPTY, Reply, View, delete, get, post

from .asking import labelmap_of
from .convert import convert, status_of


async def post_convert(view: View, source: str) -> Reply:
    """Copy the labels of another instance, as it is at this version, into this labelmap. For the admin only.

    <source> is a labelblk, a labelarray or any other instance of the repo that shows its label blocks; its blocks may
    have any size. Voxels, label indices, max label, extents and lower scales are made; then every voxel, and the size
    of every label, is compared with the source. The labelmap must be empty at first.

    The request returns at once, with what GET convert answers; the work goes on in the server. When the server stops,
    the same request goes on where it was. Asked again later, it copies what is different by then: convert a version,
    then those after it, the oldest first, and each stores only what changed. The command `dvid convert` does all that.

        POST /api/node/3f8c/segmentation/convert/bodies?admintoken=...
    """
    await convert(view, source)
    return Reply.json(await status_of(view))


async def get_convert(view: View) -> Reply:
    """How the conversion to this labelmap stands; 404 before there is one.

    Replies {"Source", "UUID": the version, "State", "Running", "Done", "Written", "Same", "Error", "Report"}. State is
    copying, checking, done, or differs when the check found differences; Done is how much of copying or checking is
    done, 0 to 1; Written and Same are blocks that were stored and that were there already. Error says why a conversion
    ended early. Report is null until the end: {"Blocks", "Labels", "Voxels": those of the source, without background,
    "DifferentBlocks", "DifferentLabels", "Examples"}.

        GET /api/node/3f8c/segmentation/convert
    """
    return Reply.json(await status_of(view))


async def delete_convert(view: View) -> Reply:
    """Stop the conversion that is under way; what is copied stays, and POST convert goes on. For the admin only.

        DELETE /api/node/3f8c/segmentation/convert?admintoken=...
    """  # fmt: skip
    work = labelmap_of(view).conversion
    if work is not None:
        await work.stop()
    return EMPTY


ROUTES = (
    get("convert", get_convert),
    post("convert/{source}", post_convert, admin=True),
    delete("convert", delete_convert, admin=True),
)
