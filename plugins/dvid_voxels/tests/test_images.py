"""Pictures and their formats, read back with Pillow; 16-bit RGBA, which it does not know, from the bytes."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dvid_core import BadRequest
from dvid_voxels.images import PICTURE_BYTES, Format, check_picture, encode, parse_format, picture_of
from dvid_voxels.png import png_rows, png_writer


def opened(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data)))


def sample(shape: tuple[int, ...], dtype: str) -> NDArray[np.uint8]:
    size = (*shape[:-1], shape[-1] * np.dtype(dtype).itemsize)
    return np.random.default_rng(2).integers(0, 256, size, np.uint8).view(dtype)


@pytest.mark.parametrize("kind", ["png", "tiff"])
@pytest.mark.parametrize(("shape", "dtype"), [((7, 11), "u1"), ((7, 11), "<u2"), ((7, 11, 4), "u1"), ((1, 1), "u1")])
def test_lossless_formats_keep_every_pixel(kind: str, shape: tuple[int, ...], dtype: str) -> None:
    picture = sample(shape, dtype)
    assert (opened(encode(picture, Format(kind))) == picture).all()  # type: ignore[arg-type]


def test_bmp_keeps_gray() -> None:
    picture = sample((7, 11), "u1")
    assert (opened(encode(picture, Format("bmp"))) == picture).all()


def test_64_bit_voxels_are_the_bytes_of_16_bit_rgba() -> None:
    voxels = sample((3, 5), "<u8")
    data = encode(picture_of(voxels, "rgba16"), Format())
    assert struct.unpack_from(">2I5B", data, 16) == (5, 3, 16, 6, 0, 0, 0)
    size, kind = struct.unpack_from(">I4s", data, 33)
    assert kind == b"IDAT"
    rest = data[33 + 12 + size :]
    more = b""
    while rest[4:8] == b"IDAT":
        more += rest[8 : 8 + struct.unpack_from(">I", rest)[0]]
        rest = rest[12 + struct.unpack_from(">I", rest)[0] :]
    lines = zlib.decompress(data[41 : 41 + size] + more)
    assert lines == b"".join(b"\x00" + row.tobytes() for row in voxels)


def test_64_bit_tiff_has_16_bits_a_sample() -> None:
    voxels = sample((3, 5), "<u8")
    data = encode(picture_of(voxels, "rgba16"), Format("tiff"))
    strip = zlib.decompress(data[8:])
    assert np.frombuffer(strip, "<u2").tolist() == picture_of(voxels, "rgba16").reshape(-1).tolist()


def test_32_bit_voxels_are_rgba() -> None:
    voxels = np.array([[0x04030201]], "<u4")
    assert picture_of(voxels, "rgba8").tolist() == [[[1, 2, 3, 4]]]


def test_a_png_may_be_written_in_strips() -> None:
    for picture in (sample((20, 9), "<u2"), sample((20, 9, 4), "u1")):
        writer = png_writer(picture.shape, picture.dtype)
        strips = [writer.rows(png_rows(picture[at : at + 3])) for at in range(0, 20, 3)]
        assert (opened(writer.head() + b"".join(strips) + writer.end()) == picture).all()


@pytest.mark.parametrize(
    ("shape", "dtype"), [((40, 50), "u1"), ((40, 50), "<u2"), ((40, 50, 4), "u1"), ((40, 50, 4), ">u2")]
)
@pytest.mark.parametrize("kind", ["jpeg", "bmp"])
def test_8_bit_formats_show_the_high_bytes(kind: str, shape: tuple[int, ...], dtype: str) -> None:
    flat = np.full(shape, 0x40 if dtype == "u1" else 0x4080, dtype)
    image = opened(encode(flat, Format(kind)))  # type: ignore[arg-type]
    assert image.shape[:2] == (40, 50)
    assert np.abs(image[..., 0].astype(int) - 0x40 if image.ndim == 3 else image.astype(int) - 0x40).max() <= 2


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("", Format()), ("png", Format()), ("png:7", Format()), ("PNG:x", Format()), ("jpg", Format("jpeg", 80)),
        ("jpeg", Format("jpeg", 80)), ("jpg:95", Format("jpeg", 95)), ("jpeg:0", Format("jpeg", 1)),
        ("jpg:-3", Format("jpeg", 1)), ("jpg:1000", Format("jpeg", 100)), ("tif", Format("tiff")),
        ("tiff", Format("tiff")), ("bmp", Format("bmp")),
    ],
)  # fmt: skip
def test_formats_are_read(text: str, form: Format) -> None:
    assert parse_format(text) == form


@pytest.mark.parametrize("text", ["gif", "jpg:x", "jpg:1.5", "jpg:\u0663", "webp", "png/../x", "jpgg"])
def test_other_formats_are_refused_by_name(text: str) -> None:
    with pytest.raises(BadRequest, match="format"):
        parse_format(text)


def test_pictures_that_cannot_be_made_are_refused() -> None:
    with pytest.raises(BadRequest, match="65500"):
        check_picture(Format("jpeg"), 65_501, 1, 1)
    with pytest.raises(BadRequest, match="too large"):
        check_picture(Format("bmp"), PICTURE_BYTES // 4, 5, 1)
