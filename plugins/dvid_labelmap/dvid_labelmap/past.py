"""Bodies as they are, or as they were before an edit."""

from __future__ import annotations

from typing import Annotated

import msgspec

from dvid_core import About, LazyInt, LazyNumber, View
from dvid_voxels.segmentation.asking import check_body
from dvid_voxels.segmentation.body import Body
from dvid_voxels.segmentation.index import read_bodies

from .edits.journal import body_before

MUTID = "what it was just before the last edit up to mutation id <mutid> that touched a body of this name"


class PastQuery(msgspec.Struct, frozen=True):
    """Options of what can be asked about a body of the past."""

    mutid: Annotated[LazyNumber | None, About(MUTID)] = None


async def body_of(view: View, label: int, mutid: LazyInt | None = None) -> Body | None:
    """A body of this name; None when there is none."""
    if mutid is not None:
        return await body_before(view, check_body(label), mutid.value("mutid"))
    return (await read_bodies(view, [check_body(label)])).get(label)
