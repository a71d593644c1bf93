"""A file that came as the body of a request: kept until its end, then written section by section."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from typing import IO, Any

import numpy as np

from dvid_core import BadRequest, Request, View

from ..geometry import Box, Triple
from ..images import PICTURE_BYTES
from ..paths import REQUEST_BYTES, box_of, check_bytes
from .sheets import Pictures, Sheets
from .source import check_kind, fitted, item_of
from .tiff_form import IMAGES, check_tiff

PICTURE = 128 << 20
"""Bytes of a file with one picture."""

HEAD = 4
"""Bytes that tell the form of a file."""

MARKS = {
    "PNG": (b"\x89PNG",),
    "JPEG": (b"\xff\xd8\xff",),
    "TIFF": (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"),
}


class FileBody:
    """A stack of sections as voxels of one kind: the bytes of a request, as POST raw has them."""

    def __init__(self, view: View, file: IO[bytes], kind: str) -> None:
        self._view, self._file, self._kind = view, file, kind
        self._sheets: Sheets
        self.size: Triple
        """z, y, x, known when it is open."""

    @classmethod
    async def open(cls, view: View, request: Request, kind: str) -> FileBody:
        """Take the body of `request`, a PNG, JPEG or TIFF, for an instance of `kind`.

        Raises `BadRequest` when it is none, or too large; nothing of its size is taken into memory.
        """
        file: IO[bytes] = tempfile.TemporaryFile(dir=view.instance.server.spool_dir)  # noqa: SIM115
        self = cls(view, file, kind)
        try:
            await self._fill(request)
            await view.run(self._look)
        except BaseException:
            self.close()
            raise
        return self

    async def _fill(self, request: Request) -> None:
        size, head = 0, b""
        async for piece in request.chunks():
            size += len(piece)
            if len(head) < HEAD:
                head += piece[:HEAD]
            limit = REQUEST_BYTES if len(head) < HEAD or _form(head) == "TIFF" else PICTURE
            if max(size, request.body.length or 0) > limit:
                raise BadRequest(f"the body has more than the {limit} bytes that a file can have here; use `dvid load`")
            await self._view.run(self._file.write, piece)

    def _look(self) -> None:
        self._file.flush()
        self._file.seek(0)
        form = _form(self._file.read(HEAD))
        if not form:
            raise BadRequest("the body is none of PNG, JPEG and TIFF")
        if form == "TIFF":
            check_tiff(self._file)
        self._file.seek(0)
        self._sheets = Pictures(self._file, "the body", (form,), IMAGES)
        check_kind(self._sheets.kind, self._kind)
        height, width = self._sheets.size
        if height * width * max(self._item.itemsize, 4) > 4 * PICTURE_BYTES:
            raise BadRequest(f"sections of {width} x {height} pixels are too large for a request; use `dvid load`")
        self.size = (self._sheets.count, height, width)
        check_bytes(self._sheets.count * height * width, self._item.itemsize)

    @property
    def _item(self) -> np.dtype[Any]:
        return item_of(self._kind)

    def box(self, offset: tuple[int, int, int]) -> Box:
        """Where it comes to lie with its first voxel at `offset` (x, y, z).  Raises `BadRequest`."""
        return box_of(self.size[::-1], offset)

    # -- as `dvid_core.requests.Body`

    @property
    def length(self) -> int:
        """Bytes of the voxels."""
        z, y, x = self.size
        return z * y * x * self._item.itemsize

    async def read(self, limit: int) -> bytes:
        """All voxels."""
        return b"".join([piece async for piece in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        """The voxels, section by section."""
        for n in range(self.size[0]):
            yield await self._view.run(self._section, n)

    def _section(self, n: int) -> bytes:
        return fitted(self._sheets.read(n), self._kind).tobytes()

    def close(self) -> None:
        """Remove the file."""
        if hasattr(self, "_sheets"):
            self._sheets.close()
        self._file.close()


def _form(head: bytes) -> str:
    return next((form for form, marks in MARKS.items() if head.startswith(marks)), "")
