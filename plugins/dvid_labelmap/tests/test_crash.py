"""What a stop in the middle of an ingest leaves, and that it is finished at the next start."""

from __future__ import annotations

from typing import Any

import pytest

from dvid_core.testing.fixtures import RunningServer
from dvid_voxels.segmentation import pyramid

from .segmentation import Segmentation, cells, halved, stream


@pytest.mark.parametrize("engine", ["rocksdb"])
@pytest.mark.parametrize("after", [0, 1])
async def test_lower_scales_that_were_cut_short_are_computed_at_the_next_start(
    server: RunningServer, seg: Segmentation, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    voxels = cells((64, 64, 64))
    await seg.post_blocks((0, 0, 0), cells((64, 64, 64), seed=8), "?downres=true")
    done = 0

    real = pyramid._compute_some

    async def cut(*args: Any) -> None:
        nonlocal done
        if done == after:
            raise RuntimeError("the server stops here")
        done += 1
        await real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(pyramid, "_compute_some", cut)
        answer = await seg.ask("POST", "blocks?downres=true", stream((0, 0, 0), voxels))
        assert answer.status == 500
        await seg.check_indices((0, 0, 0), voxels)
    await server.restart()
    for scale in range(3):
        assert (await seg.get((0, 0, 0), voxels.shape, f"?scale={scale}") == voxels).all()  # type: ignore[arg-type]
        voxels = halved(voxels) if scale < 2 else voxels


@pytest.mark.parametrize("engine", ["rocksdb"])
async def test_a_body_that_breaks_off_leaves_whole_groups_and_can_be_sent_again(
    server: RunningServer, seg: Segmentation
) -> None:
    voxels = cells((96, 96, 96))
    body = stream((0, 0, 0), voxels)
    await seg.refused("POST", "blocks?downres=true", body[: len(body) - 5])
    found = await seg.get((0, 0, 0), voxels.shape, "?supervoxels=true")
    await seg.check_indices((0, 0, 0), found)
    await server.post(f"{seg.place}/blocks?downres=true", body)
    await seg.check_indices((0, 0, 0), voxels)
    assert (await seg.get((0, 0, 0), (48, 48, 48), "?scale=1") == halved(voxels)).all()
