"""`Pile`: the bytes of a reply whose beginning is known only at its end, in memory, then in a file without a name."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

from dvid_core import Piece, View

MEMORY = 8 << 20
"""Bytes that are held in memory."""

SENT = 1 << 20
"""Bytes that are given back at once."""


class Pile:
    """Grows at its end; `add`, `read` block."""

    def __init__(self, folder: Path | None, memory: int = MEMORY) -> None:
        """`folder` is where the file lies, None the system's place."""
        self.nbytes = 0
        self._folder, self._memory = folder, memory
        self._held: list[Piece] = []
        self._file: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the room back."""
        self._held = []
        if self._file is not None:
            self._file.close()

    def __del__(self) -> None:
        # Of a reply that nobody began to send.
        self.close()

    @property
    def in_memory(self) -> bool:
        """Whether nothing went to a file yet."""
        return self._file is None

    def add(self, piece: Piece) -> None:
        """Put bytes at the end."""
        if not len(piece):
            return
        self.nbytes += len(piece)
        self._held.append(piece)
        if self._file is None:
            if self.nbytes <= self._memory:
                return
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115  (closed by `close`)
        for held in self._held:
            self._file.write(held)
        self._held = []

    def read(self, start: int, size: int) -> bytes:
        """`size` bytes from `start` on; fewer at the end."""
        if self._file is None:
            self._held = [b"".join(self._held)]
            return bytes(memoryview(self._held[0])[start : start + size])
        self._file.seek(start)
        found: bytes = self._file.read(size)
        self._file.seek(0, 2)
        return found

    async def drop(self, view: View) -> None:
        """`close`, in a thread when there is a file: to give back gigabytes takes the system a second."""
        if self._file is None:
            self.close()
        else:
            await view.run(self.close)

    async def put(self, view: View, piece: Piece) -> None:
        """`add`, in a thread when it writes to a file."""
        if self._file is None and self.nbytes + len(piece) <= self._memory:
            self.add(piece)
        else:
            await view.run(self.add, piece)

    async def pieces(self, view: View, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """The bytes, or a part of them, in order."""
        stop = self.nbytes if stop is None else stop
        for at in range(start, stop, SENT):
            size = min(SENT, stop - at)
            yield self.read(at, size) if self.in_memory else await view.run(self.read, at, size)
