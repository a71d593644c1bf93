"""Random sequences of edits, versions and restarts: the server says at every version what a plain model says.

A normal run makes a few short sequences; DVID_PROPERTY_SEQUENCES says how many, DVID_PROPERTY_FIRST with which seed to
begin, DVID_PROPERTY_STEPS how long they are.  A failure tells the seed and what was done.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import dvid_labelmap
import pytest
import pytest_asyncio

from dvid_core.testing.fixtures import RunningServer, running

from .session import Session

SEQUENCES = int(os.environ.get("DVID_PROPERTY_SEQUENCES", "3"))
FIRST = int(os.environ.get("DVID_PROPERTY_FIRST", "0"))
STEPS = int(os.environ.get("DVID_PROPERTY_STEPS", "14"))


@pytest_asyncio.fixture
async def editable(tmp_path: Path) -> AsyncIterator[RunningServer]:
    """A server that allows splits of bodies, over a store that outlives it."""
    async with running("rocksdb", tmp_path, plugins=(dvid_labelmap,), allow_labelmap_split=True) as found:
        yield found


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEQUENCES))
async def test_server_and_model_agree_at_every_version(editable: RunningServer, seed: int) -> None:
    session = Session(editable, seed)
    try:
        await session.begin()
        await session.check(session.versions[0])
        for _ in range(STEPS):
            version = await session.step()
            await session.check(version)
        for version in session.versions:
            await session.check(version, None)
    except Exception as err:
        err.add_note("\n".join([f"seed {seed}:", *session.trace]))
        raise
