"""What every datatype must pass."""

from __future__ import annotations

from typing import Any, ClassVar

import dvid_annotation

from dvid_core.testing.api import Api
from dvid_core.testing.datatypes import DatatypeSuite


class TestAnnotation(DatatypeSuite):
    typename = "annotation"
    plugin: ClassVar = dvid_annotation

    async def write(self, api: Api, place: str, i: int) -> None:
        body = [{"Pos": [100 * i, 5, 5], "Kind": "Note", "Tags": ["a"]}, {"Pos": [1, 2, 3 + i], "Tags": [f"t{i}"]}]
        await api.post(f"{place}/elements", json=body)

    async def read(self, api: Api, place: str) -> Any:
        return await api.get(f"{place}/all-elements"), await api.get(f"{place}/tag/a")
