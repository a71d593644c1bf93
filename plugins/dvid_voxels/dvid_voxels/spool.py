"""`Spool`: the voxels of one box on their way between a stream and blocks, in memory or in a file without a name.

A stream is x fastest, so a layer of blocks is whole only when its last byte is there, and that may be gigabytes.
All methods block.
"""

from __future__ import annotations

import math
import os
import tempfile
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .geometry import Box

Array = NDArray[Any]


class Spool:
    """Room for the voxels of `box`, opaque items of dtype `item`; it is written at its end or box by box.

    What was never written is 0 in a file, and anything in memory.
    """

    def __init__(self, box: Box, item: str, *, in_memory: bool, folder: Path | None = None) -> None:
        """`folder` is where the file lies, None the system's place."""
        self.box, self.item = box, np.dtype(item)
        self.nbytes = math.prod(box.size) * self.item.itemsize
        self.filled = 0
        """Bytes that were appended."""
        self._room = np.empty(self.nbytes, np.uint8) if in_memory else None
        self._file = None if in_memory else tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (closed by `close`)
        if self._file is not None:
            os.ftruncate(self._fd, self.nbytes)

    @property
    def in_memory(self) -> bool:
        """Whether the methods are quick."""
        return self._file is None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the room back."""
        self._room = None
        if self._file is not None:
            self._file.close()

    def __del__(self) -> None:
        # One that was filled ahead for a request that ended meanwhile.
        if self._file is not None:
            self._file.close()

    def append(self, piece: memoryview) -> None:
        """Add the next bytes of a stream; there must be room for them."""
        start, self.filled = self.filled, self.filled + len(piece)
        if self._room is not None:
            self._room[start : self.filled] = np.frombuffer(piece, np.uint8)
        else:
            self._write(piece, start)

    def piece(self, start: int, size: int) -> bytes:
        """`size` bytes from `start` on, in the order of the stream."""
        if self._room is not None:
            return self._room[start : start + size].tobytes()
        return os.pread(self._fd, size, start)

    def put(self, box: Box, voxels: Array) -> None:
        """Write the voxels (z, y, x) of a box within this one."""
        if self._room is not None:
            self._array[box.slices(self.box)] = voxels
            return
        for start, piece in self._runs(box, voxels):
            self._write(piece.data.cast("B"), start)

    def get(self, box: Box) -> Array:
        """The voxels (z, y, x) of a box within this one."""
        if self._room is not None:
            return self._array[box.slices(self.box)]
        out = np.empty(box.size, self.item)
        for start, piece in self._runs(box, out):
            if os.preadv(self._fd, [piece.data.cast("B")], start) != piece.nbytes:
                raise OSError("a spool file is shorter than what was written to it")
        return out

    @property
    def _array(self) -> Array:
        assert self._room is not None
        return self._room.view(self.item).reshape(self.box.size)

    @property
    def _fd(self) -> int:
        assert self._file is not None
        return self._file.fileno()

    def _write(self, piece: memoryview, start: int) -> None:
        while len(piece):
            done = os.pwrite(self._fd, piece, start)
            piece, start = piece[done:], start + done

    def _runs(self, box: Box, voxels: Array) -> list[tuple[int, Array]]:
        """The parts of `voxels` that lie together in the file, and where."""
        voxels = np.ascontiguousarray(voxels)
        _, high, wide = self.box.size
        z0, y0, x0 = (o - p for o, p in zip(box.low, self.box.low))
        depth, rows, width = box.size
        if width == wide:
            places = [(((z0 + z) * high + y0) * wide, voxels[z]) for z in range(depth)]
        else:
            places = [(((z0 + z) * high + y0 + y) * wide + x0, voxels[z, y]) for z in range(depth) for y in range(rows)]
        return [(start * self.item.itemsize, piece) for start, piece in places]
