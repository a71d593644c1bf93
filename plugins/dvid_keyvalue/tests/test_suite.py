"""A keyvalue against what all datatypes share."""

from __future__ import annotations

from typing import Any, ClassVar

import dvid_keyvalue

from dvid_core.testing import Api
from dvid_core.testing.datatypes import DatatypeSuite


class TestKeyValue(DatatypeSuite):
    typename = "keyvalue"
    plugin: ClassVar = dvid_keyvalue
    bad_settings = ({"Compression": "jpeg:80"}, {"Compression": "gzip:99"}, {"Checksum": "crc"})

    async def write(self, api: Api, place: str, i: int) -> None:
        await api.post(f"{place}/key/key%20{i}", b"%d" % i * 20_000)

    async def read(self, api: Api, place: str) -> Any:
        return await api.get(f"{place}/keys"), await api.get(f"{place}/keyrangevalues/0/~")
