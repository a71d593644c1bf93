"""Settings of a tally."""

from __future__ import annotations

from typing import Annotated

import msgspec

from dvid_core import About, Settings

HIGHEST = 2**63 - 1


class TallySettings(Settings, frozen=True):
    """What is counted, and how far."""

    Unit: Annotated[str, About("what is counted")] = "things"
    Limit: Annotated[int, msgspec.Meta(ge=1, le=HIGHEST), About("the highest count")] = HIGHEST
