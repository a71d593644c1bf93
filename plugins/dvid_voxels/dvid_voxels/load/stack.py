"""`Stack`: a volume whose sections lie in one or more files, in order along z."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np

from ..geometry import Box
from .sheets import Pictures, Sheets
from .source import RGBA, Array, BadSource, Source
from .tiff import SUFFIXES as TIFF
from .tiff import TiffSheets

PICTURES = (".png", ".jpg", ".jpeg", ".bmp")

Numbers = tuple[tuple[int, int, str], ...]


def natural(name: str) -> Numbers:
    """A key that sorts names as people do: numbers in them by their values."""
    parts = re.findall(r"([0-9]+)|([^0-9]+)", name)
    return tuple((0, int(number), "") if number else (1, 0, text) for number, text in parts)


def open_sheets(path: Path) -> Sheets:
    """The sections of one file.  Raises `BadSource`."""
    if path.suffix.lower() in TIFF:
        return TiffSheets(path)
    if path.suffix.lower() not in PICTURES:
        raise BadSource(f"{path} is no file that can be loaded: known are {', '.join((*PICTURES, *TIFF))}")
    return Pictures(path.open("rb"), str(path), ("PNG", "JPEG", "BMP"))


class Stack(Source):
    """Files one after another; those with several sections give them all."""

    sections = True

    def __init__(self, files: Sequence[Path]) -> None:
        """Look into each file.  Raises `BadSource` unless all sections are of one size and kind."""
        self._files = list(files)
        counts = []
        for number, path in enumerate(files):
            sheets = open_sheets(path)
            sheets.close()
            if number == 0:
                self.kind, self._size = sheets.kind, sheets.size
            if sheets.size != self._size:
                raise BadSource(f"{path} has {_by(sheets.size)} pixels, but {files[0]} has {_by(self._size)}")
            if sheets.kind != self.kind:
                raise BadSource(f"{path} is {sheets.kind}, but {files[0]} is {self.kind}")
            counts.append(sheets.count)
        self._ends = list(accumulate(counts))
        self.shape = (self._ends[-1], *self._size)
        last = f" to {files[-1].name}" if len(files) > 1 else ""
        self.name = f"{files[0].name}{last}"
        self._open: tuple[int, Sheets] | None = None

    @property
    def stamp(self) -> str:
        found = [(path.name, path.stat()) for path in self._files]
        return repr([(name, stat.st_size, stat.st_mtime_ns) for name, stat in found])

    def read(self, box: Box) -> Array:
        colors = (4,) if self.kind == RGBA else ()
        out = np.empty((*box.size, *colors), np.uint8 if self.kind == RGBA else self.kind)
        _, rows, columns = box.slices(Box((0, 0, 0), self.shape))
        for n in range(box.size[0]):
            out[n] = self._section(box.low[0] + n)[rows, columns]
        return out

    def _section(self, z: int) -> Array:
        number = bisect_right(self._ends, z)
        sheets = self._sheets(number)
        return sheets.read(z - (self._ends[number - 1] if number else 0))

    def _sheets(self, number: int) -> Sheets:
        if self._open is None or self._open[0] != number:
            self.close()
            self._open = (number, open_sheets(self._files[number]))
        return self._open[1]

    def close(self) -> None:
        if self._open is not None:
            self._open[1].close()
            self._open = None


def _by(size: tuple[int, int]) -> str:
    return f"{size[1]} x {size[0]}"
