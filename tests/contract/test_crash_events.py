"""SIGKILL between an edit and its listeners: after the next start they have caught up, and handled nothing twice."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dvid_core.testing.process import ServerProcess, process_of


class Gate:
    """The files by which a server's `GatedEcho` is stopped; see `gated_echo`."""

    def __init__(self, folder: Path) -> None:
        self._gate, self._held = folder / "gate", folder / "held"
        os.mkfifo(self._held)

    def close_after(self, events: int) -> None:
        """Let so many events through from the next start on."""
        self._gate.write_text(str(events))

    def open(self) -> None:
        self._gate.unlink()

    async def reached(self) -> None:
        """Return when the server stands before the gate."""
        await asyncio.to_thread(self._held.read_bytes)


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)


@pytest.fixture
async def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ServerProcess]:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    async with process_of(tmp_path, plugins=["gated_echo"]) as api:
        yield api


async def follow(api: ServerProcess, *names: str) -> str:
    """A repo with the cells "cells" and echoes in a row behind them."""
    root = await api.repo()
    await api.instance(root, "cells", "cells")
    for before, name in zip(("cells", *names), names, strict=False):
        await api.instance(root, name, "echo")
        await api.post(f"/api/node/{root}/{name}/sync", json={"sync": before})
    return root


async def settled(api: ServerProcess, root: str, name: str) -> tuple[Any, int]:
    """The counts of an echo and the length of its log, once the version is committed."""
    place = f"/api/node/{root}/{name}"
    return await api.get(f"{place}/counts"), len(await api.get(f"{place}/mutations"))


async def test_listener_catches_up_once_however_often_its_recovery_is_killed(api: ServerProcess, gate: Gate) -> None:
    root = await follow(api, "echo")
    gate.close_after(0)
    for i in range(20):
        await api.post(f"/api/node/{root}/cells/cells", json={f"{i}": "v", "all": f"{i}"})
    assert await api.get(f"/api/node/{root}/echo/counts") == {}
    await gate.reached()
    handled = 0
    for events in (3, 0, 1, 7):
        await api.kill()
        gate.close_after(events)
        await api.start()
        await gate.reached()
        handled += events
        counts = await api.get(f"/api/node/{root}/echo/counts")
        assert counts.get("all", "0") == f"{handled}"
        await api.post(f"/api/node/{root}/cells/cells", json={f"in between {handled}": "v"})
    await api.kill()
    gate.open()
    await api.start()
    await api.commit(root)
    wanted = {**{f"{i}": "1" for i in range(20)}, "all": "20", **{f"in between {n}": "1" for n in (3, 4, 11)}}
    wanted["in between 3"] = "2"
    assert await settled(api, root, "echo") == (wanted, 24)


async def test_chain_of_listeners_catches_up_once(api: ServerProcess, gate: Gate) -> None:
    root = await follow(api, "first", "second", "third")
    gate.close_after(0)
    for i in range(10):
        await api.post(f"/api/node/{root}/cells/cell/{i % 3}", b"v")
    await gate.reached()
    for events in (2, 1, 4):
        await api.kill()
        gate.close_after(events)
        await api.start()
        await gate.reached()
    await api.kill()
    gate.open()
    await api.start()
    await api.commit(root)
    for name in ("first", "second", "third"):
        assert await settled(api, root, name) == ({"0": "4", "1": "3", "2": "3"}, 10)


async def test_sync_made_before_the_crash_holds_after_it(api: ServerProcess, gate: Gate) -> None:
    root = await follow(api, "echo")
    await api.kill()
    await api.start()
    await api.post(f"/api/node/{root}/cells/cell/a", b"v")
    await api.commit(root)
    assert await settled(api, root, "echo") == ({"a": "1"}, 1)
    assert (await api.get(f"/api/node/{root}/echo/info"))["Base"]["Syncs"] == ["cells"]
