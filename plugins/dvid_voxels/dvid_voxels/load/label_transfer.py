"""Labels on their way to a server: packed into label blocks here, several slabs at a time.

What goes over the network is a hundredth of the voxels, and the server has less to do.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from .. import labels
from ..geometry import Box
from .ahead import ahead
from .remote import Remote
from .slabs import Plan
from .source import Array, Source

WIDTH = max(2, min(8, os.cpu_count() or 2))
"""Slabs that are under way at a time, besides the one that is being read."""

HELD = 1 << 30
"""Bytes of their voxels, unless one has more."""


def send_slabs(remote: Remote, plan: Plan, source: Source, slabs: Sequence[Box]) -> Iterator[Box]:
    """Send slabs as label blocks; gives each in order once it and all before it are there.

    Blocks that the volume fills in part only keep the rest of their voxels.
    """
    width = max(1, min(WIDTH, HELD // max(map(plan.nbytes, slabs), default=1)))
    under_way: deque[tuple[Box, Future[None]]] = deque()
    arrays = ahead(_read(remote, plan, source, slab) for slab in slabs)
    with ThreadPoolExecutor(width, thread_name_prefix="labels") as pool:
        try:
            for slab, voxels in zip(slabs, arrays):
                under_way.append((slab, pool.submit(_send, remote, plan, slab, voxels)))
                while len(under_way) >= width or (under_way and under_way[0][1].done()):
                    yield _ended(under_way)
            while under_way:
                yield _ended(under_way)
        finally:
            arrays.close()
            pool.shutdown(wait=False, cancel_futures=True)


def _ended(under_way: deque[tuple[Box, Future[None]]]) -> Box:
    slab, sending = under_way[0]
    sending.result()
    under_way.popleft()
    return slab


def _read(remote: Remote, plan: Plan, source: Source, slab: Box) -> Array:
    if plan.box.contains(slab):
        voxels = np.empty(slab.size, "<u8")
    else:
        data = remote.get(slab.size, slab.low, supervoxels="true")
        voxels = np.frombuffer(data, "<u8").reshape(slab.size).copy()
    plan.fill(source, slab, voxels)
    return voxels


def _send(remote: Remote, plan: Plan, slab: Box, voxels: Array) -> None:
    blocks = labels.encode_blocks(voxels, plan.block)
    names = slab.blocks(plan.block).points()
    body = b"".join([labels.frame(at, labels.gzipped(block)) for at, block in zip(names, blocks)])
    remote.ask("POST", "blocks", body, len(body), downres="true")
