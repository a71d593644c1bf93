"""What followers hear."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import dvid_labelarray
import numpy as np
import pytest

from dvid_core import U64, Instance, KeyClass, Mutation, hookimpl
from dvid_core.testing.fixtures import RunningServer
from dvid_voxels.label_events import LabelsAt, LabelsRewritten, VoxelsWritten
from dvid_voxels.segmentation import rewriting
from dvid_voxels.testing.volume import cells

from .bodies import Bodies

HEARD = KeyClass(1, "what was heard", U64)


class Watcher(Instance):
    """Keeps the label of one voxel as it is whenever the voxels of its block were written."""

    typename = "watcher"
    keys = (HEARD,)

    async def written(self, m: Mutation, event: VoxelsWritten) -> None:
        """Look at the voxel."""
        if (0, 0, 0) not in event.blocks:
            return
        source = self.repo.by_id(m.chain[-1])
        assert source is not None
        peer = await m.view.peer(source.name, LabelsAt)
        assert (await peer.bodies_of(np.array([5], np.uint64))).tolist() == [5]
        label = int((await peer.labels_at(np.array([[3, 2, 1]])))[0])
        m.put(HEARD.key(0), label.to_bytes(8, "little"))

    handles = {VoxelsWritten: written}  # noqa: RUF012


@pytest.fixture
def plugins() -> Sequence[ModuleType]:
    return (dvid_labelarray, cast("ModuleType", SimpleNamespace(dvid_datatypes=hookimpl(datatypes), __name__="w")))


def datatypes() -> list[type[Instance]]:
    """For the server."""
    return [Watcher]


async def test_followers_hear_of_writes_merges_and_splits(
    server: RunningServer, bodies: Bodies, monkeypatch: pytest.MonkeyPatch
) -> None:
    await server.instance(bodies.uuid, "watcher", "watcher")
    await server.post(f"/api/node/{bodies.uuid}/watcher/sync", json={"sync": "bodies"})
    voxels = cells((32, 32, 32))
    voxels[3, 2, 1] = 5

    async def heard() -> int:
        await server.server.bus.idle()
        repo, node = server.server.repos.find(bodies.uuid)
        watcher: Any = repo.instance("watcher")
        from dvid_core import View

        return int.from_bytes(await View(watcher, node).get(HEARD.key(0)) or b"", "little")

    await bodies.put((0, 0, 0), voxels)
    assert await heard() == 5
    monkeypatch.setattr(rewriting, "DIRECT", 0)
    await bodies.merge(6, 5)
    assert await heard() == 6
    new = await bodies.split(6, np.array([[3, 2, 1]]))
    assert await heard() == new
    coarse = await bodies.split_coarse(new, np.array([[0, 0, 0]]))
    assert await heard() == coarse
    assert issubclass(LabelsRewritten, VoxelsWritten)


async def test_it_follows_nobody(server: RunningServer, bodies: Bodies) -> None:
    await server.instance(bodies.uuid, "other", "labelarray")
    assert await bodies.refused("POST", "sync", b'{"sync": "other"}')
