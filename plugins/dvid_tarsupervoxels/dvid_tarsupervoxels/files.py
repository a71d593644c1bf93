"""`Files`: the stored files of an instance.  They have no versions, whatever the instance says of itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from dvid_core import Disputed, Mutation, Staged, Value, View

from .keys import EXTENSION, FILE, SIZE
from .settings import TarSettings, checked_extension

Labels = NDArray[np.uint64]

SMALL = 64 << 10
"""Bytes of the longest file that is written with its key; longer ones are staged as they come."""

ASKED = 2048
"""Supervoxels that are looked up in one round trip."""

FIRST, MOST = 32, 256
"""Files that are read in the first round trip, and at most in a later one: up to `SMALL` bytes of each come along."""

PAGE = 2 << 20
"""Bytes that one round trip should bring."""


def stored(view: View) -> View:
    """Where the files of `view` lie: at the first version of the repo.

    An edit there is admitted as one at the version that was asked for, so that committed versions of an instance that
    is versioned refuse it.
    """
    own = View(view.instance, view.node, view.caller)
    if view.instance.versioned:
        own.version = view.instance.repo.dag.root.version
    return own


class Files:
    """The files with the extension that is used now."""

    def __init__(self, view: View, extension: str) -> None:
        self.view, self.extension = view, extension
        # A key ends with its supervoxel.
        self._file, self._size = FILE.key(extension, 0)[:-8], SIZE.key(extension, 0)[:-8]

    @classmethod
    async def of(cls, view: View) -> Files:
        """Those that a request at `view` means."""
        own = stored(view)
        changed = await own.get(EXTENSION.key())
        settings = cast("TarSettings", view.instance.settings)
        return cls(own, changed.decode() if changed is not None else checked_extension(settings.Extension))

    # -- reads

    async def find(self, supervoxel: int) -> Value | None:
        """One file; None when there is none."""
        return await self.view.open(FILE.key(self.extension, supervoxel))

    async def exist(self, supervoxels: Labels) -> NDArray[np.bool_]:
        """For each supervoxel whether it has a file."""
        out = np.zeros(len(supervoxels), bool)
        for at in range(0, len(supervoxels), ASKED):
            found = await self.view.find_many(_tkeys(self._size, supervoxels[at : at + ASKED]))
            out[at : at + len(found)] = [f is not None for f in found]
            await asyncio.sleep(0)
        return out

    async def pages(self, supervoxels: Labels) -> AsyncIterator[list[tuple[int, Value | None]]]:
        """The supervoxels with their files, some at a time, so that a few megabytes are in memory."""
        at, count = 0, FIRST
        while at < len(supervoxels):
            some = supervoxels[at : at + count]
            found = await self.view.find_many(_tkeys(self._file, some))
            page = list(zip(some.tolist(), map(undisputed, found)))
            size = sum(value.size for _, value in page if value is not None and value.size <= SMALL)
            at += len(page)
            count = min(MOST, max(1, PAGE * len(page) // (size + 1)), 2 * count)
            yield page

    # -- edits

    def put(self, m: Mutation, supervoxel: int, data: bytes | Staged) -> None:
        """Stage a file, in place of what is there."""
        size = data.size if isinstance(data, Staged) else len(data)
        m.put(FILE.key(self.extension, supervoxel), data)
        m.put(SIZE.key(self.extension, supervoxel), b"%d" % size)

    async def put_one(self, supervoxel: int, data: bytes | Staged) -> None:
        """Put one file."""

        async def change(m: Mutation) -> None:
            self.put(m, supervoxel, data)

        try:
            await self.view.edit("put", change)
        except BaseException:
            await discard(self.view, [data])
            raise

    async def delete_one(self, supervoxel: int) -> None:
        """Remove one file."""

        async def change(m: Mutation) -> None:
            m.delete(FILE.key(self.extension, supervoxel))
            m.delete(SIZE.key(self.extension, supervoxel))

        await self.view.edit("delete", change)


async def set_extension(view: View, extension: str) -> None:
    """Use another extension from now on; files with the old one stay, and are found when it is used again."""

    async def change(m: Mutation) -> None:
        m.put(EXTENSION.key(), extension.encode())

    await stored(view).edit("extension", change)


async def discard(view: View, values: Sequence[bytes | Staged]) -> None:
    """Drop the chunks of staged values that no edit took."""
    for value in values:
        if isinstance(value, Staged) and value.id in view.instance.live_stages:
            await view.discard(value)


def undisputed(found: Value | Disputed | None) -> Value | None:
    """What was found; data that one version alone writes are never disputed."""
    return None if isinstance(found, Disputed) else found


def _tkeys(prefix: bytes, supervoxels: Labels) -> list[bytes]:
    ids = supervoxels.astype(">u8").tobytes()
    return [prefix + ids[i : i + 8] for i in range(0, len(ids), 8)]
