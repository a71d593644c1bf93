"""A neuronjson against what all datatypes share."""

from __future__ import annotations

from typing import Any

import dvid_neuronjson

from dvid_core.testing.api import Api
from dvid_core.testing.datatypes import DatatypeSuite


class TestNeuronJSON(DatatypeSuite):
    typename = "neuronjson"
    plugin = dvid_neuronjson

    async def write(self, api: Api, place: str, i: int) -> None:
        await api.post(f"{place}/key/{i + 1}?u=ann", json={"bodyid": i + 1, "type": f"type {i}"})

    async def read(self, api: Api, place: str) -> Any:
        schemas = [(await api.ask("GET", f"{place}/{name}")).body for name in ("schema", "schema_batch", "json_schema")]
        return await api.get(f"{place}/keys"), await api.get(f"{place}/all?show=all"), schemas
