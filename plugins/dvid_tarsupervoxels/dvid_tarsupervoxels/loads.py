"""Storing the files of a tar, all or none.

Few are one commit.  Many small ones go into a pack, one large value: the commit that names it decides, and from then
on they are moved under their own keys, also after a restart.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dvid_core import BadRequest, Mutation, Staged, Value, View

from .files import SMALL, Files, Labels, discard
from .keys import DONE, PACK
from .uploads import Contents, Upload

TOGETHER = 8 << 20
"""Bytes of small files that one commit writes: it holds up everybody for about 2 ms a megabyte."""

COUNT = 4000
"""Small files that one commit writes."""

GATHER = 64
"""Small files that are read in one hop to a thread."""

LARGE = 20_000
"""Files of more than `SMALL` bytes that one request may have: the commit that names them holds up everybody."""


async def store(files: Files, upload: Upload, contents: Contents) -> int | None:
    """Make the files of the tar the instance's, all or none; gives the number of the pack that is still to be moved."""
    sizes = contents.sizes
    small, large = np.flatnonzero(sizes <= SMALL), np.flatnonzero(sizes > SMALL)
    if len(large) > LARGE:
        raise BadRequest(
            f"the tar has {len(large)} files of more than {SMALL} bytes; send at most {LARGE} of them in one request"
        )
    view = files.view
    staged: dict[int, bytes | Staged] = {}
    pack: bytes | Staged | None = None
    try:
        for supervoxel, (start, size) in zip(contents.supervoxels[large].tolist(), contents.places(large)):
            staged[supervoxel] = await view.stage(upload.pieces(start, size))
        if len(small) > COUNT or int(sizes[small].sum()) > TOGETHER:
            pack = await view.stage(packed(view, files.extension, upload, contents, small))
        else:
            data = await view.run(upload.read_all, contents.places(small))
            staged.update(zip(contents.supervoxels[small].tolist(), data))
        number = secrets.randbits(63)

        async def change(m: Mutation) -> None:
            for supervoxel, data in staged.items():
                files.put(m, supervoxel, data)
            if pack is not None:
                m.put(PACK.key(number), pack)

        await view.edit("load", change)
    except BaseException:
        await discard(view, [*staged.values(), pack or b""])
        raise
    return None if pack is None else number


# -- packs: count, length of the extension, extension, supervoxels, sizes, and then the files


async def packed(
    view: View, extension: str, upload: Upload, contents: Contents, which: NDArray[np.intp]
) -> AsyncIterator[bytes]:
    """A pack of some files of an upload."""
    name = extension.encode()
    yield len(which).to_bytes(8, "little") + len(name).to_bytes(8, "little") + name
    yield contents.supervoxels[which].tobytes()
    yield contents.sizes[which].tobytes()
    places = contents.places(which)
    for at in range(0, len(places), GATHER):
        yield b"".join(await view.run(upload.read_all, places[at : at + GATHER]))


class Pack:
    """A stored pack."""

    def __init__(self, value: Value, extension: str, supervoxels: Labels, ends: Labels) -> None:
        self._value, self.extension, self.supervoxels, self._ends = value, extension, supervoxels, ends

    @classmethod
    async def open(cls, value: Value) -> Self:
        """Read what it holds, but not the files."""
        start = await value.read(0, 16)
        count, length = int.from_bytes(start[:8], "little"), int.from_bytes(start[8:], "little")
        head = 16 + length + 16 * count
        table = await value.read(16, head)
        numbers = np.frombuffer(table, "<u8", offset=length)
        ends = head + np.concatenate(([0], np.cumsum(numbers[count:]))).astype(np.uint64)
        return cls(value, table[:length].decode(), numbers[:count], ends)

    def __len__(self) -> int:
        return len(self.supervoxels)

    async def files(self, first: int) -> list[tuple[int, bytes]]:
        """Some files from the one numbered `first` on: what one commit takes."""
        begin = self._ends[first]
        last = min(int(np.searchsorted(self._ends, begin + np.uint64(TOGETHER), "right")) - 1, first + COUNT)
        last = max(last, first + 1)
        data = await self._value.read(int(begin), int(self._ends[last]))
        places = (self._ends[first : last + 1] - begin).tolist()
        return [(s, data[a:b]) for s, a, b in zip(self.supervoxels[first:last].tolist(), places, places[1:])]


async def settle(view: View, number: int) -> None:
    """Move the files of a pack under their own keys, from where it stopped; `view` is one of the server itself."""
    value = await view.open(PACK.key(number))
    if value is None:
        return
    pack = await Pack.open(value)
    files = Files(view, pack.extension)
    done = int(await view.get(DONE.key(number)) or b"0")
    while done < len(pack):
        some = await pack.files(done)
        done += len(some)
        await _move(files, number, some, done)
        await asyncio.sleep(0)

    async def finish(m: Mutation) -> None:
        m.delete(PACK.key(number))
        m.delete(DONE.key(number))

    await view.edit("load", finish)


async def _move(files: Files, number: int, some: list[tuple[int, bytes]], done: int) -> None:
    async def change(m: Mutation) -> None:
        for supervoxel, data in some:
            files.put(m, supervoxel, data)
        m.put(DONE.key(number), b"%d" % done)

    await files.view.edit("load", change)
