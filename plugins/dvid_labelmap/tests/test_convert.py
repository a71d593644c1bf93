"""Other label volumes turned into labelmaps: the endpoints, and the command `dvid convert`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from dvid_labelmap import LabelMap
from dvid_labelmap import convert as convert_module
from dvid_labelmap.convert_cubes import Cubes

from dvid_core.testing import Api
from dvid_core.testing.api import eventually
from dvid_core.testing.fixtures import RunningServer
from dvid_core.testing.process import process_of
from dvid_voxels.convert import command
from dvid_voxels.convert.command import convert
from dvid_voxels.segmentation.ingest import Ingest

from .segmentation import Array, Segmentation, Triple, cells, halved

pytest.importorskip("dvid_labelblk")
pytest.importorskip("dvid_labelarray")

SIZE: Triple = (96, 96, 96)
LOW: Triple = (-96, 0, -96)
"""A multiple of all blocks' sides."""


@pytest.fixture(autouse=True)
def admin(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command finds the token where it looks for it, and does not wait long between looks."""
    monkeypatch.setenv("DVID_ADMIN_TOKEN", "secret")
    monkeypatch.setattr(command, "POLL", 0.01)


class Volume(Segmentation):
    """The source or the target of a conversion."""

    async def run(self, *words: str, target: str = "seg") -> Result:
        """`dvid convert` of this to another instance; its outcome, whatever it is."""
        place = [self.uuid, self.name, target, "--block-size", "16,16,16", *words]
        place += ["--rpc", self.api.url.removeprefix("http://")]
        return await asyncio.to_thread(CliRunner().invoke, convert, place)

    async def converted(self, *words: str) -> Segmentation:
        """The labelmap that the command makes of this."""
        result = await self.run(*words)
        assert result.exit_code == 0, result.output
        assert "agree" in result.output
        return Segmentation(self.api, self.uuid)

    async def status(self) -> dict[str, Any]:
        """GET convert."""
        found: dict[str, Any] = await self.api.get(f"/api/node/{self.uuid}/seg/convert")
        return found

    async def begin(self) -> dict[str, Any]:
        """POST convert."""
        found: dict[str, Any] = await self.api.post(f"/api/node/{self.uuid}/seg/convert/{self.name}", admin=True)
        return found

    async def ended(self) -> dict[str, Any]:
        """Wait until no conversion is under way; how it stands then."""

        async def over() -> bool:
            return not (await self.status())["Running"]

        await eventually(over)
        return await self.status()


async def new_volume(api: Api, typename: str = "labelblk", block: str = "32,32,32") -> Volume:
    """An empty source in a new repo."""
    uuid = await api.repo()
    await api.instance(uuid, "old", typename, BlockSize=block, VoxelSize="4,4.5,40", VoxelUnits="nm,nm,nm")
    return Volume(api, uuid, "old")


async def new_target(api: Api, uuid: str, **settings: str) -> Segmentation:
    """An empty labelmap."""
    await api.instance(uuid, "seg", "labelmap", **{"BlockSize": "16,16,16", "MaxDownresLevel": "2", **settings})
    return Segmentation(api, uuid)


async def check(seg: Segmentation, voxels: Array, scales: int = 2) -> None:
    """Demand that a labelmap holds these voxels, their lower scales and indices, and nothing else."""
    await seg.check_indices((LOW[0] // 16, LOW[1] // 16, LOW[2] // 16), voxels)
    at = LOW
    for scale in range(scales + 1):
        assert np.array_equal(await seg.get(at, voxels.shape, f"?scale={scale}"), voxels), f"scale {scale}"  # type: ignore[arg-type]
        voxels, at = halved(voxels), (at[0] // 2, at[1] // 2, at[2] // 2)


@pytest.mark.parametrize(
    ("typename", "block"),
    [
        ("labelblk", "32,32,32"), ("labelblk", "16,16,16"), ("labelblk", "8,24,48"), ("labelblk", "96,32,8"),
        ("labelarray", "16,16,16"), ("labelarray", "48,48,48"),
    ],
)  # fmt: skip
async def test_a_volume_of_any_block_size_is_converted(server: RunningServer, typename: str, block: str) -> None:
    old = await new_volume(server, typename, block)
    voxels = cells(SIZE, zeros=0.4)
    voxels[48:, :48] = 0
    await old.put(LOW, voxels)
    seg = await old.converted()
    await check(seg, voxels)
    info = await server.get(f"{seg.place}/info")
    assert info["Extended"]["VoxelSize"] == [4, 4.5, 40]
    assert info["Extended"]["VoxelUnits"] == ["nm", "nm", "nm"]
    assert info["Extended"]["MaxDownresLevel"] == 3
    assert info["Extents"] == {"MinPoint": [-96, 0, -96], "MaxPoint": [-1, 95, -1]}
    assert await server.get(f"{seg.place}/maxlabel") == {"maxlabel": 12}
    report = (await old.status())["Report"]
    assert (report["Labels"], report["Voxels"]) == (12, int((voxels > 0).sum()))
    assert (report["DifferentBlocks"], report["DifferentLabels"]) == (0, 0)


async def test_labels_that_were_used_up_are_not_given_again(server: RunningServer) -> None:
    old = await new_volume(server, "labelarray")
    await old.put(LOW, cells(SIZE))
    await server.post(f"{old.place}/merge", json=[1, 12])
    seg = await old.converted()
    assert await server.get(f"{seg.place}/nextlabel") == {"nextlabel": 13}


async def test_labels_of_the_labelvol_that_a_volume_follows_count(server: RunningServer) -> None:
    pytest.importorskip("dvid_labelvol")
    old = await new_volume(server, "labelblk")
    await server.instance(old.uuid, "bodies", "labelvol", BlockSize="32,32,32")
    await server.post(f"{old.place}/sync", json={"sync": "bodies"})
    await server.post(f"/api/node/{old.uuid}/bodies/sync", json={"sync": "old"})
    await old.put(LOW, cells(SIZE))
    await server.server.bus.idle()
    await server.post(f"/api/node/{old.uuid}/bodies/merge", json=[1, 12])
    await server.server.bus.idle()
    seg = await old.converted()
    assert 12 not in await seg.labels()
    assert await server.get(f"{seg.place}/nextlabel") == {"nextlabel": 13}


async def test_many_requests_begin_one_conversion(server: RunningServer) -> None:
    old = await new_volume(server)
    await old.put(LOW, cells(SIZE))
    seg = await new_target(server, old.uuid)
    begun = await asyncio.gather(*(old.begin() for _ in range(8)))
    assert {status["Source"] for status in begun} == {"old"}
    assert (await old.ended())["State"] == "done"
    await check(seg, await old.get(LOW, SIZE))


async def test_an_empty_volume_is_converted(server: RunningServer) -> None:
    old = await new_volume(server)
    seg = await old.converted()
    assert await seg.labels() == []


async def test_a_second_run_copies_what_changed_since(server: RunningServer) -> None:
    old = await new_volume(server)
    voxels = cells(SIZE)
    await old.put(LOW, voxels)
    seg = await old.converted()
    assert (await old.status())["Written"] == 216
    fresh = cells((32, 32, 32), seed=3)
    await old.put(LOW, fresh, "?mutate=true")
    voxels[:32, :32, :32] = fresh
    await old.converted()
    await check(seg, voxels)
    status = await old.status()
    assert (status["Written"], status["Same"]) == (8, 208)


async def test_all_versions_are_converted_and_store_what_changed(server: RunningServer) -> None:
    old = await new_volume(server)
    voxels = cells(SIZE)
    await old.put(LOW, voxels)
    await server.commit(old.uuid)
    child = Volume(server, await server.newversion(old.uuid), "old")
    side = Volume(server, await server.branch(old.uuid, "side"), "old")
    await child.put(LOW, np.full((32, 32, 32), 40, np.uint64), "?mutate=true")
    later = voxels.copy()
    later[:32, :32, :32] = 40
    await server.commit(child.uuid)
    grandchild = Volume(server, await server.newversion(child.uuid), "old")
    result = await old.run("--all-versions")
    assert result.exit_code == 0, result.output
    for one, wanted, written in ((old, voxels, 216), (child, later, 8), (grandchild, later, 8), (side, voxels, 216)):
        await check(Segmentation(server, one.uuid), wanted)
        status = await one.status()
        assert (status["State"], status["Written"]) == ("done", written)
        assert status["UUID"] == one.uuid


async def test_the_check_finds_what_is_not_as_in_the_source(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = await new_volume(server)
    voxels = cells(SIZE)
    await old.put(LOW, voxels)
    seg = await new_target(server, old.uuid)
    real = Cubes.cubes

    async def without_some(self: Cubes, after: Triple | None = None) -> Any:
        async for cube in real(self, after):
            if cube.at[0] % 2:
                yield cube

    with monkeypatch.context() as patch:
        patch.setattr(convert_module.Cubes, "cubes", without_some)
        patch.setattr(convert_module.Conversion, "_check", no_check)
        await old.begin()
        await old.ended()
    await server.post(f"{seg.place}/raw/0_1_2/16_16_16/320_0_0", np.full(16**3, 99, "<u8").tobytes())
    result = await old.run()
    assert result.exit_code != 0
    assert "is not the same as" in result.output
    assert "holds other voxels" in result.output
    status = await old.status()
    assert status["State"] == "differs"
    report = status["Report"]
    assert report["DifferentBlocks"] >= 73
    assert report["DifferentLabels"] == 13
    assert any("block 20, 0, 0" in line for line in report["Examples"]) or len(report["Examples"]) == 10
    await server.post(f"{seg.place}/raw/0_1_2/16_16_16/320_0_0?mutate=true", bytes(8 * 16**3))
    await old.converted()
    await check(seg, voxels)


async def no_check(self: Any, source: Any) -> None:
    """In the place of a check."""


@pytest.mark.parametrize("engine", ["rocksdb"])
async def test_after_a_stop_it_goes_on_where_it_was(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    old = await new_volume(server)
    voxels = cells(SIZE)
    await old.put(LOW, voxels)
    seg = await new_target(server, old.uuid)
    monkeypatch.setattr(convert_module, "NOTED", 1)
    done, halfway, closing = 0, asyncio.Event(), asyncio.Event()
    real, really_close = Ingest.commit, LabelMap.close

    async def cut(self: Ingest, ready: Any) -> None:
        nonlocal done
        if done == 5:
            halfway.set()
            await closing.wait()
        done += 1
        await real(self, ready)

    async def close(self: LabelMap) -> None:
        closing.set()
        await really_close(self)

    with monkeypatch.context() as patch:
        patch.setattr(Ingest, "commit", cut)
        patch.setattr(LabelMap, "close", close)
        assert (await old.begin())["Running"]
        await halfway.wait()
        assert (await old.begin())["Running"], "asked again it tells how it stands"
        await server.restart()
    status = await old.status()
    assert (status["State"], status["Running"]) == ("copying", False)
    before = status["Written"]
    assert 0 < before < 216
    await old.converted()
    await check(seg, voxels)
    status = await old.status()
    assert status["Written"] + status["Same"] == 216
    assert status["Same"] < done * 64, "cubes that are in the record are not looked at again"


async def test_it_is_stopped_by_a_request(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    old = await new_volume(server)
    await old.put(LOW, cells(SIZE))
    await new_target(server, old.uuid)
    begun = asyncio.Event()

    async def stuck(self: Cubes, after: Triple | None = None) -> Any:
        begun.set()
        await asyncio.Event().wait()
        yield

    with monkeypatch.context() as patch:
        patch.setattr(Cubes, "cubes", stuck)
        await old.begin()
        await begun.wait()
        other = await server.ask("POST", f"/api/node/{old.uuid}/seg/convert/nothing", admin=True)
        assert other.status == 400
        assert (await server.ask("DELETE", f"/api/node/{old.uuid}/seg/convert")).status == 400
        result = await old.run("--stop")
        assert result.exit_code == 0, result.output
    assert not (await old.status())["Running"]
    await old.converted()


async def test_after_a_kill_the_same_command_goes_on(tmp_path: Path) -> None:
    async with process_of(tmp_path) as server:
        old = await new_volume(server)
        voxels = np.kron(cells((64, 64, 64), count=3000), np.ones((4, 4, 4), np.uint64))
        await old.put(LOW, voxels)
        running = asyncio.ensure_future(old.run())

        async def copying() -> bool:
            answer = await server.ask("GET", f"/api/node/{old.uuid}/seg/convert")
            return answer.status == 200 and answer.json()["Written"] > 0

        await eventually(copying)
        await server.kill()
        result = await running
        assert result.exit_code != 0
        await server.start()
        seg = await old.converted()
        assert np.array_equal(await seg.get(LOW, voxels.shape), voxels)  # type: ignore[arg-type]
        labels, counts = np.unique(voxels[voxels > 0], return_counts=True)
        assert await seg.labels() == labels.tolist()
        assert await server.get(f"{seg.place}/sizes", json=labels.tolist()) == counts.tolist()


async def test_what_makes_no_sense_is_refused(server: RunningServer) -> None:
    old = await new_volume(server)
    seg = await new_target(server, old.uuid)
    await server.instance(old.uuid, "pairs", "keyvalue")
    assert (await server.ask("GET", f"{seg.place}/convert")).status == 404
    for name in ("nothing", "pairs", "seg"):
        answer = await server.ask("POST", f"{seg.place}/convert/{name}", admin=True)
        assert answer.status == 400, name
    assert (await server.ask("POST", f"{seg.place}/convert")).status == 400
    answer = await server.ask("POST", f"{seg.place}/convert/old")
    assert answer.status == 400
    assert "admin" in answer.text
    await seg.put(LOW, cells((16, 16, 16)))
    answer = await server.ask("POST", f"{seg.place}/convert/old", admin=True)
    assert answer.status == 400
    assert "empty labelmap" in answer.text
    assert (await server.ask("GET", f"{seg.place}/convert")).status == 404


async def test_the_command_says_what_is_wrong(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    old = await new_volume(server)
    await server.instance(old.uuid, "pairs", "keyvalue")
    for words, said in (
        ((old.uuid, "nothing", "seg"), "no data instance"),
        ((old.uuid, "pairs", "seg"), "can be converted"),
        ((old.uuid, "old", "pairs"), "convert"),
        (("abcdef", "old", "seg"), "abcdef"),
        ((old.uuid, "old", "seg", "--block-size", "20,20,20"), "BlockSize"),
        ((old.uuid, "old", "seg", "--block-size", "a"), "--block-size"),
    ):
        place = [*words, "--rpc", server.url.removeprefix("http://")]
        result = await asyncio.to_thread(CliRunner().invoke, convert, place)
        assert result.exit_code != 0
        assert said in result.output, (words, result.output)
    monkeypatch.delenv("DVID_ADMIN_TOKEN")
    result = await old.run()
    assert result.exit_code != 0
    assert "DVID_ADMIN_TOKEN" in result.output
