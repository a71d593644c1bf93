"""`Sheets`: the sections in one file, all of one size and kind; PNG, JPEG, BMP and TIFF as Pillow reads them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import IO, Any

import numpy as np
from PIL import Image

from .source import RGBA, Array, BadSource

KINDS = {"1": "uint8", "L": "uint8", "F": "float32", "I": "int32"}
"""Pillow's modes of gray images; those of 16 bits begin with `I;16`, all others are colors."""

COLORS = {"RGB", "RGBA", "LA", "P", "PA", "CMYK", "YCbCr"}

SAMPLE_FORMAT, SIGNED = 339, 2
"""A tag of TIFF, and one of its values."""


class Sheets(ABC):
    """The sections of one open file.  Methods block."""

    count: int
    size: tuple[int, int]
    """Rows and columns."""
    kind: str

    @abstractmethod
    def read(self, n: int) -> Array:
        """Section `n`: (h, w) of `kind`, or (h, w, 4) of u1.  Raises `BadSource`."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the file."""


class Pictures(Sheets):
    """The images in one file, read by Pillow."""

    def __init__(self, file: IO[bytes], name: str, formats: tuple[str, ...], most: int = 1 << 31) -> None:
        """`file` is closed with this; at most `most` images of it are taken.

        Raises `BadSource` unless all are of one size and kind.
        """
        self._name, self._file = name, file
        try:
            self._image = Image.open(file, formats=formats)
            self.size, self.kind = self._look()
            self.count = 1
            if getattr(self._image, "is_animated", False) and self._image.format == "TIFF":
                self._measure(most)
        except BadSource:
            file.close()
            raise
        except Exception as err:  # a broken file makes Pillow raise nearly anything
            file.close()
            raise BadSource(f"{name} is no image that can be read: {err}") from err

    def _look(self) -> tuple[tuple[int, int], str]:
        """Size and kind of the image that is at hand, without reading its pixels."""
        image: Any = self._image
        width, height = image.size
        mode = image.mode
        kind = KINDS.get(mode, "uint16" if mode.startswith("I;16") else RGBA if mode in COLORS else "")
        if image.format == "TIFF" and kind.endswith(("int8", "int16", "int32")):
            # Pillow has one mode for numbers with and without a sign.
            is_signed = SIGNED in np.atleast_1d(image.tag_v2.get(SAMPLE_FORMAT, 0))
            kind = f"{'' if is_signed else 'u'}{kind.removeprefix('u')}"
        if not kind:
            raise BadSource(f"{self._name} has pixels of a kind ({mode}) that cannot be loaded")
        return (height, width), kind

    def _measure(self, most: int) -> None:
        while True:
            try:
                self._image.seek(self.count)
            except EOFError:
                return
            if self._look() != (self.size, self.kind):
                raise BadSource(f"{self._name}: its image {self.count} has another size or kind than the first")
            self.count += 1
            if self.count > most:
                raise BadSource(f"{self._name} has more than {most} images")

    def read(self, n: int) -> Array:
        try:
            if self._image.tell() != n:
                self._image.seek(n)
            if self.kind == RGBA:
                return np.asarray(self._image.convert("RGBA"))
            # One bit a pixel is black and white, as the other depths of a PNG.
            found = np.asarray(self._image.convert("L") if self._image.mode == "1" else self._image)
        except Exception as err:  # as above
            raise BadSource(f"{self._name}: image {n} cannot be read: {err}") from err
        return found.view(np.uint32) if self.kind == "uint32" else found

    def close(self) -> None:
        self._image.close()
        self._file.close()
