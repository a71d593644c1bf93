"""How blocks are stored."""

from __future__ import annotations

import contextlib
import gzip
import io
import struct
from typing import Any

import lz4.block  # type: ignore[import-untyped]
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from dvid_core import Compression
from dvid_core.testing import assert_releases_gil
from dvid_voxels.codecs import CRC, Codec, DamagedBlock, Tag, warm

SHAPE = (6, 5, 16)
LOSSLESS = (None, "none", "lz4", "snappy", "gzip", "gzip:9")


def made(wanted: str | None, item: str = "u1", checksum: str = "none") -> Codec:
    return Codec.choose(SHAPE, item, None if wanted is None else Compression.read(wanted), checksum)


def smooth(item: str = "u1") -> NDArray[Any]:
    z, y, x = np.indices(SHAPE)
    return np.asarray(z * 3 + y * 5 + x, item)


def noise(item: str = "u1") -> NDArray[Any]:
    size = (*SHAPE, np.dtype(item).itemsize)
    return np.random.default_rng(1).integers(0, 256, size, np.uint8).view(item)[..., 0]


@pytest.mark.parametrize("item", ["u1", "<u2", "<u4", "<u8"])
@pytest.mark.parametrize("checksum", ["none", "crc32"])
@pytest.mark.parametrize("wanted", LOSSLESS)
def test_a_block_comes_back_as_it_was(wanted: str | None, checksum: str, item: str) -> None:
    codec = made(wanted, item, checksum)
    for block in (smooth(item), noise(item), np.zeros(SHAPE, item)):
        stored = codec.encode(block)
        assert (codec.decode(stored) == block).all()
        assert codec.voxels(stored) == block.tobytes()
        assert bool(stored[0] & CRC) == (checksum == "crc32")


def test_the_server_stores_noise_raw_and_packs_the_rest() -> None:
    codec = made(None)
    assert codec.encode(noise())[0] == Tag.RAW
    assert codec.encode(np.zeros(SHAPE, np.uint8))[0] == Tag.BLOSC2
    assert len(codec.encode(np.zeros(SHAPE, np.uint8))) < 64


@pytest.mark.parametrize("item", ["u1", "<u2"])
@pytest.mark.parametrize("noisy", [slice(0, 0), slice(0, 1), slice(2, 3), slice(5, 32), slice(0, 31), slice(0, 32)])
def test_a_large_block_comes_back_whatever_part_of_it_is_noise(noisy: slice, item: str) -> None:
    codec = Codec((32, 32, 32), item)
    block = np.zeros(codec.shape, item)
    block[noisy] = np.random.default_rng(1).integers(0, 256 ** np.dtype(item).itemsize, block[noisy].shape)
    stored = codec.encode(block)
    assert (codec.decode(stored) == block).all()
    if noisy in (slice(0, 0), slice(0, 32)):
        assert stored[0] == (Tag.RAW if noisy.stop else Tag.BLOSC2)


def test_clients_get_the_form_that_the_setting_promises() -> None:
    for block in (smooth(), noise()):
        raw = block.tobytes()
        for wanted in (None, "lz4"):
            form = made(wanted).stored_form(made(wanted).encode(block))
            assert struct.unpack_from("<I", form)[0] == len(raw)
            assert lz4.block.decompress(form[4:], uncompressed_size=len(raw)) == raw
        assert gzip.decompress(made("gzip:3").stored_form(made("gzip:3").encode(block))) == raw
        assert made("none").stored_form(made("none").encode(block)) == raw


@pytest.mark.parametrize("size", [1, 5, 14, 15, 16, 269, 270, 271, 600, 32768])
def test_noise_is_sent_as_lz4_of_any_size(size: int) -> None:
    codec = Codec((1, 1, size), "u1")
    block = np.random.default_rng(size).integers(0, 256, codec.shape, np.uint8)
    stored = codec.encode(block)
    assert stored[0] == Tag.RAW
    form = bytes(codec.stored_form(stored))
    assert lz4.block.decompress(form) == block.tobytes()


def test_jpeg_has_the_planes_one_below_the_other() -> None:
    codec = made("jpeg")
    block = smooth()
    form = codec.stored_form(codec.encode(block))
    with Image.open(io.BytesIO(form)) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "L", (16, 30))
    assert np.abs(codec.decode(codec.encode(block)).astype(int) - block).max() < 12


def test_blocks_of_another_codec_are_read() -> None:
    for wanted in LOSSLESS:
        assert (made("gzip").decode(made(wanted).encode(smooth())) == smooth()).all()
        assert gzip.decompress(made("gzip").stored_form(made(wanted).encode(smooth()))) == smooth().tobytes()


@pytest.mark.parametrize("wanted", [*LOSSLESS, "jpeg"])
@given(data=st.data())
def test_a_damaged_block_is_refused_or_read_but_never_more(wanted: str | None, data: st.DataObject) -> None:
    codec = made(wanted)
    stored = bytearray(codec.encode(smooth()))
    if data.draw(st.booleans()):
        del stored[data.draw(st.integers(0, len(stored) - 1)) :]
    else:
        stored[data.draw(st.integers(0, len(stored) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(DamagedBlock):
        assert codec.decode(bytes(stored)).shape == SHAPE


@pytest.mark.parametrize("wanted", LOSSLESS)
@given(at=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_a_checksum_finds_every_flipped_byte(wanted: str | None, at: int, flip: int) -> None:
    codec = made(wanted, checksum="crc32")
    stored = bytearray(codec.encode(smooth()))
    stored[1 + at % (len(stored) - 1)] ^= flip
    with pytest.raises(DamagedBlock, match="checksum"):
        codec.decode(bytes(stored))


def test_a_block_of_another_size_is_refused() -> None:
    for wanted in (*LOSSLESS, "jpeg"):
        stored = made(wanted).encode(smooth())
        other = Codec((6, 5, 17), "u1")
        with pytest.raises(DamagedBlock):
            other.decode(stored)
        with pytest.raises(DamagedBlock):
            Codec((6, 5, 15), "u1").decode(stored)


@pytest.mark.parametrize("wanted", [None, "lz4", "snappy", "gzip:1"])
def test_codecs_release_the_gil(wanted: str | None) -> None:
    warm()
    codec = Codec.choose((128, 256, 256), "u1", None if wanted is None else Compression.read(wanted))
    block = np.random.default_rng(0).integers(0, 16, (128, 256, 32), np.uint8).repeat(8, axis=2)
    stored = codec.encode(block)
    assert_releases_gil(codec.encode, block)
    assert_releases_gil(codec.decode, stored)
