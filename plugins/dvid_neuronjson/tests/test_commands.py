"""The commands, against a running server."""

from __future__ import annotations

import asyncio
import json
import os
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from dvid_neuronjson.commands import neurons

from .place import Place

pytest.importorskip("pyarrow")


async def run(nj: Place, *words: str) -> Result:
    """Run a command in a thread, since the server runs in this one."""
    rpc = nj.api.url.removeprefix("http://")
    return await asyncio.to_thread(CliRunner().invoke, neurons, [*words, "--rpc", rpc], catch_exceptions=False)


def rows(count: int) -> list[dict[str, Any]]:
    return [{"bodyid": i, "type": f"t{i % 7}", "notes": "n" * 600, "tags": [i]} for i in range(1, count + 1)]


def test_the_command_is_found_by_its_entry_point() -> None:
    found = {e.name: e.load() for e in entry_points(group="dvid.commands") if e.name == "neurons"}
    assert found in ({"neurons": neurons}, {})


async def test_files_go_in_and_out(nj: Place, tmp_path: Path) -> None:
    source = tmp_path / "a.ndjson"
    source.write_text("\n".join(json.dumps(row) for row in rows(5000)))
    done = await run(nj, "import", nj.uuid, nj.name, str(source), "--user", "bob")
    assert done.exit_code == 0, done.output
    assert "5000 annotations, 5000 of them changed" in done.output
    assert (await nj.get(5, "?show=user"))["type_user"] == "bob"
    for suffix in ("ndjson", "csv", "parquet", "arrow"):
        file = tmp_path / f"out.{suffix}"
        done = await run(nj, "export", nj.uuid, nj.name, str(file), "--show", "all")
        assert done.exit_code == 0 and "5000 annotations" in done.output, done.output
        done = await run(nj, "import", nj.uuid, nj.name, str(file), "--user", "eve")
        assert "5000 annotations, 0 of them changed" in done.output
    assert {n for n in os.listdir(tmp_path) if n.endswith(".part")} == set()


async def test_a_json_list_is_taken_and_options_reach_the_server(nj: Place, tmp_path: Path) -> None:
    source = tmp_path / "a.json"
    source.write_text(json.dumps(rows(10), indent=2))
    assert (await run(nj, "import", nj.uuid, nj.name, str(source), "--user", "bob", "--check")).exit_code == 0
    assert await nj.keys() == []
    await nj.set(3, type="mine", extra=1)
    await run(nj, "import", nj.uuid, nj.name, str(source), "--user", "bob", "--conditional", "type")
    assert (await nj.get(3))["type"] == "mine"
    await run(nj, "import", nj.uuid, nj.name, str(source), "--user", "bob", "--replace")
    assert "extra" not in await nj.get(3)


async def test_a_bad_file_is_named_by_row_and_nothing_is_written(nj: Place, tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text("bodyid,type\n" + "".join(f"{i},t\n" for i in range(1, 5000)) + "x,t\n")
    done = await run(nj, "import", nj.uuid, nj.name, str(source), "--user", "bob")
    assert done.exit_code == 1 and "row 5000" in done.output
    assert await nj.keys() == []


async def test_failures_end_with_a_sentence(nj: Place, tmp_path: Path) -> None:
    source = tmp_path / "a.txt"
    source.write_text("{}")
    assert "--format" in (await run(nj, "import", nj.uuid, nj.name, str(source))).output
    assert "no data instance" in (await run(nj, "export", nj.uuid, "none", str(tmp_path / "b.csv"))).output
    assert not (tmp_path / "b.csv").exists()
    done = CliRunner().invoke(neurons, ["export", nj.uuid, nj.name, str(tmp_path / "b.csv"), "--rpc", "127.0.0.1:1"])
    assert done.exit_code == 1 and "no DVID server answers" in done.output


async def test_a_keyvalue_instance_is_copied(nj: Place) -> None:
    await nj.api.instance(nj.uuid, "old", "pairs")
    await nj.api.post(f"/api/node/{nj.uuid}/old/key/17", b'{"type": "a"}')
    done = await run(nj, "import-keyvalue", nj.uuid, nj.name, "old")
    assert json.loads(done.output)["annotations"] == 1
