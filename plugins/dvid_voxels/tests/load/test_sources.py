"""Files of every kind, read box by box."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import numpy as np
import pytest
import tifffile
from PIL import Image

from dvid_voxels.geometry import Box
from dvid_voxels.load.finding import open_source
from dvid_voxels.load.source import RGBA, BadSource, Source, check_kind, fitted

from .volumes import WRITERS, Array, chunked, noise, sections

SIZE = (12, 33, 40)
BOXES = [Box((0, 0, 0), SIZE), Box((3, 5, 7), (6, 20, 30)), Box((11, 32, 39), (1, 1, 1)), Box((2, 0, 0), (2, 33, 40))]


class Opening:
    """Opens sources, and closes them at the end of a test."""

    def __init__(self) -> None:
        self._there: list[Source] = []

    def __call__(self, words: list[str], **options: Any) -> Source:
        """A source by the words of a command line."""
        files, settings = words, dict(options)
        while len(files) > 2 and files[-2].startswith("--"):
            settings[files[-2].removeprefix("--")] = files[-1]
            files = files[:-2]
        self._there.append(open_source(files, **settings))
        return self._there[-1]

    def refused(self, words: list[str], **options: Any) -> str:
        """The sentence with which a source is refused."""
        with pytest.raises(BadSource) as raised:
            self(words, **options)
        return str(raised.value)

    def close(self) -> None:
        for source in self._there:
            source.close()


@pytest.fixture
def opened() -> Iterator[Opening]:
    found = Opening()
    yield found
    found.close()


@pytest.mark.parametrize("name", WRITERS)
def test_every_box_is_read_as_it_was_written(opened: Opening, tmp_path: Path, name: str) -> None:
    voxels = noise(SIZE)
    source = opened(WRITERS[name](tmp_path / "v", voxels))
    assert (source.shape, source.kind) == (SIZE, "uint8")
    for box in BOXES:
        assert (source.read(box) == voxels[box.slices(BOXES[0])]).all()


@pytest.mark.parametrize("kind", ["uint16", "uint32", "uint64", "float32"])
@pytest.mark.parametrize("name", ["tiff", "imagej", "hdf5", "zarr2", "zarr3", "n5"])
def test_wide_numbers_are_read_as_they_were_written(opened: Opening, tmp_path: Path, name: str, kind: str) -> None:
    if name == "imagej" and kind in ("uint32", "uint64"):
        pytest.skip("ImageJ has no such numbers")
    voxels = (np.arange(np.prod(SIZE)).reshape(SIZE) % 60_000).astype(kind)
    source = opened(WRITERS[name](tmp_path / "v", voxels))
    assert source.kind == kind
    found = fitted(source.read(BOXES[1]), kind)
    assert found.dtype.kind == "u"
    assert (found.view(kind) == voxels[BOXES[1].slices(BOXES[0])]).all()


def test_images_of_16_bits_are_read(opened: Opening, tmp_path: Path) -> None:
    voxels = noise(SIZE, "<u2")
    source = opened(sections(".png")(tmp_path / "v", voxels))
    assert source.kind == "uint16"
    assert (source.read(BOXES[1]) == voxels[BOXES[1].slices(BOXES[0])]).all()


@pytest.mark.parametrize(("suffix", "channels"), [(".png", 3), (".png", 4), (".tif", 3), (".tif", 4)])
def test_colors_become_rgba(opened: Opening, tmp_path: Path, suffix: str, channels: int) -> None:
    colors = noise((3, 5, 6 * channels)).reshape(3, 5, 6, channels)
    source = opened(sections(suffix, **({"photometric": "rgb"} if suffix == ".tif" else {}))(tmp_path / "v", colors))
    assert (source.shape, source.kind) == ((3, 5, 6), RGBA)
    found = source.read(Box((1, 0, 1), (2, 5, 4)))
    assert (found[..., :channels] == colors[1:, :, 1:5]).all()
    assert (found[..., channels:] == 255).all()
    assert fitted(found, RGBA).shape == (2, 5, 4)


def test_a_stack_of_colors_in_one_tiff(opened: Opening, tmp_path: Path) -> None:
    colors = noise((3, 5, 18)).reshape(3, 5, 6, 3)
    tifffile.imwrite(tmp_path / "v.tif", colors, photometric="rgb")
    source = opened([str(tmp_path / "v.tif")])
    assert (source.shape, source.kind) == ((3, 5, 6), RGBA)
    assert (source.read(Box((0, 0, 0), (3, 5, 6)))[..., :3] == colors).all()


def test_one_bit_a_pixel_is_black_and_white_beside_gray(opened: Opening, tmp_path: Path) -> None:
    mask = noise((5, 6, 7)) > 127
    for z, section in enumerate(mask):
        image = Image.fromarray(section) if z % 2 else Image.fromarray(section.astype(np.uint8) * 255)
        image.save(tmp_path / f"{z}.png")
    source = opened([str(tmp_path)])
    assert (source.read(Box((0, 0, 0), (5, 6, 7))) == mask * 255).all()


def test_sections_are_in_the_order_of_their_numbers(opened: Opening, tmp_path: Path) -> None:
    voxels = noise((12, 4, 5))
    [folder] = sections(".png", name="cut{}_x")(tmp_path / "v", voxels)
    whole = Box((0, 0, 0), voxels.shape)
    assert (opened([folder]).read(whole) == voxels).all()
    assert (opened([f"{folder}/*.png"]).read(whole) == voxels).all()
    files = [f"{folder}/cut{z}_x.png" for z in reversed(range(12))]
    assert (opened(files).read(whole) == voxels).all()
    assert (opened(files, as_given=True).read(whole) == voxels[::-1]).all()


def test_a_file_with_a_pattern_for_a_name_is_a_file(opened: Opening, tmp_path: Path) -> None:
    Image.fromarray(noise((1, 4, 5))[0]).save(tmp_path / "[1].png")
    assert opened([str(tmp_path / "[1].png")]).shape == (1, 4, 5)


def test_changed_files_have_another_stamp(opened: Opening, tmp_path: Path) -> None:
    for name in ("png", "hdf5", "tiff"):
        words = WRITERS[name](tmp_path / name, noise(SIZE))
        before = opened(words).stamp
        assert opened(words).stamp == before
        file = next(p for p in sorted((tmp_path / name).iterdir()))
        file.write_bytes(file.read_bytes() + b"\x00")
        assert opened(words).stamp != before


def test_files_that_do_not_go_together_are_refused_by_name(opened: Opening, tmp_path: Path) -> None:
    for name, image in (("a", noise((1, 4, 5))[0]), ("b", noise((1, 4, 6))[0])):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    assert "b.png has 6 x 4 pixels" in opened.refused([str(tmp_path)])
    Image.fromarray(noise((1, 4, 5), "<u2")[0]).save(tmp_path / "b.png")
    assert "b.png is uint16" in opened.refused([str(tmp_path)])


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".h5", ".bmp"])
def test_broken_files_are_refused_by_name(opened: Opening, tmp_path: Path, suffix: str) -> None:
    for data in (b"", b"junk", b"II*\x00\xff\xff\xff\xff", b"\x89PNG\r\n\x1a\n"):
        (tmp_path / f"broken{suffix}").write_bytes(data)
        assert "broken" in opened.refused([str(tmp_path / f"broken{suffix}")])


def test_a_file_that_breaks_off_is_refused_when_it_is_read(opened: Opening, tmp_path: Path) -> None:
    for name in ("lzw tiff", "tiff", "png", "imagej", "bigtiff", "deflated tiff in tiles"):
        words = WRITERS[name](tmp_path / name, noise((4, 64, 64)))
        file = sorted((tmp_path / name).iterdir())[-1]
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        with pytest.raises(BadSource):
            opened(words).read(Box((0, 0, 0), (4, 64, 64)))


def test_what_is_not_there_is_said(opened: Opening, tmp_path: Path) -> None:
    assert "there is no file" in opened.refused([str(tmp_path / "none.png")])
    assert "no file fits" in opened.refused([str(tmp_path / "*.png")])
    assert "has no images" in opened.refused([str(tmp_path)])
    (tmp_path / "text.txt").write_text("hello")
    assert "text.txt" in opened.refused([str(tmp_path / "text.txt")])
    (tmp_path / "z.zarr").mkdir()
    assert "neither a Zarr nor an N5 array" in opened.refused([str(tmp_path / "z.zarr")])
    assert "neither" in opened.refused(["file:///nowhere/at/all"])
    assert "one URL" in opened.refused(["file:///a", "file:///b"])


def test_arrays_in_groups_and_files_are_to_be_named(opened: Opening, tmp_path: Path) -> None:
    chunked("zarr")(tmp_path, noise(SIZE))
    metadata = {"multiscales": [{"datasets": [{"path": "s0"}, {"path": "s1"}]}]}
    (tmp_path / "group" / ".zattrs").write_text(json.dumps(metadata))
    assert "--dataset: s0, s1" in opened.refused([str(tmp_path / "group")])
    assert opened([str(tmp_path / "group"), "--dataset", "s0"]).shape == SIZE
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file["a"], file["b"] = noise(SIZE), noise(SIZE)
    assert "--dataset: a, b" in opened.refused([str(tmp_path / "v.h5")])
    assert "no data set 'c'" in opened.refused([str(tmp_path / "v.h5"), "--dataset", "c"])
    assert opened([str(tmp_path / "v.h5"), "--dataset", "b"]).shape == SIZE


@pytest.mark.parametrize(("axes", "word"), [("", "--axes"), ("zyx", "--axes"), ("tzyx", "t has 2"), ("zzyx", "--axes")])
def test_arrays_with_more_axes_are_refused(opened: Opening, tmp_path: Path, axes: str, word: str) -> None:
    voxels: Array = np.stack([noise(SIZE), noise(SIZE)])
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file["a"] = voxels
    assert word in opened.refused([str(tmp_path / "v.h5")], axes=axes)
    [array] = chunked("zarr")(tmp_path, voxels)
    assert word in opened.refused([array], axes=axes)


def test_a_tiff_with_times_and_channels_is_refused(opened: Opening, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "v.tif", noise((6, 4, 5)).reshape(2, 3, 4, 5), imagej=True, metadata={"axes": "TZYX"})
    assert "TZYX" in opened.refused([str(tmp_path / "v.tif")])


def test_options_of_arrays_are_refused_with_images(opened: Opening, tmp_path: Path) -> None:
    words = WRITERS["tiff"](tmp_path / "v", noise(SIZE))
    assert "--dataset" in opened.refused(words, dataset="a")


@pytest.mark.parametrize(("name", "library"), [("tiff", "tifffile"), ("hdf5", "h5py"), ("zarr2", "tensorstore")])
def test_a_library_that_is_missing_is_named_with_its_extra(
    opened: Opening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, library: str
) -> None:
    words = WRITERS[name](tmp_path / "v", noise(SIZE))
    real = importlib.import_module

    def without(wanted: str, *rest: Any) -> Any:
        if wanted == library:
            raise ImportError(wanted)
        return real(wanted, *rest)

    monkeypatch.setattr(importlib, "import_module", without)
    sentence = opened.refused(words)
    assert library in sentence and "dvid-voxels[load]" in sentence


def test_only_what_loses_nothing_is_taken() -> None:
    for source, wanted in (("uint8", "uint64"), ("uint8", "float32"), ("bool", "uint8"), (RGBA, RGBA)):
        check_kind(source, wanted)
    for source, wanted in (("uint16", "uint8"), ("int8", "uint8"), ("float64", "float32"), (RGBA, "uint8")):
        with pytest.raises(BadSource):
            check_kind(source, wanted)
