"""What is configured and what instances are told; what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from dvid_precomputed.settings import PrecomputedConfig
from msgspec.structs import replace

from dvid_core import BadRequest, Batch, ConfigError
from dvid_core.testing.fixtures import RunningServer

from .conftest import Served
from .volumes import VOLUMES, labels, make_volume, show, smooth

PLACES = [
    ("file:///data/v", {"driver": "file", "path": "/data/v/"}),
    ("precomputed://file:///data/v/", {"driver": "file", "path": "/data/v/"}),
    ("http://h:8080/a/b", {"driver": "http", "base_url": "http://h:8080", "path": "/a/b/"}),
    ("https://h", {"driver": "http", "base_url": "https://h", "path": "/"}),
    ("https://h/a/?key=1", {"driver": "http", "base_url": "https://h?key=1", "path": "/a/"}),
    ("gs://bucket/a/b", {"driver": "gcs", "bucket": "bucket", "path": "a/b/"}),
    ("bucket/a/b", {"driver": "gcs", "bucket": "bucket", "path": "a/b/"}),
    ("gs://bucket", {"driver": "gcs", "bucket": "bucket", "path": ""}),
    ("s3://bucket/a", {"driver": "s3", "bucket": "bucket", "path": "a/"}),
    ("vast://host/bucket/a", {"driver": "s3", "bucket": "bucket", "path": "a/", "endpoint": "https://host"}),
]


@pytest.mark.parametrize(("ref", "place"), PLACES)
def test_a_ref_names_a_place(ref: str, place: dict[str, Any]) -> None:
    assert PrecomputedConfig(alias="ng", ref=ref).place == place


def test_a_bucket_can_be_elsewhere_and_open_to_all() -> None:
    config = PrecomputedConfig(alias="ng", ref="s3://bucket/a", endpoint="http://minio:9000", anonymous=True)
    assert config.place["endpoint"] == "http://minio:9000"
    assert config.place["aws_credentials"] == {"type": "anonymous"}


@pytest.mark.parametrize("ref", ["file://data/v", "ftp://h/v", "http://", "gs://", "s3:///a", "gs://b c/d", ""])
def test_a_ref_that_names_no_place_is_refused(ref: str) -> None:
    with pytest.raises(ConfigError, match=r"\[store\.ng\] ref"):
        PrecomputedConfig(alias="ng", ref=ref).place  # noqa: B018


SCALE = {"key": "s0", "size": [10, 10, 10], "resolution": [8, 8, 8], "chunk_sizes": [[8, 8, 8]], "encoding": "raw"}
INFO = {"type": "image", "data_type": "uint8", "num_channels": 1, "scales": [SCALE]}


@pytest.mark.parametrize(
    ("info", "word"),
    [
        (b"", "info"),
        (b"{", "info"),
        (b"[" * 100_000, "info"),
        ({**INFO, "type": "mesh"}, "type"),
        ({**INFO, "scales": []}, "scales"),
        ({**INFO, "scales": [{**SCALE, "size": [0, 1, 1]}]}, "size"),
        ({**INFO, "scales": [{**SCALE, "chunk_sizes": []}]}, "chunk_sizes"),
        ({**INFO, "scales": [{**SCALE, "resolution": [8, 8]}]}, "resolution"),
        (None, "no file `info`"),
    ],
)
async def test_a_server_does_not_start_over_what_is_no_volume(
    serve: Served, tmp_path: Path, info: Any, word: str
) -> None:
    place = tmp_path / "v"
    place.mkdir()
    if info is not None:
        (place / "info").write_bytes(info if isinstance(info, bytes) else json.dumps(info).encode())
    with pytest.raises(ConfigError, match=word) as raised:
        async with serve(ng={"ref": f"file://{place}"}):
            pass
    assert "[store.ng]" in str(raised.value)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"encoding": "jxl"}, "jxl"),
        ({"encoding": "compressed_segmentation"}, "compressed_segmentation"),
        ({"chunk_sizes": [[1024, 1024, 1024]]}, "bytes of voxels"),
        ({"sharding": {"@type": "something"}}, "@type"),
    ],
)
async def test_scales_that_cannot_be_read_say_why_and_others_are_shown(
    serve: Served, tmp_path: Path, change: dict[str, Any], word: str
) -> None:
    ref = await make_volume(tmp_path / "v", smooth((10, 10, 10)), "raw", (8, 8, 8), key="s0")
    info = json.loads((tmp_path / "v" / "info").read_bytes())
    info["scales"].append({**SCALE, **change})
    (tmp_path / "v" / "info").write_text(json.dumps(info))
    async with serve(ng={"ref": ref}) as server:
        shown = await show(server)
        assert (await shown.raw((0, 0, 0), (10, 10, 10)) == smooth((10, 10, 10))).all()
        body = {"typename": "uint8blk", "dataname": "v", "GridStore": "ng", "ScaleLevel": "1"}
        answer = await server.ask("POST", f"/api/repo/{shown.uuid}/instance", json=body)
        assert answer.status == 400
        assert "ScaleLevel" in answer.text and word in answer.text


async def test_sizes_come_from_the_volume(server: RunningServer) -> None:
    shown = await show(server, "ng-sharded", ScaleLevel="1", BlockSize="64,64,64", VoxelSize="1,1,1")
    info = await shown.info()
    assert info["BlockSize"] == [32, 32, 32]
    assert info["VoxelSize"] == [16, 16, 16]
    assert info["MaxPoint"] == [99, 69, 34]
    assert info["MaxIndex"] == [3, 2, 1]
    assert (info["GridStore"], info["ScaleLevel"]) == ("ng-sharded", 1)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"GridStore": "nowhere"}, "GridStore"),
        ({"GridStore": "main"}, "GridStore"),
        ({"GridStore": "ng-raw", "ScaleLevel": "1"}, "ScaleLevel"),
        ({"GridStore": "ng-raw", "ScaleLevel": "x"}, "ScaleLevel"),
        ({"GridStore": "ng-raw", "typename": "uint16blk"}, "uint8"),
        ({"GridStore": "ng-raw", "typename": "rgba8blk"}, "uint8"),
    ],
)
async def test_a_setting_that_does_not_fit_the_volume_is_refused(
    server: RunningServer, settings: dict[str, str], word: str
) -> None:
    uuid = await server.repo()
    body = {"typename": "uint8blk", "dataname": "v", **settings}
    answer = await server.ask("POST", f"/api/repo/{uuid}/instance", json=body)
    assert answer.status == 400
    assert word in answer.text
    assert (await server.ask("GET", f"/api/node/{uuid}/v/info")).status == 400


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("raw/0_1_2/32_32_32/0_0_0", bytes(32**3)),
        ("blocks/0_0_0/1", bytes(32**3)),
        ("extents", b'{"MinPoint": [0, 0, 0], "MaxPoint": [1, 1, 1]}'),
        ("resolution", b"[1, 2, 3]"),
    ],
)
async def test_what_would_change_the_volume_is_refused(server: RunningServer, path: str, body: bytes) -> None:
    shown = await show(server, "ng-raw")
    before = await shown.info(), await shown.get("raw/0_1_2/96_64_64/0_0_0")
    answer = await shown.ask("POST", path, body)
    assert answer.status == 400
    assert "ng-raw" in answer.text
    assert (await shown.info(), await shown.get("raw/0_1_2/96_64_64/0_0_0")) == before


async def test_instances_of_a_volume_that_is_gone_say_so_and_hurt_nobody(serve: Served) -> None:
    async with serve("rocksdb", ng={"ref": f"file://{VOLUMES / 'raw'}"}) as server:
        shown = await show(server)
    async with serve("rocksdb") as server:
        answer = await server.ask("GET", f"{shown.place}/raw/0_1_2/8_8_8/0_0_0")
        assert answer.status == 400
        assert "'ng'" in answer.text
        info = (await server.repo_info(shown.uuid))["DataInstances"]["shown"]["Extended"]
        assert (info["GridStore"], info["MinPoint"]) == ("ng", None)
        assert (await server.ask("POST", f"{shown.place}/blocks/0_0_0/1", bytes(32**3))).status == 400


async def test_the_store_itself_takes_no_keys(server: RunningServer) -> None:
    store = server.server.stores["ng-raw"]
    batch = Batch()
    batch.put(b"key", b"value")
    with pytest.raises(BadRequest, match="GridStore"):
        await store.commit(batch)
    assert await store.get(b"key") is None
    assert await store.get_many([b"a", b"b"]) == [None, None]
    assert [page async for page in store.scan(b"", b"\xff")] == []


async def test_instances_are_made_when_the_configuration_asks_for_them(serve: Served, tmp_path: Path) -> None:
    ref = f"file://{VOLUMES / 'sharded'}"
    async with serve("rocksdb", ng={"ref": ref, "instance": "em"}) as server:
        store: Any = server.server.stores["ng"]
        await store.started(server.server)  # no repo yet: nothing is made
        uuid = await server.repo()
        other = await server.repo()
        for _ in range(2):
            store.config = replace(store.config, uuid=other[:8])
            await store.started(server.server)
        shown = (await server.repo_info(other))["DataInstances"]
        assert sorted(shown) == ["em", "em_1", "em_2"]
        assert shown["em_2"]["Extended"]["VoxelSize"] == [32, 32, 32]
        assert shown["em"]["Base"]["Compression"] == "jpeg compression, level 32"
        assert (await server.repo_info(uuid))["DataInstances"] == {}
        store.config = replace(store.config, uuid="0" * 32)
        await store.started(server.server)


async def test_volumes_of_labels_make_instances_of_their_type(serve: Served, tmp_path: Path) -> None:
    voxels = labels((16, 16, 16))
    ref = await make_volume(tmp_path / "v", voxels, "compressed_segmentation", (8, 8, 8))
    async with serve(ng={"ref": ref, "instance": "seg"}) as server:
        store: Any = server.server.stores["ng"]
        uuid = await server.repo()
        await store.started(server.server)
        data = await server.get(f"/api/node/{uuid}/seg/raw/0_1_2/16_16_16/0_0_0")
        assert (np.frombuffer(data, "<u8").reshape(voxels.shape) == voxels).all()


def test_the_settings_are_read_strictly() -> None:
    with pytest.raises(msgspec.ValidationError, match="ref"):
        msgspec.convert({"alias": "ng"}, PrecomputedConfig)
