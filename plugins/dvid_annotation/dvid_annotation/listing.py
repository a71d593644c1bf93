"""`ListedElements`: what lists of labels hold, for those who follow an annotation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvid_core import Value, View
from dvid_voxels.annotation_events import FILED as CHANGE

from .keys import LABEL
from .segments import all_entries

TOGETHER = 10_000


class ListedElements:
    """`dvid_voxels.annotation_events.FiledElements` of one version."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def pages(self) -> AsyncIterator[NDArray[Any]]:
        """All elements on labels, as arrays of changes of 1."""
        labels: list[int] = []
        values: list[bytes] = []
        count = 0
        async for page in self._view.scan(*LABEL.all()):
            for tkey, found in page:
                if not isinstance(found, Value):
                    raise self._view.conflict(tkey, found.versions)
                value = await found.read()
                values.append(value)
                labels.append(int.from_bytes(tkey[1:9], "big"))
                count += int.from_bytes(value[:4], "little")
            if count >= TOGETHER:
                yield _changes(labels, values)
                labels, values, count = [], [], 0
        if values:
            yield _changes(labels, values)


def _changes(labels: list[int], values: list[bytes]) -> NDArray[Any]:
    entries = all_entries(values)
    out = np.empty(len(entries), CHANGE)
    out["label"] = np.repeat(np.array(labels, np.uint64), [int.from_bytes(v[:4], "little") for v in values])
    out["position"], out["kind"], out["change"] = entries["position"], entries["kind"], 1
    return out
