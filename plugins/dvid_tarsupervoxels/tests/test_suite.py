"""A tarsupervoxels against what all datatypes share, but for versions, which its files do not have."""

from __future__ import annotations

from typing import Any, ClassVar

import dvid_tarsupervoxels
import pytest

from dvid_core.testing import Api
from dvid_core.testing.datatypes import DatatypeSuite


class TestTarSupervoxels(DatatypeSuite):
    typename = "tarsupervoxels"
    plugin: ClassVar = dvid_tarsupervoxels
    settings: ClassVar = {"Extension": "drc"}
    bad_settings = ({"Extension": ""}, {"Extension": "a/b"}, {"Extension": 7})
    samples: ClassVar = {"supervoxel": "1", "label": "1"}

    async def write(self, api: Api, place: str, i: int) -> None:
        await api.post(f"{place}/supervoxel/{i + 1}", b"%d" % i * 50_000)

    async def read(self, api: Api, place: str) -> Any:
        answers = [await api.ask("GET", f"{place}/supervoxel/{i}") for i in range(1, 7)]
        return [(a.status, a.body if a.status == 200 else b"") for a in answers]

    @pytest.mark.skip("files have no versions")
    async def test_write_to_a_child_is_not_seen_by_its_parent_or_siblings(self) -> None:  # type: ignore[override]
        """See `test_files_are_one_for_all_versions_and_branches`."""

    @pytest.mark.skip("no log of mutations is kept")
    async def test_log_tells_of_each_write_at_its_version(self) -> None:  # type: ignore[override]
        """See `test_no_log_of_mutations_is_kept`."""
