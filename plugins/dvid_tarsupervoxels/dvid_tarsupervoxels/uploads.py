"""A posted tar: kept in a file until its end, then looked through by `tarfile`; its contents stay where they are."""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
import time
from array import array
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import IO, Self

import numpy as np
from numpy.typing import NDArray

from dvid_core import BadRequest, Request, View

from .files import Labels
from .keys import parse_label

IN_MEMORY = 1 << 20
"""Bytes of a body that is kept in memory."""

PIECE = 1 << 20

HEADER = 4 << 10
"""Bytes of the header of one file, a long name and attributes included: `tarfile` keeps all of it in memory, and the
time that it takes grows with its square."""

GLOBAL = 100
"""Attributes for all files of a tar."""

FILES = 1_000_000
"""Files of one tar."""

SLICE = 0.02
"""Seconds of looking at headers, after which it is seen whether the client is still there."""


class Upload:
    """The bytes of a body, in memory or in a file without a name.  As a context it gives the room back."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._held = bytearray()
        self._file: IO[bytes] | None = None
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        if self._file is not None:
            self._file.close()

    async def fill(self, request: Request) -> None:
        """Take the body to its end."""
        async for piece in request.chunks():
            self._held += piece
            self.size += len(piece)
            if len(self._held) >= IN_MEMORY:
                if self._file is None:
                    folder = self._view.instance.server.spool_dir
                    self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (closed by `__exit__`)
                await self._spill(self._file)
        if self._file is not None:
            await self._spill(self._file)

    async def _spill(self, file: IO[bytes]) -> None:
        held, self._held = self._held, bytearray()
        await self._view.run(_append, file, held)

    def read(self, start: int, size: int) -> bytes:
        """`size` bytes, or those that are there.  Blocks when the body is large."""
        if self._file is None:
            return bytes(self._held[start : start + size])
        return os.pread(self._file.fileno(), size, start)

    def read_all(self, parts: Sequence[tuple[int, int]]) -> list[bytes]:
        """`read` of several starts and sizes."""
        return [self.read(start, size) for start, size in parts]

    async def pieces(self, start: int, size: int) -> AsyncIterator[bytes]:
        """One part in pieces."""
        for at in range(start, start + size, PIECE):
            yield await self._view.run(self.read, at, min(PIECE, start + size - at))


def _append(file: IO[bytes], data: bytearray) -> None:
    file.write(data)
    file.flush()


class Contents:
    """Which files of a tar hold which supervoxels, in the order of the tar."""

    def __init__(self) -> None:
        self._ids, self._starts, self._sizes = array("Q"), array("Q"), array("Q")

    @property
    def supervoxels(self) -> Labels:
        return np.frombuffer(self._ids, np.uint64) if self._ids else np.empty(0, np.uint64)

    @property
    def starts(self) -> Labels:
        """Where each begins in the upload."""
        return np.frombuffer(self._starts, np.uint64) if self._ids else np.empty(0, np.uint64)

    @property
    def sizes(self) -> Labels:
        return np.frombuffer(self._sizes, np.uint64) if self._ids else np.empty(0, np.uint64)

    def __len__(self) -> int:
        return len(self._ids)

    def places(self, which: NDArray[np.intp]) -> list[tuple[int, int]]:
        """Start and size of some of them."""
        return list(zip(self.starts[which].tolist(), self.sizes[which].tolist()))

    def take(self, found: Iterator[tuple[int, int, int]]) -> bool:
        """Add some more files; False when there are none left."""
        begun = time.monotonic()
        for supervoxel, start, size in found:
            self._ids.append(supervoxel)
            self._starts.append(start)
            self._sizes.append(size)
            if time.monotonic() - begun > SLICE:
                return True
        return False

    def check(self) -> None:
        """Raise `BadRequest` when a supervoxel has two files."""
        ids, counts = np.unique(self.supervoxels, return_counts=True)
        twice = ids[counts > 1]
        if len(twice):
            raise BadRequest(f"supervoxel {twice[0]} has {counts[counts > 1][0]} files in the tar")


async def read_contents(view: View, upload: Upload, extension: str) -> Contents:
    """What the tar holds.  Raises `BadRequest` naming the file that is wrong."""
    contents = Contents()
    if upload.size:
        found = _files(upload, extension)
        while await view.run(contents.take, found):
            pass
        await view.run(contents.check)
    return contents


class _Headers(io.RawIOBase):
    """The upload as `tarfile` reads it, which asks for headers only."""

    def __init__(self, upload: Upload) -> None:
        self._upload, self._at, self._room = upload, 0, HEADER

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= self._room:
            raise BadRequest(f"a file has a header of more than {HEADER} bytes")
        self._room -= size
        data = self._upload.read(self._at, size)
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to the next header."""
        self._at, self._room = offset, HEADER
        return offset

    def tell(self) -> int:
        return self._at


def _files(upload: Upload, extension: str) -> Iterator[tuple[int, int, int]]:
    """(supervoxel, start, size) of each file of a tar."""
    source = _Headers(upload)
    number = 0
    try:
        # The first header is read by the constructor; one that is wrong there means that this is no tar at all.
        tar = tarfile.TarFile(fileobj=source, mode="r", format=tarfile.PAX_FORMAT, encoding="utf-8")
        info = tar.next()
        while info is not None:
            number += 1
            if number > FILES:
                raise BadRequest(f"the tar has more than {FILES} files; send them in several requests")
            yield _checked(info, number, upload.size, extension)
            if len(tar.pax_headers) > GLOBAL:
                raise BadRequest(f"the tar has more than {GLOBAL} attributes for all files")
            source.seek(tar.offset)
            info = tarfile.TarInfo.fromtarfile(tar)
    except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
        return
    except (tarfile.EmptyHeaderError, tarfile.TruncatedHeaderError):  # type: ignore[attr-defined]
        raise BadRequest(f"the tar is cut off behind file {number}: its end, two blocks of zeros, is missing") from None
    except (tarfile.TarError, ValueError, OverflowError, RecursionError, KeyError, IndexError) as err:
        if not number:
            raise BadRequest(f"the body is no tar: {err}") from None
        raise BadRequest(f"the tar is broken behind file {number}: {err}") from None


def _checked(info: tarfile.TarInfo, number: int, length: int, extension: str) -> tuple[int, int, int]:
    what = f"file {number}, {info.name[:80]!r}"
    if not info.isreg() or info.issparse():
        raise BadRequest(f"{what}: it is no plain file")
    digits, _, ending = info.name.partition(".")
    try:
        supervoxel = parse_label(digits)
    except ValueError:
        raise BadRequest(f"{what}: expected <supervoxel>.{extension}, the supervoxel from 1 to 2^64-1") from None
    if ending != extension:
        raise BadRequest(f"{what}: expected the extension {extension!r}")
    start, size = info.offset_data, info.size
    if size < 0 or start + size > length:
        raise BadRequest(f"{what}: it claims {size} bytes, and {max(0, length - start)} are there: the tar is cut off")
    return supervoxel, start, size
