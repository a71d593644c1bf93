"""The engine "memory" against the storage contract."""

from __future__ import annotations

from pathlib import Path

from hypothesis import settings

from dvid_core.storage.base import Store, StoreConfig
from dvid_core.storage.memory import MemoryStore
from dvid_core.testing.store_machine import StoreMachine
from dvid_core.testing.stores import StoreSuite


class TestMemoryStore(StoreSuite):
    persistent = False

    async def open_store(self, place: Path) -> Store:
        return await MemoryStore.open(StoreConfig())


class MemoryMachine(StoreMachine):
    persistent = False

    async def open_store(self, place: Path) -> Store:
        return await MemoryStore.open(StoreConfig())


TestMemoryMachine = MemoryMachine.TestCase
TestMemoryMachine.settings = settings(max_examples=100, stateful_step_count=20, deadline=None)
