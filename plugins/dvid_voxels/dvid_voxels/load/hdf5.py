"""Data sets of HDF5 files, as h5py reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from ..geometry import Box, Triple
from .axes import default_axes, spatial
from .source import Array, BadSource, Source, library

SUFFIXES = (".h5", ".hdf5", ".hdf", ".he5", ".nwb", ".ims")

CACHE = 256 << 20
"""Bytes of decoded chunks that are kept, because slabs and chunks seldom end at the same places."""


class DataSet(Source):
    """One data set."""

    sections = False

    def __init__(self, path: Path, dataset: str, axes: str = "") -> None:
        """`dataset` may be empty when the file has one volume only.  Raises `BadSource`."""
        h5py = library("h5py", f"reading {path.name}")
        try:
            self._file = h5py.File(path, "r", rdcc_nbytes=CACHE)
        except OSError as err:
            raise BadSource(f"{path} is no HDF5 file that can be read: {err}") from err
        try:
            self._data = self._find(h5py, path, dataset)
            self.name = f"{path}:{self._data.name}"
            self._order = spatial(self.name, self._data.shape, axes or default_axes(self._data.ndim))
        except BaseException:
            self._file.close()
            raise
        self._path = path
        self.kind = self._data.dtype.name
        self.shape = cast("Triple", tuple(self._data.shape[n] for n in self._order))

    def _find(self, h5py: Any, path: Path, dataset: str) -> Any:
        volumes: list[str] = []

        def look(name: str, found: Any) -> None:
            if isinstance(found, h5py.Dataset) and found.ndim >= 3:
                volumes.append(name)

        self._file.visititems(look)
        if not dataset and len(volumes) == 1:
            return self._file[volumes[0]]
        found = self._file.get(dataset) if dataset else None
        if not isinstance(found, h5py.Dataset):
            missing = f"has no data set {dataset!r}" if dataset else f"has {len(volumes) or 'no'} volumes"
            there = f"; name one with --dataset: {', '.join(volumes[:20])}" if volumes else ""
            raise BadSource(f"{path} {missing}{there}")
        return found

    @property
    def stamp(self) -> str:
        stat = self._path.stat()
        return repr((self._path.name, self._data.name, stat.st_size, stat.st_mtime_ns))

    def read(self, box: Box) -> Array:
        wanted: list[Any] = [0] * self._data.ndim
        for place, part in zip(self._order, box.slices(Box((0, 0, 0), self.shape))):
            wanted[place] = part
        try:
            found: Array = self._data[tuple(wanted)]
        except (OSError, ValueError, RuntimeError) as err:
            raise BadSource(f"{self.name} cannot be read: {err}") from err
        left = sorted(self._order)
        return found.transpose([left.index(place) for place in self._order])

    def close(self) -> None:
        self._file.close()
