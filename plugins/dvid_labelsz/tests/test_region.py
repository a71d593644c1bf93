"""Only elements inside the region of interest count, as it was when it was first needed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from types import ModuleType

import dvid_labelsz
import pytest
from dvid_labelsz import region

from dvid_core.testing.fixtures import RunningServer

from . import points, regions
from .sizes import Sizes
from .test_counts import put, some

BLOCK = 4


@pytest.fixture
def plugins() -> Sequence[ModuleType]:
    return (dvid_labelsz, points, regions)


def inside(place: tuple[int, int, int]) -> bool:
    """Whether x, y, z is in the blocks (-1, 0, 0) and (0, 1, 1), written x, y, z."""
    return tuple(p // BLOCK for p in place) in {(-1, 0, 0), (0, 1, 1)}


SPANS = [[0, 0, -1, -1], [1, 1, 0, 0]]


async def within(server: RunningServer, spans: list[list[int]] | None = SPANS) -> Sizes:
    """An instance that counts in the region `r`, which is at the root of the same repo."""
    uuid = await server.repo()
    await server.instance(uuid, "r", "region")
    for name in ("syn", "more"):
        await server.instance(uuid, name, "points")
    place = await server.instance(uuid, "sz", "labelsz", ROI=f"r,{uuid}")
    await server.post(f"{place}/sync", json={"sync": "syn,more"})
    sizes = Sizes(server, uuid)
    if spans is not None:
        await server.post(f"/api/node/{uuid}/r/set", json=spans)
    return sizes


async def test_what_is_outside_counts_nowhere(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(region, "INLINE", 10)
    sizes = await within(server)
    rng = random.Random(1)
    for n in range(6):
        await put(sizes, some(rng, 60, side=10), "syn" if n % 2 else "more")
        await sizes.check(inside)
    await sizes.reload()
    await sizes.check(inside)
    assert (await server.get(sizes.path("info")))["Extended"] == {"StaticROI": f"r,{sizes.uuid}"}


async def test_later_changes_of_the_region_have_no_effect_also_after_a_restart(
    server: RunningServer, engine: str
) -> None:
    sizes = await within(server)
    await put(sizes, some(random.Random(2), 60, side=10))
    await sizes.check(inside)
    await server.post(f"/api/node/{sizes.uuid}/r/set", json=[[0, 0, 0, 0]])
    await put(sizes, some(random.Random(3), 60, side=10))
    await sizes.check(inside)
    if engine != "memory":
        await server.restart()
    await put(sizes, some(random.Random(4), 60, side=10))
    await sizes.check(inside)


async def test_while_there_is_no_region_nothing_counts(server: RunningServer) -> None:
    sizes = await within(server, None)
    await put(sizes, some(random.Random(5), 60, side=10))
    await sizes.settled()
    assert await sizes.top("AllSyn") == []
    await server.post(f"/api/node/{sizes.uuid}/r/set", json=SPANS)
    await sizes.reload()
    await sizes.check(inside)


async def test_a_large_region_is_kept_whole(server: RunningServer) -> None:
    spans = [[z, y, -9, -5] for z in range(100) for y in range(100)] + SPANS
    sizes = await within(server, sorted(spans))
    await put(sizes, some(random.Random(6), 60, side=5))
    await sizes.check(inside)


@pytest.mark.parametrize("roi", ["nothing,{uuid}", "syn,{uuid}", "r,ffffffffffff"])
async def test_a_region_that_is_none_lets_nothing_count(server: RunningServer, roi: str) -> None:
    uuid = await server.repo()
    for name in ("syn", "more"):
        await server.instance(uuid, name, "points")
    place = await server.instance(uuid, "sz", "labelsz", ROI=roi.replace("{uuid}", uuid))
    await server.post(f"{place}/sync", json={"sync": "syn"})
    sizes = Sizes(server, uuid)
    await sizes.put([(0, 0, 0, 5, "PreSyn")])
    await sizes.settled()
    assert await sizes.top("PreSyn") == []


@pytest.mark.parametrize("roi", ["region", "region,a,b", ",", "a,", ",b", " , "])
async def test_settings_that_name_no_region_and_version_are_refused(server: RunningServer, roi: str) -> None:
    uuid = await server.repo()
    body = {"typename": "labelsz", "dataname": "sz", "ROI": roi}
    answer = await server.ask("POST", f"/api/repo/{uuid}/instance", json=body)
    assert answer.status == 400 and "ROI" in answer.text
