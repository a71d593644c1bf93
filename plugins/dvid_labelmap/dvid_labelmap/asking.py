"""What the endpoints of labelmap ask in the same way, besides `dvid_voxels.segmentation.asking`."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from dvid_core import Reply, View

if TYPE_CHECKING:
    from .labelmap import LabelMap


def labelmap_of(view: View) -> LabelMap:
    """The instance, as the type it is."""
    return cast("LabelMap", view.instance)


ABSENT = Reply(b"", None, status=404)
"""There is no such body."""
