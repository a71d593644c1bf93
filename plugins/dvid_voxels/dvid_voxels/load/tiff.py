"""TIFF files as tifffile reads them: any kind of numbers, files above 4 GB, stacks of ImageJ and microscopes."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from .sheets import Sheets
from .source import RGBA, Array, BadSource, library

SUFFIXES = (".tif", ".tiff", ".btf", ".tf8", ".lsm")


class TiffSheets(Sheets):
    """The sections of the first series of images in a TIFF file."""

    def __init__(self, path: Path) -> None:
        """Raises `BadSource`."""
        self._name = str(path)
        tifffile = library("tifffile", f"reading {path.name}")
        with ExitStack() as held:
            try:
                self._file = held.enter_context(tifffile.TiffFile(path))
                self._check_end()
                self._take(self._file.series[0])
            except BadSource:
                raise
            except Exception as err:  # what tifffile raises is not limited to its own errors
                raise BadSource(f"{path} is no TIFF that can be read: {err}") from err
            held.pop_all()

    def _check_end(self) -> None:
        """Raise `BadSource` when a further image is announced that is not there: tifffile leaves it out."""
        form, file = self._file.tiff, self._file.filehandle
        if len(self._file.pages) and (place := self._file.pages.next_page_offset):
            file.seek(place)
            following = file.read(form.offsetsize)
            if any(following):
                raise BadSource(f"{self._name} breaks off behind its image {len(self._file.pages)}")

    def _take(self, series: Any) -> None:
        axes, shape = series.axes, series.shape
        kept = [(a, n) for a, n in zip(axes, shape) if n > 1 or a in "YX"]
        names = "".join(a for a, _ in kept)
        sizes = [n for _, n in kept]
        has_colors = names.endswith("YXS") and sizes[-1] in (3, 4)
        if not names.endswith("YXS" if has_colors else "YX") or len(names) - 2 - has_colors > 1:
            raise BadSource(
                f"{self._name} has the axes {axes} with {', '.join(map(str, shape))}; a stack of gray or RGB sections "
                "can be loaded"
            )
        self.count = sizes[0] if len(names) > 2 + has_colors else 1
        colors = sizes[-1] if has_colors else 0
        self.size = (sizes[-3], sizes[-2]) if has_colors else (sizes[-2], sizes[-1])
        self.kind = RGBA if has_colors else series.dtype.name
        if has_colors and series.dtype != np.uint8:
            raise BadSource(f"{self._name} has colors of {series.dtype}; those of uint8 can be loaded")
        self._pages = series.pages
        self._mapped: Array | None = None
        if series.dataoffset is not None:
            dtype = series.dtype.newbyteorder(self._file.byteorder)
            full = (self.count, *self.size, *([colors] if colors else []))
            self._mapped = np.memmap(self._name, dtype, "r", series.dataoffset, full)

    def read(self, n: int) -> Array:
        try:
            found: Array = self._mapped[n] if self._mapped is not None else self._pages[n].asarray()
        except Exception as err:  # as above; also the libraries that unpack strips
            raise BadSource(f"{self._name}: section {n} cannot be read: {err}") from err
        found = found.reshape(*self.size, *found.shape[-1:] if self.kind == RGBA else ())
        if self.kind == RGBA and found.shape[-1] == 3:
            opaque = np.full((*self.size, 1), 255, np.uint8)
            return np.concatenate([found, opaque], axis=-1)
        return found

    def close(self) -> None:
        self._mapped = None
        self._file.close()
