"""Data instances: names, settings, info, tags."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from dvid_core.testing.fixtures import RunningServer


@pytest.fixture
async def uuid(server: RunningServer) -> str:
    return await server.repo()


async def refused(server: RunningServer, uuid: str, body: Any) -> str:
    """The server's words when an instance is refused; nothing may have changed."""
    async with server.unchanged():
        answer = await server.ask("POST", f"/api/repo/{uuid}/instance", json=body)
        assert answer.status == 400, answer.text
    return answer.text


@pytest.mark.parametrize(
    "name", ["", "a/b", "/", "..", ".", "log", "branch", "note", "commit", "newversion", 3, None, ["x"]]
)
async def test_names_that_no_request_could_reach_are_refused(server: RunningServer, uuid: str, name: Any) -> None:
    assert "dataname" in await refused(server, uuid, {"typename": "keyvalue", "dataname": name})


@pytest.mark.parametrize(
    "name", ["with blank", "ünï", "a.b", "...", "x:y", "Log", "%2F", "a?b", "#", "+", "info", "status", "tag"]
)
async def test_any_other_name_is_reached_percent_encoded(server: RunningServer, uuid: str, name: str) -> None:
    await server.instance(uuid, name)
    place = f"/api/node/{uuid}/{quote(name, safe='')}"
    await server.post(f"{place}/key/k", b"1")
    assert await server.get(f"{place}/key/k") == b"1"
    assert (await server.get(f"{place}/info"))["Base"]["Name"] == name


async def test_a_name_is_used_once_in_a_repo_whatever_its_version(server: RunningServer, uuid: str) -> None:
    await server.instance(uuid, "kv")
    await server.commit(uuid)
    child = await server.newversion(uuid)
    assert "kv" in await refused(server, child, {"typename": "keyvalue", "dataname": "kv"})
    other = await server.repo()
    await server.instance(other, "kv")
    await server.instance(child, "KV")


async def test_an_instance_is_of_the_whole_repo(server: RunningServer, uuid: str) -> None:
    await server.commit(uuid)
    child = await server.newversion(uuid)
    await server.instance(child, "late")
    assert await server.get(f"/api/node/{uuid}/late/keys") == []
    assert (await server.get(f"/api/node/{uuid}/late/info"))["Base"]["RepoUUID"] == child


@pytest.mark.parametrize("body", [{}, [], "kv", None, {"dataname": "kv"}, {"typename": "keyvalue"},
                                  {"typename": "", "dataname": "kv"}, {"typename": "KeyValue", "dataname": "kv"},
                                  {"typename": ["keyvalue"], "dataname": "kv"}])  # fmt: skip
async def test_a_type_and_a_name_are_needed(server: RunningServer, uuid: str, body: Any) -> None:
    await refused(server, uuid, body)


@pytest.mark.parametrize(("asked", "shown"), [
    ("none", "No compression, level -1"),
    ("Snappy", "Go Snappy compression, level -1"),
    ("LZ4", "LZ4 compression, level -1"),
    ("gzip", "gzip compression, level -1"),
    ("GZIP:5", "gzip compression, level 5"),
    (None, "LZ4 compression, level -1"),
])  # fmt: skip
async def test_compression_is_recorded(server: RunningServer, uuid: str, asked: str | None, shown: str) -> None:
    settings = {"CoMpReSsIoN": asked} if asked else {}
    place = await server.instance(uuid, "kv", **settings)
    await server.post(f"{place}/key/k", b"stored as sent")
    assert await server.get(f"{place}/key/k") == b"stored as sent"
    assert (await server.get(f"{place}/info"))["Base"]["Compression"] == shown


@pytest.mark.parametrize(
    "value", ["gzip:99", "gzip:-1", "gzip:", "gzip:x", "gzip:5:5", "jpeg:80", "jpeg", "zstd", "", 3, None]
)
async def test_compression_that_is_none_is_refused(server: RunningServer, uuid: str, value: Any) -> None:
    await refused(server, uuid, {"typename": "keyvalue", "dataname": "kv", "Compression": value})


@pytest.mark.parametrize(
    ("value", "shown"), [("none", "No checksum"), ("CRC32", "CRC32 checksum"), ("crc32", "CRC32 checksum")]
)
async def test_a_checksum_is_recorded(server: RunningServer, uuid: str, value: str, shown: str) -> None:
    place = await server.instance(uuid, "kv", Checksum=value)
    assert (await server.get(f"{place}/info"))["Base"]["Checksum"] == shown


@pytest.mark.parametrize("setting", [{"Checksum": "md5"}, {"Checksum": ""}, {"Checksum": 1}, {"versioned": "yes"},
                                     {"versioned": 1}, {"versioned": ""}, {"versioned": None}, {"Tags": {"a": "1"}},
                                     {"Tags": ["a=1"]}, {"Tags": 3}])  # fmt: skip
async def test_other_settings_of_a_wrong_kind_are_refused(
    server: RunningServer, uuid: str, setting: dict[str, Any]
) -> None:
    (key,) = setting
    assert key in await refused(server, uuid, {"typename": "keyvalue", "dataname": "kv", **setting})


@pytest.mark.parametrize(("value", "versioned"), [
    (True, True), (False, False), ("true", True), ("False", False), ("1", True), ("0", False), ("TRUE", True),
])  # fmt: skip
async def test_versioned_is_taken_as_a_boolean_or_a_word(
    server: RunningServer, uuid: str, value: Any, versioned: bool
) -> None:
    place = await server.instance(uuid, "kv", VERSIONED=value)
    assert (await server.get(f"{place}/info"))["Base"]["Versioned"] is versioned


async def test_the_keys_of_an_instance_and_of_a_repo_are_taken_in_any_case(server: RunningServer) -> None:
    body = {"ALIAS": "a", "Description": "d", "ROOT": "0123456789abcdef0123456789abcdef", "Unknown": [{}]}
    uuid = (await server.post("/api/repos", json=body, admin=True))["root"]
    assert uuid == body["ROOT"]
    info = await server.repo_info(uuid)
    assert (info["Alias"], info["Description"]) == ("a", "d")
    await server.post(f"/api/repo/{uuid}/instance", json={"TYPENAME": "keyvalue", "DataName": "kv", "other": {"x": 1}})
    assert await server.get(f"/api/node/{uuid}/kv/keys") == []


async def test_tags_are_merged_replaced_and_emptied(server: RunningServer, uuid: str) -> None:
    place = await server.instance(uuid, "kv", Tags="a=1,b=2,broken,c=x=y,=z,d=")
    assert await server.get(f"{place}/tags") == {"Tags": {"a": "1", "b": "2", "d": ""}}
    await server.post(f"{place}/tags", json={"a": "9", "ü": "é"})
    assert await server.get(f"{place}/tags") == {"Tags": {"a": "9", "b": "2", "d": "", "ü": "é"}}
    await server.post(f"{place}/tags?replace=true", json={"only": "one"})
    assert (await server.get(f"{place}/info"))["Base"]["Tags"] == {"only": "one"}
    await server.post(f"{place}/tags?replace=true", json={})
    assert not (await server.get(f"{place}/tags"))["Tags"]


@pytest.mark.parametrize("body", [{"a": 1}, {"a": "1", "b": None}, ["a"], "a=1", {"a": {"b": "c"}}])
async def test_tags_of_a_wrong_kind_change_nothing(server: RunningServer, uuid: str, body: Any) -> None:
    place = await server.instance(uuid, "kv", Tags="a=1")
    async with server.unchanged():
        await server.post(f"{place}/tags", json=body, status=400)
        await server.post(f"{place}/tags?replace=true", json=body, status=400)


async def test_an_unknown_endpoint_or_instance_is_a_bad_request(server: RunningServer, uuid: str) -> None:
    place = await server.instance(uuid, "kv")
    for path in (f"{place}/nosuch", f"{place}/", f"/api/node/{uuid}/other/info", f"/api/node/{uuid}/other/"):
        await server.get(path, status=400)
    await server.get(place, status=404)


async def test_a_type_that_follows_nothing_cannot_be_synced(server: RunningServer, uuid: str) -> None:
    place = await server.instance(uuid, "kv")
    await server.instance(uuid, "other")
    async with server.unchanged():
        for body in ({"sync": "other"}, {"sync": ["other"]}, {}, {"sync": "nosuch"}):
            await server.post(f"{place}/sync", json=body, status=400)
        await server.get(f"{place}/sync", status=400)


async def test_blobs_are_found_by_their_content(server: RunningServer, uuid: str) -> None:
    place, other = await server.instance(uuid, "kv"), await server.instance(await server.repo(), "kv")
    assert await server.post(f"{place}/blobstore", b"hello") == {"reference": "8UtYSGSD2U9wgDh5jClpfw=="}
    found = await server.ask("GET", f"{other}/blobstore/8UtYSGSD2U9wgDh5jClpfw==")
    assert (found.status, found.body) == (200, b"hello")
    empty = (await server.post(f"{place}/blobstore", b""))["reference"]
    assert await server.get(f"{place}/blobstore/{empty}") == b""
    await server.get(f"{place}/blobstore/AAAAAAAAAAAAAAAAAAAAAA==", status=404)
    for bad in (
        "x",
        "8UtYSGSD2U9wgDh5jClpfw",
        "AAAA",
        "8UtYSGSD2U9wgDh5jClpfw==A",
        "%C3%A9",
        "8UtYSGSD2U9wgDh5jClpf+==",
    ):
        await server.get(f"{place}/blobstore/{bad}", status=400)
    await server.get(f"{place}/blobstore", status=400)
    assert (await server.ask("HEAD", f"{place}/blobstore/8UtYSGSD2U9wgDh5jClpfw==")).body == b""
