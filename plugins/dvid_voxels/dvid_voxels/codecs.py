"""How a block becomes bytes: in the store, and on the wire.

A stored block is one tag byte and a payload.  The tag says the codec (`Tag`); with 0x80 added, a CRC-32 of the payload
(4 bytes, little-endian) comes before it.  Payloads:

    RAW     the voxels, x fastest, little-endian
    BLOSC2  a Blosc2 chunk
    LZ4     uint32 LE size of the voxels, then an LZ4 block
    SNAPPY  a Snappy block
    GZIP    a gzip member
    JPEG    a gray JPEG, width = x, height = y * z of the block

All functions are kernels: blocking, over bytes and arrays, without the GIL where it takes time.
"""

from __future__ import annotations

import enum
import importlib
import io
import zlib
from functools import cache
from typing import Any

import cramjam
import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dvid_core import Compression, Piece

from .geometry import Triple

JPEG_QUALITY = 80
PROBED = 16 << 10
"""Bytes of a block from which on some of its planes are packed before all of it is."""

CRC = 0x80

Block = NDArray[Any]
"""One block: an array (z, y, x) of opaque items, C order."""


class Tag(enum.IntEnum):
    """The codec of a stored block; the numbers are stored and never change."""

    RAW = 0
    BLOSC2 = 1
    LZ4 = 2
    SNAPPY = 3
    GZIP = 4
    JPEG = 5


class DamagedBlock(ValueError):
    """Raised when a stored block is not what its head says."""


RAW = int(Tag.RAW)

_TAGS = frozenset(map(int, Tag))

_BY_NAME = {"none": Tag.RAW, "lz4": Tag.LZ4, "snappy": Tag.SNAPPY, "gzip": Tag.GZIP, "jpeg": Tag.JPEG}


@cache
def _blosc2() -> Any:
    blosc2: Any = importlib.import_module("blosc2")
    blosc2.set_releasegil(True)
    return blosc2


def warm() -> None:
    """Load what loads slowly the first time: Blosc2 0.2 to 0.5 s, the formats of Pillow 60 ms."""
    _blosc2()
    Image.preinit()


class Codec(msgspec.Struct, frozen=True):
    """Stores and reads the blocks of one instance."""

    shape: Triple
    """A block's size z, y, x."""
    item: str
    """The voxel as a numpy dtype without meaning: u1, <u2, <u4 or <u8."""
    tag: Tag = Tag.BLOSC2
    """What new blocks are stored as, noise raw where the choice is the server's (`BLOSC2`).  All tags are read."""
    level: int = -1
    crc: bool = False

    @classmethod
    def choose(cls, shape: Triple, item: str, wanted: Compression | None, checksum: str = "none") -> Codec:
        """The codec of an instance; `wanted` None leaves the choice to the server."""
        crc = checksum == "crc32"
        if wanted is None:
            return cls(shape, item, crc=crc)
        return cls(shape, item, _BY_NAME[wanted.codec], wanted.level, crc)

    @property
    def nbytes(self) -> int:
        """Bytes of the voxels of a block."""
        z, y, x = self.shape
        return z * y * x * int(self.item[-1])

    @property
    def quick(self) -> bool:
        """Whether blocks are decoded at about the speed of copying."""
        return self.tag not in (Tag.GZIP, Tag.JPEG)

    def encode(self, block: Block) -> bytes:
        """The stored form of a block."""
        tag, payload = self._packed(block)
        if self.crc:
            return b"".join((bytes((tag | CRC,)), zlib.crc32(payload).to_bytes(4, "little"), payload))
        return b"".join((bytes((tag,)), payload))

    def decode(self, stored: Piece) -> Block:
        """The block of a stored form.  Raises `DamagedBlock`."""
        return np.frombuffer(self.unpack(stored), self.item).reshape(self.shape)

    def unpack(self, stored: Piece) -> Any:
        """The voxels of a stored block, x fastest, as a buffer of `nbytes` bytes; of a raw block without a copy.

        Raises `DamagedBlock`.
        """
        if self.is_raw(stored):
            return memoryview(stored)[1:]
        tag, payload = self._open(stored)
        return self._unpack(tag, payload)

    def is_raw(self, stored: Piece) -> bool:
        """Whether a stored block is unpacked without any work."""
        return len(stored) == self.nbytes + 1 and stored[0] == RAW

    def stored_form(self, stored: Piece) -> Piece:
        """What clients get when they ask for no compression: the payload in the form that the instance's settings
        promise, which is LZ4 when the choice was the server's."""
        tag, payload = self._open(stored)
        promised = Tag.LZ4 if self.tag is Tag.BLOSC2 else self.tag
        if promised is Tag.LZ4 and tag is Tag.RAW and len(payload) == self.nbytes:
            return _as_lz4(payload)
        return payload if tag is promised else self._pack(promised, self.decode(stored))

    def voxels(self, stored: Piece) -> Piece:
        """The voxels of a stored block, x fastest."""
        return memoryview(self.unpack(stored)).cast("B")

    def _open(self, stored: Piece) -> tuple[Tag, memoryview]:
        if not stored or stored[0] & ~CRC not in _TAGS:
            raise DamagedBlock("a stored block begins with no tag that is known")
        payload = memoryview(stored)[1:]
        if stored[0] & CRC:
            crc, payload = int.from_bytes(payload[:4], "little"), payload[4:]
            if zlib.crc32(payload) != crc:
                raise DamagedBlock("a stored block does not fit its checksum")
        return Tag(stored[0] & ~CRC), payload

    def _packed(self, block: Block) -> tuple[Tag, Piece]:
        if self.tag is not Tag.BLOSC2:
            return self.tag, self._pack(self.tag, block)
        # Raw blocks are read without a copy, which is worth more than a few bytes.  Noise is recognised by some planes:
        # that takes a quarter of the time.
        if block.nbytes >= PROBED:
            planes = np.ascontiguousarray(block[len(block) // 16 :: max(1, len(block) // 4)])
            if not _pays(self._pack(self.tag, planes), planes):
                return Tag.RAW, _raw(block)
        payload = self._pack(self.tag, block)
        return (self.tag, payload) if _pays(payload, block) else (Tag.RAW, _raw(block))

    def _pack(self, tag: Tag, block: Block) -> Piece:
        if tag is Tag.BLOSC2:
            blosc2 = _blosc2()
            wide = block.itemsize > 1
            # Measured on 8-bit sections of 4.6 nm: bit shuffling saves 0.5 percent and Zstandard 3, and they take 5 and
            # 10 times as long as LZ4 alone, which leaves such noise as it is. Shuffling pays for wider voxels.
            packed: bytes = blosc2.compress2(
                block, codec=blosc2.Codec.LZ4, clevel=5, typesize=block.itemsize, nthreads=1,
                filters=[blosc2.Filter.SHUFFLE if wide else blosc2.Filter.NOFILTER], filters_meta=[0],
            )  # fmt: skip
            return packed
        if tag is Tag.JPEG:
            z, y, x = self.shape
            file = io.BytesIO()
            Image.fromarray(block.reshape(z * y, x)).save(file, "JPEG", quality=JPEG_QUALITY)
            return file.getvalue()
        if tag is Tag.LZ4:
            return bytes(cramjam.lz4.compress_block(_raw(block), store_size=True))
        if tag is Tag.SNAPPY:
            return bytes(cramjam.snappy.compress_raw(_raw(block)))
        if tag is Tag.GZIP:
            packer = zlib.compressobj(self.level, zlib.DEFLATED, 31)
            return packer.compress(_raw(block)) + packer.flush()
        return _raw(block)

    def _unpack(self, tag: Tag, payload: memoryview) -> Any:
        try:
            raw = self._expand(tag, payload)
        except (cramjam.DecompressionError, zlib.error, OSError, ValueError, RuntimeError) as err:
            raise DamagedBlock(f"a stored block cannot be decoded: {err}") from err
        if len(raw) != self.nbytes:
            raise DamagedBlock(f"a stored block has {len(raw)} bytes of voxels, not {self.nbytes}")
        return raw

    def _expand(self, tag: Tag, payload: memoryview) -> Any:
        size = self.nbytes
        if tag is Tag.BLOSC2:
            blosc2 = _blosc2()
            # decompress2 writes as much as the chunk's head says, whatever the room.
            if len(payload) < 32 or blosc2.get_cbuffer_sizes(payload)[:2] != (size, len(payload)):
                raise DamagedBlock("the head of a Blosc2 chunk does not fit the block")
            room = np.empty(size, np.uint8)
            blosc2.decompress2(payload, dst=room, nthreads=1)
            return room
        if tag is Tag.JPEG:
            z, y, x = self.shape
            with Image.open(io.BytesIO(payload), formats=("JPEG",)) as image:
                if image.size != (x, y * z) or image.mode != "L":
                    raise DamagedBlock(f"a stored JPEG is {image.size} {image.mode}, not {(x, y * z)} gray")
                return image.tobytes()
        if tag is Tag.LZ4:
            if int.from_bytes(payload[:4], "little") != size:
                raise DamagedBlock("the head of an LZ4 block does not fit the block")
            room = np.empty(size, np.uint8)
            return room[: cramjam.lz4.decompress_block_into(payload[4:], room.data)]
        if tag is Tag.SNAPPY:
            room = np.empty(size, np.uint8)
            return room[: cramjam.snappy.decompress_raw_into(payload, room.data)]
        if tag is Tag.GZIP:
            unpacker = zlib.decompressobj(31)
            return unpacker.decompress(payload, size + 1)
        return payload


def _as_lz4(voxels: memoryview) -> bytes:
    """Noise in the form of LZ4, which is its size and one sequence of literals: to look for matches is no use.

    https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md
    """
    more = len(voxels) - 15
    length = b"\xf0" + b"\xff" * (more // 255) + bytes((more % 255,)) if more >= 0 else bytes((len(voxels) << 4,))
    return b"".join((len(voxels).to_bytes(4, "little"), length, voxels))


def _pays(packed: Piece, block: Block) -> bool:
    return len(packed) <= block.nbytes - block.nbytes // 16


def _raw(block: Block) -> memoryview:
    return block.data.cast("B")
