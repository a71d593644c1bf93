"""A labelsz against what all datatypes share, but for its log, which shows nothing."""

from __future__ import annotations

from typing import Any, ClassVar, cast

import pytest

from dvid_core.testing import Api
from dvid_core.testing.datatypes import DatatypeSuite
from dvid_core.testing.fixtures import RunningServer

from . import points
from .sizes import ASKED


async def quiet(api: Api) -> None:
    """Return when all events are handled and no reload runs."""
    server = cast("RunningServer", api).server
    await server.bus.idle()
    for repo in server.repos.by_id.values():
        for instance in repo.instances.values():
            for task in list(getattr(instance, "_reloads", {}).values()):
                await task


class TestLabelSz(DatatypeSuite):
    typename = "labelsz"
    plugin: ClassVar = points
    bad_settings = ({"ROI": "x"}, {"ROI": "a,b,c"}, {"ROI": 7})
    samples: ClassVar = {"kind": "AllSyn", "n": "3", "threshold": "1", "label": "1"}

    async def make(self, api: Api, uuid: str, name: str = "data", **settings: Any) -> str:
        await api.instance(uuid, f"{name}-syn", "points", versioned=settings.get("versioned", True))
        return await super().make(api, uuid, name, **settings)

    async def write(self, api: Api, place: str, i: int) -> None:
        uuid, name = place.split("/")[3:]
        if not (await api.get(f"{place}/info"))["Base"]["Syncs"]:
            await api.post(f"{place}/sync", json={"sync": f"{name}-syn"})
        await api.post(f"/api/node/{uuid}/{name}-syn/put", json=[[i, n, 0, n + 1, "PreSyn"] for n in range(3)])
        await quiet(api)

    async def read(self, api: Api, place: str) -> Any:
        await quiet(api)
        return [await api.get(f"{place}/top/1000/{kind}") for kind in ASKED]

    @pytest.mark.skip("no log of mutations is shown")
    async def test_log_tells_of_each_write_at_its_version(self) -> None:  # type: ignore[override]
        """See `test_no_log_of_mutations_is_shown`."""
