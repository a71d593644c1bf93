"""What the words behind `dvid load` mean: which files, and how they are read."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

from .arrays import ChunkedArray, is_array
from .hdf5 import SUFFIXES as HDF5
from .hdf5 import DataSet
from .precomputed import PrecomputedVolume, is_precomputed
from .source import BadSource, Source
from .stack import PICTURES, Stack, natural
from .tiff import SUFFIXES as TIFF

HDF5_MARK = b"\x89HDF\r\n\x1a\n"


def open_source(words: Sequence[str], dataset: str = "", axes: str = "", *, as_given: bool = False) -> Source:
    """The volume in these files, folder or URL; patterns are expanded.

    Images are sorted by their names, numbers by value, unless they are wanted `as_given`.  Raises `BadSource`.
    """
    if any("://" in word for word in words):
        if len(words) > 1:
            raise BadSource("only one URL can be loaded at a time")
        if is_precomputed(words[0]):
            return PrecomputedVolume(words[0], dataset)
        return ChunkedArray(words[0], dataset, axes)
    paths = [path for word in words for path in _expanded(word)]
    if len(paths) == 1:
        path = paths[0]
        if path.is_dir() and is_precomputed(path):
            return PrecomputedVolume(str(path.absolute()), dataset)
        if path.is_dir() and (dataset or axes or is_array(path)):
            return ChunkedArray(str(path.absolute()), dataset, axes)
        if path.is_dir():
            paths = [p for p in path.iterdir() if p.suffix.lower() in (*PICTURES, *TIFF) and p.is_file()]
            if not paths:
                raise BadSource(f"the folder {path} has no images, and is no Zarr or N5 array")
        elif path.suffix.lower() in HDF5 or _is_hdf5(path):
            return DataSet(path, dataset, axes)
    if dataset or axes:
        raise BadSource("--dataset and --axes are for HDF5, Zarr and N5")
    if folder := next((p for p in paths if p.is_dir()), None):
        raise BadSource(f"{folder} is a folder; name one folder, or files")
    return Stack(paths if as_given else sorted(paths, key=lambda p: natural(p.name)))


def _expanded(word: str) -> list[Path]:
    path = Path(word).expanduser()
    if path.exists():
        return [path]
    found = [Path(name) for name in glob.glob(str(path), recursive=True)]
    if not found:
        raise BadSource(f"there is no file {word}" if not glob.has_magic(word) else f"no file fits {word}")
    return sorted(found)


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(HDF5_MARK)) == HDF5_MARK
