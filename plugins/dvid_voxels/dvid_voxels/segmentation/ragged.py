"""`RaggedBox`: bounds of sparse volumes at which runs may stick out, as clients of older datatypes know them."""

from __future__ import annotations

import numpy as np

from .. import labels
from ..geometry import Box
from ..labels.runs import Runs
from .body import Labels

SUB = 8
"""Voxels along each side of a sub-block."""


class RaggedBox(Box, frozen=True):
    """A box of voxels.  A run that its last x cuts goes on to the end of its sub-block, if all of that is of the
    label; not so in blocks that are of the label as a whole."""

    def beyond(self, found: labels.Blocks, chosen: Labels) -> Runs:
        """A kernel: what sticks out, as runs."""
        x = self.high[2]
        if x % SUB == 0 or not self.count or not len(found):
            return np.empty((0, 4), np.int32)
        marked = found.mapped(np.isin(found.tables(), chosen).astype(np.uint64))
        _, bits, _, pal, palette = marked.laid()
        even = ((bits == 0) & (palette[pal] != 0)).reshape(len(marked), *marked.grid)
        block, place = divmod(x // SUB, marked.grid[2])
        some = (marked.at[:, 2] == block) & ~even.all(axis=(1, 2, 3))
        row, cell_z, cell_y = np.nonzero(even[some][..., place])
        at = marked.at[some][row]
        z = _within(at[:, 0] * marked.grid[0] + cell_z, self.low[0], self.high[0])
        y = _within(at[:, 1] * marked.grid[1] + cell_y, self.low[1], self.high[1])
        keep = z[1][:, :, None] & y[1][:, None, :]
        cell, in_z, in_y = np.nonzero(keep)
        out = np.empty((len(cell), 4), np.int32)
        out[:, 0], out[:, 3] = x, SUB - x % SUB
        out[:, 1], out[:, 2] = y[0][cell, in_y], z[0][cell, in_z]
        return out


def _within(cells: np.ndarray, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
    """The voxels of each sub-block along an axis, and which of them are between two corners."""
    voxels = cells[:, None] * SUB + np.arange(SUB)
    return voxels, (voxels >= low) & (voxels < high)
