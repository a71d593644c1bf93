"""Wrapped stores keep the storage contract and do what their wrapper is for."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from dvid_core.errors import Conflict, StoreError, UnknownOutcome
from dvid_core.storage.base import Store, StoreConfig
from dvid_core.storage.memory import MemoryStore
from dvid_core.storage.wrap import Delayed, Faulty, Logged
from dvid_core.testing.stores import END, StoreSuite, batch, pairs


async def memory() -> Store:
    return await MemoryStore.open(StoreConfig())


class TestLoggedStore(StoreSuite):
    persistent = False

    async def open_store(self, place: Path) -> Store:
        return Logged(await memory())


class TestDelayedStore(StoreSuite):
    persistent = False

    async def open_store(self, place: Path) -> Store:
        return Delayed(await memory(), 0)


class TestFaultlessFaultyStore(StoreSuite):
    persistent = False

    async def open_store(self, place: Path) -> Store:
        return Faulty(await memory())


async def test_log_has_each_call_with_its_outcome(caplog: pytest.LogCaptureFixture) -> None:
    store = Logged(await memory())
    change = batch({b"k": b"v"})
    change.expect(b"k", None)
    with caplog.at_level(logging.DEBUG, "dvid_core.storage.wrap"):
        await store.commit(change)
        with pytest.raises(Conflict):
            await store.commit(change)
        await store.get(b"k")
        await store.get_many([b"k", b"l"])
        await pairs(store.scan(b"a", b"z"))
        await store.scan_many([(b"a", b"z")], limit=1)
        await store.aclose()
    assert [message.rpartition(" in ")[0] for message in caplog.messages] == [
        "memory: commit of 2 bytes: done",
        "memory: commit of 2 bytes: Conflict",
        "memory: get 6b: done",
        "memory: get_many of 2 keys: done",
        "memory: scan 61 to 7a: done",
        "memory: scan_many of 1 ranges: done",
        "memory: close: done",
    ]


@pytest.mark.parametrize("error", [Conflict(b"k"), UnknownOutcome("connection lost"), StoreError("broken")], ids=repr)
@pytest.mark.parametrize("happened", [False, True])
async def test_faulty_store_fails_the_commit_that_was_named_and_no_other(error: StoreError, happened: bool) -> None:
    store = Faulty(await memory())
    store.fail(error, happened=happened, nth=2)
    await store.commit(batch({b"1": b"v"}))
    with pytest.raises(type(error)) as raised:
        await store.commit(batch({b"2": b"v"}))
    assert raised.value is error
    await store.commit(batch({b"3": b"v"}))
    expected = [b"1", b"2", b"3"] if happened else [b"1", b"3"]
    assert [key for key, _ in await pairs(store.scan(b"", END))] == expected
    assert store.commits == 3


async def test_wrapper_cannot_be_opened_by_a_configuration() -> None:
    with pytest.raises(TypeError, match="around a store"):
        await Logged.open(StoreConfig())
