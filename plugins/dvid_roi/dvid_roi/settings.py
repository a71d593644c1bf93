"""Settings of roi."""

from __future__ import annotations

import re
from typing import Annotated

from dvid_core import About, Settings
from dvid_voxels.geometry import Triple

WIDEST = 65_536
"""Voxels along the widest block."""


class RoiSettings(Settings, frozen=True, kw_only=True):
    """What an roi can be told when it is made."""

    # A text and no numbers: clients have to write it so, and numbers and lists are refused.
    BlockSize: Annotated[str, About("voxels along x,y,z of a block, written as text")] = "32,32,32"

    def __post_init__(self) -> None:
        parts = [p.strip() for p in self.BlockSize.split(",")]
        if len(parts) != 3 or not all(re.fullmatch("[0-9]{1,6}", p, re.ASCII) and 1 <= int(p) <= WIDEST for p in parts):
            wanted = f"three whole numbers from 1 to {WIDEST}, such as 64,64,64"
            raise ValueError(f"BlockSize: expected {wanted}, got {self.BlockSize[:60]!r}")

    @property
    def block(self) -> Triple:
        """The size of a block, z, y, x."""
        x, y, z = map(int, self.BlockSize.split(","))
        return z, y, x
