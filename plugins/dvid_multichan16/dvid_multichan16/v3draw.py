"""V3D raw files, as Vaa3D writes them: 43 bytes, then the channels one after another, x fastest, then y, then z.

    24s "raw_image_stack_by_hpeng" | 1s "L" or "B", the order of bytes | u16 bytes of a value, 1 or 2
    u32 width | u32 height | u32 depth | u32 channels

See `loadRaw2Stack` of Vaa3D: https://github.com/Vaa3D/v3d_external
"""

from __future__ import annotations

import math
import struct
from collections.abc import AsyncIterator

import msgspec
import numpy as np

from dvid_core import BadRequest

from .channels import EMPTY, MOST, Channel

HEAD = 43
MARK = b"raw_image_stack_by_hpeng"

LARGEST = 1 << 42
"""Bytes of a file."""


class Head(msgspec.Struct, frozen=True):
    """What the head of a file says."""

    order: str
    """`<` or `>`, the order of bytes."""
    width: int
    """Bytes of a value."""
    size: tuple[int, int, int]
    """x, y, z."""
    channels: int

    @property
    def nbytes(self) -> int:
        """Bytes of one channel."""
        return math.prod(self.size) * self.width


def read_head(data: bytes) -> Head:
    """The head of a file.  Raises `BadRequest`."""
    if len(data) < HEAD or not data.startswith(MARK):
        raise BadRequest(f"the body is no V3D raw file: it does not begin with {MARK.decode()} and its sizes")
    order = {b"L": "<", b"B": ">"}.get(data[24:25])
    if order is None:
        raise BadRequest(f"V3D raw file: the order of bytes is {data[24:25]!r}, expected L or B")
    width, x, y, z, channels = struct.unpack(f"{order}H4I", data[25:HEAD])
    if width not in (1, 2):
        raise BadRequest(f"V3D raw file: its values have {width} bytes; those of 1 and 2 can be loaded")
    if not 1 <= channels <= MOST:
        raise BadRequest(f"V3D raw file: it has {channels} channels; 1 to {MOST} can be loaded")
    for name, n in zip(("width", "height", "depth"), (x, y, z)):
        if not 1 <= n < 2**31:
            raise BadRequest(f"V3D raw file: its {name} is {n}")
    head = Head(order, width, (x, y, z), channels)
    if head.nbytes * channels > LARGEST:
        raise BadRequest(f"V3D raw file: {head.nbytes * channels} bytes of voxels are more than can be loaded")
    return head


class Source:
    """The bytes of a file, taken in portions from a stream."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    async def take(self, most: int) -> bytes:
        """The next bytes, at most so many; none at the end."""
        if not self._rest:
            self._rest = bytes(await anext(self._pieces, b""))
        taken, self._rest = self._rest[:most], self._rest[most:]
        return taken

    async def exactly(self, count: int) -> bytes:
        """The next `count` bytes, or as many as there are."""
        out = b""
        while len(out) < count and (piece := await self.take(count - len(out))):
            out += piece
        return out


class ChannelBody:
    """One channel of a file as the body of a request: values of 2 bytes, little-endian; notes their range."""

    def __init__(self, source: Source, head: Head) -> None:
        self._source, self._head = source, head
        self.low, self.high = EMPTY.low, EMPTY.high

    @property
    def length(self) -> int:
        return self._head.nbytes // self._head.width * 2

    async def read(self, limit: int) -> bytes:
        return b"".join([piece async for piece in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        head, left, odd = self._head, self._head.nbytes, b""
        while left:
            piece = await self._source.take(left)
            if not piece:
                raise BadRequest("the body ended before the last voxel of the V3D raw file")
            left -= len(piece)
            data = odd + piece if odd else piece
            whole = len(data) // head.width * head.width
            odd = data[whole:]
            if not whole:
                continue
            values = np.frombuffer(data, f"{head.order}u{head.width}", whole // head.width)
            self.low, self.high = min(self.low, int(values.min())), max(self.high, int(values.max()))
            yield data[:whole] if values.dtype == "<u2" else values.astype("<u2").tobytes()

    @property
    def channel(self) -> Channel:
        """The range of the values that came."""
        return Channel(self.low, self.high)
