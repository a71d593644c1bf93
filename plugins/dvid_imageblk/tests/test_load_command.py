"""The command `dvid load` against a running server."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import tifffile
from click.testing import CliRunner, Result
from PIL import Image

from dvid_core.testing import Api
from dvid_core.testing.fixtures import RunningServer
from dvid_core.testing.process import process_of
from dvid_voxels.load import slabs
from dvid_voxels.load.command import load
from dvid_voxels.load.remote import Gone, Remote

from .images import ITEMS, Array, Images, Triple, new_images, noise


class Loader:
    """Runs the command in a thread."""

    def __init__(self, api: Api, images: Images) -> None:
        self.api, self.images = api, images

    async def run(self, *words: str, name: str = "") -> Result:
        """Its outcome, whatever it is."""
        place = [self.images.uuid, name or self.images.name, *words, "--rpc", self.api.url.removeprefix("http://")]
        return await asyncio.to_thread(CliRunner().invoke, load, place)

    async def done(self, *words: str) -> str:
        """What it said when it ended well."""
        result = await self.run(*words)
        assert result.exit_code == 0, result.output
        return result.output

    async def refused(self, *words: str, name: str = "") -> str:
        """What it said when it did not."""
        result = await self.run(*words, name=name)
        assert result.exit_code != 0, result.output
        assert not isinstance(result.exception, Exception) or isinstance(result.exception, click.ClickException)
        return result.output


@pytest.fixture
def loader(gray: Images) -> Loader:
    return Loader(gray.api, gray)


@pytest.fixture
def small_slabs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of one layer of blocks."""
    for name in ("SLAB", "STRIP"):
        monkeypatch.setattr(slabs, name, 4 * 64 * 64)


def sections(folder: Path, voxels: Array) -> str:
    """PNG files of its sections."""
    folder.mkdir()
    for z, section in enumerate(voxels):
        Image.fromarray(section).save(folder / f"{z}.png")
    return str(folder)


async def test_a_folder_of_sections_is_loaded_at_any_place(loader: Loader, gray: Images, tmp_path: Path) -> None:
    voxels = noise((11, 33, 50))
    said = await loader.done(sections(tmp_path / "s", voxels), "--offset", "-5,3,-2")
    assert "50 x 33 x 11 voxels of uint8" in said
    assert (await gray.get((-2, 3, -5), voxels.shape) == voxels).all()
    assert await gray.extents() == ((-2, 3, -5), (8, 35, 44))


@pytest.mark.usefixtures("small_slabs")
async def test_all_parts_of_a_large_volume_come_to_their_places(loader: Loader, gray: Images, tmp_path: Path) -> None:
    voxels = noise((30, 150, 170))
    tifffile.imwrite(tmp_path / "v.tif", voxels, photometric="minisblack")
    await loader.done(str(tmp_path / "v.tif"), "--offset", "3,-7,9")
    assert (await gray.get((9, -7, 3), voxels.shape) == voxels).all()
    [note] = (await gray.ask("GET", "load")).json().values()
    assert note["done"] == note["of"] > 20
    assert (note["source"], note["offset"], note["size"]) == ("v.tif", [3, -7, 9], [170, 150, 30])


@pytest.mark.parametrize("typename", ITEMS)
async def test_every_type_is_loaded(server: RunningServer, tmp_path: Path, typename: str) -> None:
    images = await new_images(server, typename)
    if typename == "rgba8blk":
        colors = noise((6, 9, 4 * 20)).reshape(6, 9, 20, 4)
        source, voxels = sections(tmp_path / "s", colors), colors.view("<u4")[..., 0]
    else:
        voxels = (np.arange(6 * 9 * 20) * 50).reshape(6, 9, 20).astype(images.item)
        source = str(tmp_path / "v.tif")
        tifffile.imwrite(source, voxels, byteorder=">", photometric="minisblack")
    await Loader(server, images).done(source)
    assert (await images.get((0, 0, 0), (6, 9, 20)) == voxels).all()


# -- going on


class Cut:
    """Stands for `Remote.put`, and breaks the connection after some calls."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
        self.after, self.places = after, list[str]()
        put: Callable[..., None] = Remote.put

        def cut(remote: Remote, size: str, offset: str, *rest: Any, **options: str) -> None:
            if len(self.places) == self.after:
                raise Gone("the cable is out")
            put(remote, size, offset, *rest, **options)
            self.places.append(offset)

        monkeypatch.setattr(Remote, "put", cut)


@pytest.mark.usefixtures("small_slabs")
async def test_a_load_that_broke_off_goes_on_where_it_stopped(
    loader: Loader, gray: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voxels = noise((40, 64, 64))
    folder = sections(tmp_path / "s", voxels)
    with monkeypatch.context() as patch:
        first = Cut(patch, after=3)
        said = await loader.refused(folder)
    assert "3 of 10 parts are there; the same command goes on" in said and "the cable is out" in said
    with monkeypatch.context() as patch:
        second = Cut(patch, after=99)
        said = await loader.done(folder)
    assert "3 of 10 parts are there" in said
    assert len(first.places) == 3 and len(second.places) == 7
    assert not set(first.places) & set(second.places)
    assert (await gray.get((0, 0, 0), voxels.shape) == voxels).all()


@pytest.mark.usefixtures("small_slabs")
async def test_what_is_done_is_not_done_again_unless_told(
    loader: Loader, gray: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voxels = noise((12, 20, 20))
    folder = sections(tmp_path / "s", voxels)
    await loader.done(folder)
    await gray.put((0, 0, 0), np.zeros((4, 8, 16), np.uint8))
    calls = Cut(monkeypatch, after=99)
    assert "--anew" in await loader.done(folder)
    assert calls.places == []
    await loader.done(folder, "--anew")
    assert (await gray.get((0, 0, 0), voxels.shape) == voxels).all()


@pytest.mark.usefixtures("small_slabs")
async def test_other_files_places_and_versions_are_loads_of_their_own(
    loader: Loader, gray: Images, server: RunningServer, tmp_path: Path
) -> None:
    voxels = noise((12, 20, 20))
    folder = sections(tmp_path / "s", voxels)
    await loader.done(folder)
    await loader.done(folder, "--offset", "0,0,100")
    assert (await gray.get((100, 0, 0), voxels.shape) == voxels).all()
    Image.fromarray(voxels[0] ^ 255).save(tmp_path / "s" / "5.png")
    await loader.done(folder)
    assert (await gray.get((5, 0, 0), (1, 20, 20)) == voxels[0] ^ 255).all()
    await server.commit(gray.uuid)
    child = Loader(server, gray.at(await server.newversion(gray.uuid)))
    assert "--anew" in await child.done(folder), "the child sees what its parent has"


async def test_a_server_that_was_killed_in_a_load_has_all_of_it_after_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voxels = noise((64, 256, 256))
    folder = sections(tmp_path / "s", voxels)
    for name in ("SLAB", "STRIP"):
        monkeypatch.setattr(slabs, name, 4 * 256 * 256)
    async with process_of(tmp_path, plugins=["dvid_imageblk"]) as server:
        images = await new_images(server)
        put: Callable[..., None] = Remote.put
        reached, loop = asyncio.Event(), asyncio.get_running_loop()
        sent = list[str]()

        def watched(remote: Remote, size: str, offset: str, *rest: Any, **options: str) -> None:
            put(remote, size, offset, *rest, **options)
            sent.append(offset)
            if len(sent) == 5:
                loop.call_soon_threadsafe(reached.set)

        monkeypatch.setattr(Remote, "put", watched)
        loading = asyncio.create_task(Loader(server, images).run(folder))
        await reached.wait()
        await server.kill()
        broken = await loading
        await server.start()
        before = len(sent)
        said = await Loader(server, images).done(folder)
        assert broken.exit_code != 0 or before == 16, "the kill came before the end"
        assert "going on" in said or before == 16
        assert len(sent) <= 16 + 1, "at most the part that was under way is sent twice"
        assert (await images.get((0, 0, 0), voxels.shape) == voxels).all()


# -- what is refused


async def test_what_does_not_fit_the_instance_is_refused_before_anything_is_sent(
    loader: Loader, gray: Images, server: RunningServer, tmp_path: Path
) -> None:
    tifffile.imwrite(tmp_path / "wide.tif", noise((5, 6, 7), "<u2"), photometric="minisblack")
    assert "uint16" in await loader.refused(str(tmp_path / "wide.tif"))
    folder = sections(tmp_path / "s", noise((5, 6, 7)))
    assert "32-bit" in await loader.refused(folder, "--offset", "2147483645,0,0")
    assert "X,Y,Z" in await loader.refused(folder, "--offset", "1,2")
    assert "no data instance" in await loader.refused(folder, name="nothing")
    await server.instance(gray.uuid, "pairs", "keyvalue")
    assert "takes no volume" in await loader.refused(folder, name="pairs")
    assert "there is no file" in await loader.refused(str(tmp_path / "missing.png"))
    await server.commit(gray.uuid)
    assert "committed" in await loader.refused(folder)
    assert await gray.extents() is None


async def test_a_server_that_is_not_there_is_said(tmp_path: Path) -> None:
    folder = sections(tmp_path / "s", noise((2, 3, 4)))
    for address in ("127.0.0.1:9", "not an address", "localhost:x"):
        result = await asyncio.to_thread(CliRunner().invoke, load, ["abc", "gray", folder, "--rpc", address])
        assert result.exit_code == 1
        assert "--rpc HOST:PORT" in result.output


async def test_a_section_that_cannot_be_read_ends_the_load_by_name(
    loader: Loader, gray: Images, tmp_path: Path
) -> None:
    folder = sections(tmp_path / "s", noise((9, 64, 64)))
    file = tmp_path / "s" / "6.png"
    file.write_bytes(file.read_bytes()[:1000])
    assert "6.png" in await loader.refused(folder)


# -- as a process


async def dvid(*words: str, cwd: Path) -> tuple[int, str]:
    """The command line `dvid`: status and what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "dvid_core", *words, cwd=cwd,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


def entry_points() -> Sequence[str]:
    from importlib.metadata import entry_points

    return [e.name for e in entry_points(group="dvid.commands")]


@pytest.mark.skipif("load" not in entry_points(), reason="dvid-voxels is not installed")
async def test_it_is_a_command_of_dvid(gray: Images, server: RunningServer, tmp_path: Path) -> None:
    voxels: Array = noise((3, 20, 30))
    sections(tmp_path / "a=b", voxels)
    rpc = server.url.removeprefix("http://")
    words = ["load", gray.uuid, gray.name, "a=b/*.png", "--offset", "-1,-2,-3", "--rpc", rpc]
    status, said = await dvid(*words, cwd=tmp_path)
    assert (status, "loaded in" in said) == (0, True), said
    low: Triple = (-3, -2, -1)
    assert (await gray.get(low, voxels.shape) == voxels).all()
    status, said = await dvid("load", gray.uuid, gray.name, "none.png", "--rpc", rpc, cwd=tmp_path)
    assert (status, said) == (1, "dvid: there is no file none.png\n")
