"""Elements that are written while labels are edited."""

from __future__ import annotations

import asyncio
import random

import numpy as np
import pytest
from numpy.typing import NDArray

from dvid_core.testing.fixtures import RunningServer

from .labels import SLABS, WIDTH, SlabsAt, Tables
from .place import element, new_place


@pytest.mark.parametrize("seed", range(3))
async def test_lists_of_labels_are_right_after_edits_of_both_side_by_side(
    server: RunningServer, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = SlabsAt.bodies_of

    async def late(self: SlabsAt, supervoxels: NDArray[np.uint64]) -> NDArray[np.uint64]:
        # Labels change between the answer and its use, as those of millions of voxels do.
        found = await answer(self, supervoxels)
        await asyncio.sleep(r.random() / 100)
        return found

    monkeypatch.setattr(SlabsAt, "bodies_of", late)
    syn = await new_place(server)
    await server.instance(syn.uuid, "seg", "slabs")
    await server.post(f"{syn.path}/sync", json={"sync": "seg"})
    r = random.Random(seed)
    places = [(x, y, z) for x in range(WIDTH, SLABS * WIDTH, 3) for y in range(2) for z in range(0, 40, 20)]
    tables = Tables(None)
    done = False

    async def write() -> None:
        while not done:
            start, stop = r.sample(places, 2)
            await syn.post(*(element(p, r.choice(["PreSyn", "PostSyn"])) for p in r.sample(places, 8)))
            word, other = ("_".join(map(str, p)) for p in (start, stop))
            await server.ask("DELETE", f"{syn.path}/element/{word}")
            await server.ask("POST", f"{syn.path}/move/{other}/{word}")

    async def edit(op: str, *numbers: int) -> None:
        new = (await server.post(f"/api/node/{syn.uuid}/seg/{op}", json=numbers))["new"]
        if op == "merge":
            tables.bodies.update({s: numbers[0] for body in numbers[1:] for s in tables.of(body)})
        else:
            tables.bodies.update(dict.fromkeys(numbers[1:], new))

    writers = [asyncio.ensure_future(write()) for _ in range(4)]
    for _ in range(80):
        bodies = sorted({tables.body(s) for s in tables.all()})
        several = [b for b in bodies if len(tables.of(b)) > 1]
        if len(bodies) > 4 and (not several or r.random() < 0.5):
            await edit("merge", *r.sample(bodies, 2))
        else:
            body = r.choice(several)
            await edit("cleave", body, *r.sample(tables.of(body), len(tables.of(body)) // 2))
    done = True
    await asyncio.gather(*writers)
    await syn.idle()
    wanted: dict[int, set[tuple[int, int, int]]] = {}
    for x, y, z in await syn.all():
        wanted.setdefault(tables.body(tables.supervoxel(x)), set()).add((x, y, z))
    for body in {tables.body(s) for s in tables.all()}:
        assert set(await syn.label(body)) == wanted.get(body, set()), body
