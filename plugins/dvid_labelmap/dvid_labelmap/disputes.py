"""Supervoxels about whose body the parents of a merge disagree."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from typing import Any

import numpy as np

from .mapping import Mapping, join_all


def rivals(dag: Any, version: int, entries: Dict[int, int]) -> list[int]:
    """The versions that decide what `version` sees of a supervoxel and that disagree; none when all is settled.

    `entries` are its bodies by the version that wrote them.
    """
    nearest: list[int] = dag.survivors(version, sorted(entries, reverse=True))
    return nearest if len({entries[v] for v in nearest}) > 1 else []


def disputes(mapping: Mapping, dag: Any, version: int) -> list[tuple[int, list[int]]]:
    """A kernel: all such supervoxels, ascending, each with these versions."""
    layers = mapping.layers
    if not layers:
        return []
    seen = np.array([dag.is_ancestor(v, version) for v in mapping.versions])
    whole = join_all(layers)
    rows = np.flatnonzero(seen[whole.writers])
    names = whole.supervoxels[rows]
    several = np.zeros(len(names), bool)
    same = names[1:] == names[:-1]
    several[1:] |= same
    several[:-1] |= same
    rows = rows[several]
    out: list[tuple[int, list[int]]] = []
    entries: dict[int, int] = {}
    supervoxel = -1
    columns = (whole.supervoxels[rows].tolist(), whole.bodies[rows].tolist(), whole.writers[rows].tolist())
    for name, body, writer in [*zip(*columns), (-1, 0, 0)]:
        if name != supervoxel:
            if entries and (versions := rivals(dag, version, entries)):
                out.append((supervoxel, versions))
            supervoxel, entries = name, {}
        entries[mapping.versions[writer]] = body
    return out
