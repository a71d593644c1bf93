"""Versions on every engine beside a plain model, and every way by which a view finds its values.

HYPOTHESIS_PROFILE=more runs twenty times as many examples.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from dvid_core.config import Config
from dvid_core.testing.cells import engine_config
from dvid_core.testing.model import VersionsMachine

EXAMPLES = 60 * (20 if os.environ.get("HYPOTHESIS_PROFILE") == "more" else 1)
SETTINGS = settings(
    max_examples=EXAMPLES, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


class MemoryMachine(VersionsMachine):
    persistent = False

    def config(self, folder: Path) -> Config:
        return engine_config("memory")


class RocksMachine(VersionsMachine):
    def config(self, folder: Path) -> Config:
        return engine_config("rocksdb", path=str(folder / "store"), cache_mib=8)


TestVersionsInMemory = MemoryMachine.TestCase
TestVersionsInMemory.settings = SETTINGS
TestVersionsInRocks = RocksMachine.TestCase
TestVersionsInRocks.settings = SETTINGS
