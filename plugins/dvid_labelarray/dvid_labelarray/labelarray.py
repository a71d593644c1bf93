"""The labelarray datatype."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from dvid_core import BadRequest, Info, View
from dvid_voxels.extents import corners
from dvid_voxels.label_events import LabelsAt, LabelsRewritten, VoxelsWritten
from dvid_voxels.segmentation.instance import Segmentation
from dvid_voxels.segmentation.offered import PlainLabels
from dvid_voxels.segmentation.sparse import SparseRules

from .handlers import ROUTES
from .settings import LabelArraySettings

P = TypeVar("P")


class LabelArray(Segmentation):
    """Label volumes whose voxels hold bodies: a 64-bit label for each voxel; merges and splits change voxels.

    Succeeded by labelmap, to which `dvid convert` brings what an instance holds.  Made with
    POST /api/repo/<uuid>/instance and {"typename": "labelarray", "dataname": "<name>", ...}.  Settings, all given as
    strings:

        BlockSize        x,y,z of a block; multiples of 8                        64,64,64
        VoxelSize        x,y,z of a voxel                                        8,8,8
        VoxelUnits       the units of VoxelSize                                  nanometers,nanometers,nanometers
        MaxDownresLevel  the coarsest scale that is kept, each half the one before: 0 to 255     0
        IndexedLabels    false: no label indices, so no sparse volumes, merges and splits        true
        CountLabels      shown in info, without effect                           true
        Versioned        true or false

    Label 0 is background, and what was never written.
    """

    typename, type_version = "labelarray", "0.1"
    type_url = "github.com/janelia-flyem/dvid/datatype/labelarray"
    Settings = LabelArraySettings
    routes = ROUTES
    emits = (VoxelsWritten, LabelsRewritten)
    sparse_rules = SparseRules(empty_is_absent=True, tells_voxels=False, ragged=True)

    settings: LabelArraySettings

    @classmethod
    def read_settings(cls, raw: dict[str, Any]) -> LabelArraySettings:
        for name, value in raw.items():
            if name.lower() == "countlabels" and "typename" in map(str.lower, raw) and not isinstance(value, str):
                raise BadRequest(f"{name}: settings are given as strings, got {value!r:.80}")
        return cast("LabelArraySettings", super().read_settings(raw))

    async def info(self, view: View) -> Info:
        box = await self.extents(view)
        state, settings, dag = self.state, self.settings, self.repo.dag
        maxima = {dag.nodes[v].uuid if v in dag.nodes else dag.root.uuid: n for v, n in sorted(state.maxima.items())}
        extended = {
            **self.properties(box),
            "MaxLabel": maxima,
            "MaxRepoLabel": state.largest,
            "IndexedLabels": settings.IndexedLabels,
            "CountLabels": settings.CountLabels,
            "MaxDownresLevel": settings.MaxDownresLevel,
        }
        return Info(extended=extended, extra={"Extents": corners(box)})

    def offer(self, protocol: type[P], view: View) -> P | None:
        return cast("P", PlainLabels(self, view)) if protocol is LabelsAt else super().offer(protocol, view)
