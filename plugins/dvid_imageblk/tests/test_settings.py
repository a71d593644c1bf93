"""What instances are told, and what they show of it."""

from __future__ import annotations

from typing import Any

import pytest

from dvid_core.testing.fixtures import RunningServer

from .images import ITEMS, Images, new_images, noise

VALUES = {
    "uint8blk": [("uint8", "uint8")],
    "uint16blk": [("uint16", "uint16")],
    "uint32blk": [("uint32", "uint32")],
    "uint64blk": [("uint64", "uint64")],
    "float32blk": [("float32", "float32")],
    "rgba8blk": [("uint8", "red"), ("uint8", "green"), ("uint8", "blue"), ("uint8", "alpha")],
}


@pytest.mark.parametrize("typename", ITEMS)
async def test_a_fresh_instance_shows_the_defaults(server: RunningServer, typename: str) -> None:
    uuid = await server.repo()
    place = await server.instance(uuid, "v", typename)
    info = await server.get(f"{place}/info")
    assert info["Extended"] == {
        "Values": [{"DataType": kind, "Label": label} for kind, label in VALUES[typename]],
        "Interpolable": True,
        "BlockSize": [32, 32, 32],
        "VoxelSize": [8, 8, 8],
        "VoxelUnits": ["nanometers"] * 3,
        "MinPoint": None,
        "MaxPoint": None,
        "MinIndex": None,
        "MaxIndex": None,
        "Background": 0,
        "GridStore": "",
        "ScaleLevel": 0,
    }
    assert info["Extents"] == {"MinPoint": None, "MaxPoint": None}
    assert info["Base"]["Compression"] == "LZ4 compression, level -1"
    assert info["Base"]["TypeURL"].startswith("github.com/janelia-flyem/dvid/datatype/imageblk/")
    answer = await server.ask("GET", f"{place}/metadata")
    assert answer.headers["Content-Type"] == "application/vnd.dvid-nd-data+json"
    assert answer.json()["Properties"] == info["Extended"]
    assert [a["Size"] for a in answer.json()["Axes"]] == [0, 0, 0]


async def test_settings_are_read_in_any_case(server: RunningServer) -> None:
    images = await new_images(
        server,
        block="64,32,16",
        voxelsize="4.5,4,40",
        VOXELUNITS="microns,microns,nanometers",
        background="255",
        compression="GZIP:9",
        Tags="kind=em",
    )
    info = await server.get(f"{images.place}/info")
    assert info["Base"]["Compression"] == "gzip compression, level 9"
    assert info["Base"]["Tags"] == {"kind": "em"}
    assert info["Extended"]["VoxelSize"] == [4.5, 4, 40]
    assert info["Extended"]["VoxelUnits"] == ["microns", "microns", "nanometers"]
    assert info["Extended"]["Background"] == 255


@pytest.mark.parametrize(("block", "level"), [("64,64,64", 64), (None, 32)])
async def test_the_level_of_jpeg_is_the_width_of_a_block(server: RunningServer, block: str | None, level: int) -> None:
    uuid = await server.repo()
    settings = {"Compression": "jpeg"} | ({} if block is None else {"BlockSize": block})
    place = await server.instance(uuid, "v", "uint8blk", **settings)
    assert (await server.get(f"{place}/info"))["Base"]["Compression"] == f"jpeg compression, level {level}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BlockSize", "a,b,c"),
        ("BlockSize", "16,16"),
        ("BlockSize", "0,16,16"),
        ("BlockSize", "16,16,-1"),
        ("BlockSize", "4096,4096,4096"),
        ("BlockSize", 5),
        ("VoxelSize", "x,8,8"),
        ("VoxelSize", "8"),
        ("VoxelSize", "0,8,8"),
        ("VoxelSize", "nan,8,8"),
        ("VoxelSize", "1e-30,8,8"),
        ("VoxelSize", "1e999,8,8"),
        ("VoxelUnits", "a,b"),
        ("Background", "256"),
        ("Background", "-1"),
        ("Background", "1.5"),
        ("MinPoint", "1,2"),
        ("MinPoint", "1,2,3"),
        ("MaxPoint", "1,2,x"),
        ("Compression", "zip"),
        ("Compression", "jpeg:80"),
        ("Compression", "lz4:1"),
        ("Compression", "gzip:x"),
        ("Compression", 7),
        ("Checksum", "md5"),
        ("Versioned", "maybe"),
        ("ScaleLevel", "x"),
        ("GridStore", "nowhere"),
    ],
)
async def test_a_bad_setting_is_refused_by_name_and_makes_no_instance(
    server: RunningServer, name: str, value: Any
) -> None:
    uuid = await server.repo()
    body = {"typename": "uint8blk", "dataname": "v", name: value}
    answer = await server.ask("POST", f"/api/repo/{uuid}/instance", json=body)
    assert answer.status == 400
    assert name.lower() in answer.text.lower()
    assert (await server.ask("GET", f"/api/node/{uuid}/v/info")).status == 400


async def test_jpeg_is_for_bytes_and_blocks_that_fit_one(server: RunningServer) -> None:
    uuid = await server.repo()
    for typename, block in (("uint16blk", "32,32,32"), ("uint8blk", "2,256,257")):
        body = {"typename": typename, "dataname": "v", "Compression": "jpeg", "BlockSize": block}
        assert (await server.ask("POST", f"/api/repo/{uuid}/instance", json=body)).status == 400


async def test_extents_given_at_creation_show_until_something_is_written(server: RunningServer) -> None:
    images = await new_images(server, MinPoint="0,-5,0", MaxPoint="99,79,59")
    assert await images.extents() == ((0, -5, 0), (59, 79, 99))
    metadata = (await images.ask("GET", "metadata")).json()
    assert [(a["Size"], a["Offset"]) for a in metadata["Axes"]] == [(100, 0), (85, -5), (60, 0)]
    await images.put((4, 8, 16), noise((4, 8, 16)))
    assert await images.extents() == ((4, 8, 16), (7, 15, 31))


async def test_posted_extents_replace_and_writes_grow_them(gray: Images, server: RunningServer) -> None:
    await gray.put((0, 0, 0), noise((8, 16, 32)))
    await server.post(f"{gray.place}/extents", json={"MinPoint": [2, 3, 4], "MaxPoint": [20, 10, 5]})
    assert await gray.extents() == ((4, 3, 2), (5, 10, 20))
    info = await server.get(f"{gray.place}/info")
    assert (info["Extended"]["MinIndex"], info["Extended"]["MaxIndex"]) == ([0, 0, 1], [1, 1, 1])
    assert (await gray.get((0, 0, 0), (8, 16, 32)) == noise((8, 16, 32))).all()
    await gray.put((-4, 0, 0), noise((4, 8, 16)))
    assert await gray.extents() == ((-4, 0, 0), (5, 10, 20))


@pytest.mark.parametrize(
    ("path", "body", "word"),
    [
        ("extents", b"junk", "JSON"),
        ("extents", b"", "JSON"),
        ("extents", b'{"MinPoint":[0,0,0]}', "MaxPoint"),
        ("extents", b'{"MinPoint":[0,0],"MaxPoint":[1,1]}', "MinPoint"),
        ("extents", b'{"MinPoint":[5,0,0],"MaxPoint":[1,1,1]}', "MinPoint"),
        ("extents", b'{"MinPoint":[0,0,0],"MaxPoint":[1,1,99999999999]}', "MaxPoint"),
        ("resolution", b'{"a":1}', "[x, y, z]"),
        ("resolution", b"[1,2]", "[x, y, z]"),
        ("resolution", b"[1,2,0]", "[x, y, z]"),
        ("resolution", b'["1",2,3]', "[x, y, z]"),
        ("resolution", b"x", "JSON"),
    ],
)
async def test_bad_extents_and_resolutions_change_nothing(
    gray: Images, server: RunningServer, path: str, body: bytes, word: str
) -> None:
    await gray.put((0, 0, 0), noise((8, 16, 32)))
    before = await server.get(f"{gray.place}/info")
    assert word in await gray.refused("POST", path, body)
    assert await server.get(f"{gray.place}/info") == before


async def test_another_resolution_outlives_a_restart(server: RunningServer, engine: str) -> None:
    if engine == "memory":
        pytest.skip("nothing in it outlives the server")
    images = await new_images(server)
    await server.post(f"{images.place}/resolution", b"[3.5, 4, 40]")
    await server.restart()
    assert (await server.get(f"{images.place}/info"))["Extended"]["VoxelSize"] == [3.5, 4, 40]


@pytest.mark.parametrize("typename", ITEMS)
async def test_help_tells_of_every_endpoint(server: RunningServer, typename: str) -> None:
    text = (await server.ask("GET", f"/api/help/{typename}")).text
    for word in (
        "raw/",
        "isotropic/",
        "arb/",
        "blocks/",
        "subvolblocks/",
        "specificblocks",
        "metadata",
        "extents",
        "BlockSize",
    ):
        assert word in text
