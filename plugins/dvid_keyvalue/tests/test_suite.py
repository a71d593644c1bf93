"""A keyvalue against what all datatypes share."""

from __future__ import annotations

from typing import Any

import dvid_keyvalue

from dvid_core.testing.api import Api
from dvid_core.testing.datatypes import DatatypeSuite


class TestKeyValue(DatatypeSuite):
    typename = "keyvalue"
    plugin = dvid_keyvalue

    async def write(self, api: Api, place: str, i: int) -> None:
        await api.post(f"{place}/key/key%20{i}", b"value %d" % i)

    async def read(self, api: Api, place: str) -> Any:
        keys = await api.get(f"{place}/keys")
        return keys, await api.get(f"{place}/keyrangevalues/%00/%F4%8F%BF%BF?tar=true")
