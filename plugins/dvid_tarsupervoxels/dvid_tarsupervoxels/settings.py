"""Settings of tarsupervoxels."""

from __future__ import annotations

from typing import Annotated

from dvid_core import About, Settings

LONGEST = 60
"""Characters of an extension, so that every name fits the plain header of a tar."""


def checked_extension(text: str) -> str:
    """An extension without the dot that some write before it.  Raises `ValueError`."""
    extension = text.removeprefix(".")
    if not 0 < len(extension) <= LONGEST or not extension.isascii() or not extension.isprintable():
        raise ValueError(f"Extension: expected 1 to {LONGEST} printable ASCII characters, got {text[:80]!r}")
    if "/" in extension or "\\" in extension or " " in extension:
        raise ValueError(f"Extension: it ends the name of a file, so no slash or blank can be in it: {text[:80]!r}")
    return extension


class TarSettings(Settings, frozen=True, kw_only=True):
    """What is told when an instance is made."""

    Extension: Annotated[str, About("what the names of the files end with, without a dot: drc, ngmesh, obj, swc")]

    def __post_init__(self) -> None:
        checked_extension(self.Extension)
