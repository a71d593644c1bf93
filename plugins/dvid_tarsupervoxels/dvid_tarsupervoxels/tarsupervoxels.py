"""The datatype `tarsupervoxels`."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, ClassVar

from dvid_core import Info, Instance, Mutation, View
from dvid_voxels.label_events import BodySplit

from .files import Files
from .handlers import ROUTES
from .keys import CLASSES, PACK
from .loads import settle
from .settings import TarSettings

log = logging.getLogger(__name__)


class TarSupervoxels(Instance):
    """A file for each supervoxel, such as a mesh or a skeleton, and for each body a tar of its supervoxels' files.

    Sync it to the labelmap that has the supervoxels:

        POST /api/node/<uuid>/<name>/sync     with the body  {"sync": "segmentation"}

    Which supervoxels a body has is asked of the labelmap at each request, at the version of the request. The files
    themselves have no versions: what is put or deleted at any version is so at all of them. An instance that is made
    with versioned=false takes changes at committed versions too; else these refuse them.
    """

    typename = "tarsupervoxels"
    type_version = "0.1"
    type_url = "github.com/janelia-flyem/dvid/datatype/tarsupervoxels"
    Settings = TarSettings
    keys = CLASSES
    routes = ROUTES

    settings: TarSettings

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._loads: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        own = View(self, self.repo.dag.root)
        async for page in own.scan_keys(*PACK.all()):
            for tkey in page:
                await self._resume(*PACK.unpack(tkey))

    async def _resume(self, number: int) -> None:
        """Finish a load that a stop or crash cut short, before anybody reads or writes."""
        try:
            await settle(View(self, self.repo.dag.root), number)
        except Exception:
            log.exception("a load of %s that was cut short is not complete", self.name)

    async def close(self) -> None:
        for task in self._loads:
            task.cancel()
        await asyncio.gather(*self._loads, return_exceptions=True)

    async def settle(self, number: int) -> None:
        """Move the files of a pack under their own keys; it goes on when the caller is cancelled."""
        task = asyncio.get_running_loop().create_task(settle(View(self, self.repo.dag.root), number))
        self._loads.add(task)
        task.add_done_callback(self._loads.discard)
        await asyncio.shield(task)

    async def info(self, view: View) -> Info:
        return Info(extended={"Extension": (await Files.of(view)).extension})

    async def let_pass(self, m: Mutation, event: BodySplit) -> None:
        """Nothing is kept here that an edit of labels could change."""

    # The core syncs only types that handle something: the rarest of events, since each one costs a commit.
    handles: ClassVar = {BodySplit: let_pass}
