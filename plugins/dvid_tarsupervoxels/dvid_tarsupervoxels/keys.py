"""Stored keys of tarsupervoxels, and the ids of requests."""

from __future__ import annotations

import re
from typing import Annotated

from dvid_core import TEXT, U64, KeyClass, Param

FILE = KeyClass(1, "file of a supervoxel", TEXT, U64)
"""Extension, supervoxel -> the bytes."""

SIZE = KeyClass(2, "size of a file", TEXT, U64)
"""The same -> the number of bytes: says whether a file exists without a look at it."""

EXTENSION = KeyClass(3, "extension")
"""The extension that is used now; none while it is the one of the settings."""

PACK = KeyClass(4, "files that are being loaded", U64)
"""A number drawn at random -> a pack of files that were accepted, but are not yet under their own keys."""

DONE = KeyClass(5, "how far a load is", U64)
"""The number of a pack -> how many of its files are under their own keys."""

CLASSES = (FILE, SIZE, EXTENSION, PACK, DONE)

_ID = re.compile(r"0{0,100}([0-9]{1,20})", re.ASCII)


def parse_label(text: str) -> int:
    """A label from 1 to 2^64-1; zeros may come before it."""
    match = _ID.fullmatch(text)
    if match is None or not 1 <= int(match[1]) < 2**64:
        raise ValueError("expected a whole number from 1 to 2^64-1")
    return int(match[1])


Label = Annotated[int, Param(parse_label, "a whole number from 1 to 2^64-1", {"type": "integer", "minimum": 1})]
