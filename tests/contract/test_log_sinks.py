"""Where mutation records also go: the sinks of the core and of other distributions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, Self

import dvid_keyvalue
import pytest

from dvid_core import LogRecord, LogSink, Source, hookimpl
from dvid_core.config import parse_config
from dvid_core.errors import ConfigError
from dvid_core.jsonlog import cut_torn_tail, read_jsonlog
from dvid_core.testing.api import eventually
from dvid_core.testing.fixtures import RunningServer, running


class Counter(LogSink):
    """Counts the edits of each instance."""

    name: ClassVar[str] = "counter"
    counts: ClassVar[dict[str, int]]

    @classmethod
    async def open(cls, options: dict[str, Any]) -> Self:
        cls.counts = {}
        return cls()

    async def write(self, source: Source, number: int, record: LogRecord) -> None:
        self.counts[source.name] = self.counts.get(source.name, 0) + 1

    async def aclose(self) -> None:
        pass


@hookimpl
def dvid_log_sinks() -> Sequence[type[LogSink]]:
    return [Counter]


COUNTING: Any = SimpleNamespace(dvid_log_sinks=dvid_log_sinks, __name__="counting")

STORE = """
[store.main]
engine = "rocksdb"
path = "data"
"""


async def put(server: RunningServer, uuid: str, count: int) -> None:
    for n in range(count):
        await server.post(f"/api/node/{uuid}/kv/key/k{n}", b"%d" % n)


async def test_a_sink_of_another_distribution_is_fed_what_its_section_is_assigned(tmp_path: Path) -> None:
    text = (
        STORE
        + """
    [store.counts]
    engine = "counter"
    [backend.default]
    store = "main"
    [backend.keyvalue]
    log = "counts"
    """
    )
    config = parse_config(text, tmp_path)
    assert config.warnings == ()
    async with running(config, tmp_path, plugins=(dvid_keyvalue, COUNTING)) as server:
        uuid = await server.repo()
        await server.instance(uuid, "kv")
        await put(server, uuid, 5)

        async def counted() -> bool:
            return Counter.counts == {"kv": 5}

        await eventually(counted)


async def test_a_sink_that_is_not_installed_ends_the_start(tmp_path: Path) -> None:
    text = (
        STORE
        + """
    [store.counts]
    engine = "nosuch"
    [backend.default]
    store = "main"
    log = "counts"
    """
    )
    with pytest.raises(ConfigError, match="nosuch"):
        async with running(parse_config(text, tmp_path), tmp_path, plugins=(dvid_keyvalue,)):
            pass


async def test_jsonstore_holds_each_record_once_over_restarts(tmp_path: Path) -> None:
    config = parse_config(STORE + '[mutations]\njsonstore = "log"', tmp_path)
    async with running(config, tmp_path, plugins=(dvid_keyvalue,)) as server:
        uuid = await server.repo()
        await server.instance(uuid, "kv")
        await put(server, uuid, 3)
        await server.restart()
        await put(server, uuid, 2)
        shown = await server.get(f"/api/node/{uuid}/kv/mutations")
        assert [e["Key"] for e in shown] == ["k0", "k1", "k2", "k0", "k1"]

        async def written() -> bool:
            files = list((tmp_path / "log").glob("*.plog"))
            return len(files) == 1 and read_jsonlog(files[0]) == shown

        await eventually(written)


async def test_a_torn_tail_is_cut_and_the_file_goes_on(tmp_path: Path) -> None:
    config = parse_config(STORE + '[mutations]\njsonstore = "log"', tmp_path)
    async with running(config, tmp_path, plugins=(dvid_keyvalue,)) as server:
        uuid = await server.repo()
        await server.instance(uuid, "kv")
        await put(server, uuid, 2)

        async def written(count: int) -> bool:
            files = list((tmp_path / "log").glob("*.plog"))
            return len(files) == 1 and len(read_jsonlog(files[0])) == count

        await eventually(lambda: written(2))
        (file,) = (tmp_path / "log").glob("*.plog")
        whole = file.stat().st_size
        with file.open("ab") as f:
            f.write(b"\x40\x00\x00\x00torn")
        await server.restart()
        await put(server, uuid, 1)
        await eventually(lambda: written(3))
        assert cut_torn_tail(file) == 0
        assert file.stat().st_size > whole
