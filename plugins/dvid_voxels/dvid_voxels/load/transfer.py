"""A volume on its way to a server, slab by slab; what was sent is noted there, so that it can go on after a break."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

import msgspec

from ..geometry import Box, Triple
from .ahead import ahead
from .progress import Progress
from .remote import Refusal, Remote
from .slabs import Plan
from .source import RGBA, Array, BadSource, Source, check_kind

TYPES = {
    "uint8blk": "uint8",
    "uint16blk": "uint16",
    "uint32blk": "uint32",
    "uint64blk": "uint64",
    "float32blk": "float32",
    "rgba8blk": RGBA,
    "labelmap": "uint64",
    "labelarray": "uint64",
    "labelblk": "uint64",
}
"""The kind of voxels of each datatype that can be loaded."""

LABELS = ("labelmap", "labelarray", "labelblk")
"""Those that take whole blocks only."""

PACKED = ("labelmap", "labelarray")
"""Those that take label blocks."""


class Transfer:
    """One load; `slabs` are to be sent in order, the first `done` are there already."""

    def __init__(self, remote: Remote, source: Source, low: Triple) -> None:
        """`low` is where the source's first voxel goes, z, y, x.  Raises `BadSource` when they do not fit together."""
        self._remote, self._source = remote, source
        info = remote.info()
        self.plan = plan_of(info, source, low)
        self._packed = info["Base"]["TypeName"] in PACKED
        self.slabs = self.plan.slabs
        words = (source.stamp, source.shape, source.kind, msgspec.to_builtins(self.plan))
        self.id = hashlib.blake2b(repr(words).encode(), digest_size=16).hexdigest()
        self.done = 0
        self.is_kept = True
        """Whether the server keeps note of what is done."""

    def resume(self) -> None:
        """Ask the server how far an earlier load of the same came."""
        try:
            found = self._remote.progress(self.id)
        except Refusal:
            self.is_kept = False
            return
        if found is not None and found.of == len(self.slabs):
            self.done = min(found.done, found.of)

    def run(self, sent: Callable[[int], None]) -> None:
        """Send what is not there; `sent` is told the bytes of each piece."""
        send = self._as_blocks if self._packed else self._as_voxels
        for _ in send(self.slabs[self.done :], sent):
            if self.is_kept:
                self._remote.note(self.id, self._progress(self.done + 1))
            self.done += 1

    def _as_blocks(self, slabs: list[Box], sent: Callable[[int], None]) -> Iterator[Box]:
        # It has a compiler for its kernels, which loads of images need not wait for.
        from .label_transfer import send_slabs

        for slab in send_slabs(self._remote, self.plan, self._source, slabs):
            sent(self.plan.nbytes(slab))
            yield slab

    def _as_voxels(self, slabs: list[Box], sent: Callable[[int], None]) -> Iterator[Box]:
        pieces = ahead(chain.from_iterable(self.plan.pieces(self._source, slab) for slab in slabs))
        try:
            for slab in slabs:
                self._send(slab, pieces, sent)
                yield slab
        finally:
            pieces.close()

    def _send(self, slab: Box, pieces: Iterator[Array], sent: Callable[[int], None]) -> None:
        left = self.plan.nbytes(slab)

        def body() -> Iterator[memoryview]:
            nonlocal left
            while left:
                piece = next(pieces)
                left -= piece.nbytes
                yield piece.data.cast("B")
                sent(piece.nbytes)

        unaligned = "" if slab.is_aligned(self.plan.block) else "true"
        self._remote.put(_xyz(slab.size), _xyz(slab.low), body(), left, unaligned=unaligned)

    def _progress(self, done: int) -> Progress:
        box = self.plan.box
        return Progress(
            source=self._source.name[-4096:],
            offset=box.low[::-1],
            size=box.size[::-1],
            done=done,
            of=len(self.slabs),
            user=os.environ.get("USER", "")[:256],
        )

    def nbytes(self, slabs: Iterable[Box]) -> int:
        """Bytes of the voxels of slabs."""
        return sum(map(self.plan.nbytes, slabs))


def plan_of(info: dict[str, Any], source: Source, low: Triple) -> Plan:
    """How a source is sent to the instance of this info.  Raises `BadSource` when they do not fit together."""
    typename, extended = info["Base"]["TypeName"], info["Extended"]
    kind = TYPES.get(typename)
    if kind is None:
        raise BadSource(f"{info['Base'].get('Name')} is a {typename}, which takes no volume; {', '.join(TYPES)} do")
    if extended.get("GridStore"):
        raise BadSource(f"{info['Base'].get('Name')} shows the volume of another store and cannot be written")
    check_kind(source.kind, kind)
    if 0 in source.shape:
        raise BadSource(f"{source.name} is empty")
    if any(not -(2**31) <= a <= a + n < 2**31 for a, n in zip(low, source.shape)):
        raise BadSource("--offset: the volume would go beyond 32-bit coordinates")
    x, y, z = extended["BlockSize"]
    block = (z, y, x)
    if typename in LABELS and typename not in PACKED and any(a % b for a, b in zip(low, block)):
        raise BadSource(f"--offset: a {typename} takes whole blocks, so the offset must be a multiple of {x},{y},{z}")
    return Plan(low, source.shape, block, kind, source.sections, typename in LABELS)


def _xyz(zyx: Triple) -> str:
    return "_".join(map(str, zyx[::-1]))
