"""A tally against what all datatypes share."""

from __future__ import annotations

from typing import Any, ClassVar

import dvid_example

from dvid_core.testing.api import Api
from dvid_core.testing.datatypes import DatatypeSuite


class TestTally(DatatypeSuite):
    typename = "tally"
    plugin: ClassVar = dvid_example
    settings: ClassVar = {"Unit": "cells", "Limit": "1000"}
    bad_settings = ({"limit": 0}, {"limit": 2**63}, {"Limit": "many"}, {"Limit": 10**30}, {"unit": 3})

    async def write(self, api: Api, place: str, i: int) -> None:
        await api.post(f"{place}/add/counter%20{i}?n={i + 1}")

    async def read(self, api: Api, place: str) -> Any:
        return await api.get(f"{place}/counts")
