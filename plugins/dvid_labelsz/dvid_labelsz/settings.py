"""Settings of labelsz."""

from __future__ import annotations

from typing import Annotated

from dvid_core import About, Settings


class SizeSettings(Settings, frozen=True, kw_only=True):
    """What is counted."""

    ROI: Annotated[
        str, About('"<roi>,<uuid>": only elements in this region of interest, as it is at that version, are counted')
    ] = ""

    def __post_init__(self) -> None:
        if self.ROI and self.roi is None:
            raise ValueError(f"ROI: expected the name of an roi, a comma and a UUID, got {self.ROI[:80]!r}")

    @property
    def roi(self) -> tuple[str, str] | None:
        """The name of the roi and the version; None when all elements are counted."""
        parts = [p.strip() for p in self.ROI.split(",")]
        return (parts[0], parts[1]) if len(parts) == 2 and all(parts) else None
