"""The instances that a configuration asks for: one for each scale of a volume."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dvid_core import DvidError
from dvid_voxels.grids import GridScale

from .settings import PrecomputedConfig

if TYPE_CHECKING:
    from dvid_core.server import Server

log = logging.getLogger(__name__)

TYPENAMES = {"u1": "uint8blk", "<u2": "uint16blk", "<u4": "uint32blk", "<u8": "uint64blk", "<f4": "float32blk"}


async def make_instances(server: Server, config: PrecomputedConfig, scales: Sequence[GridScale]) -> None:
    """Make those that are not there; what cannot be made is reported in the log and left out."""
    if not config.instance:
        return
    try:
        repo, node = server.repos.find(config.uuid) if config.uuid else _any(server)
    except (DvidError, StopIteration) as err:
        log.warning("[store.%s] instance: no repo for %s: %s", config.alias, config.instance, err or "there is none")
        return
    for level, scale in enumerate(scales):
        name = config.instance if level == 0 else f"{config.instance}_{level}"
        if name in repo.instances:
            continue
        settings = {
            "typename": TYPENAMES.get(scale.sample, scale.sample),
            "dataname": name,
            "GridStore": config.alias,
            "ScaleLevel": str(level),
        }
        if scale.sample == "u1":
            settings["Compression"] = "jpeg"
        try:
            await server.repos.create_instance(repo, node, settings)
        except DvidError as err:
            log.warning("[store.%s] instance: %s cannot be made: %s", config.alias, name, err)


def _any(server: Server) -> tuple[Any, Any]:
    repo = next(iter(server.repos.by_id.values()))
    return repo, repo.dag.root
