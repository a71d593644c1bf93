"""The requests that neuclease makes of core and keyvalue, and what it does with the replies."""

from __future__ import annotations

import json
import re
import tarfile
import uuid as uuids
from collections.abc import Iterator
from datetime import datetime
from io import BytesIO
from typing import Any

import pytest
from dvid_messages.keyvalues import Keys, KeyValues

from dvid_core.testing.fixtures import RunningServer

from .session import Session


@pytest.fixture
def session(server: RunningServer) -> Iterator[Session]:
    found = Session(server.url, u="tester", app="neuclease", admintoken="secret")
    yield found
    found.requests.close()


@pytest.fixture
async def root(session: Session) -> str:
    body = {"alias": "test", "description": "for a test"}
    return str((await session.post("/api/repos", body))["root"])


@pytest.fixture
async def kv(session: Session, root: str) -> str:
    """The path of a keyvalue instance."""
    body = {"dataname": "kv", "typename": "keyvalue", "Compression": "lz4", "Tags": "type=test,kind=none"}
    await session.post(f"/api/repo/{root}/instance", body)
    return f"/api/node/{root}/kv"


async def test_the_version_of_the_server_is_one_it_understands(session: Session) -> None:
    version = (await session.json("/api/server/info"))["DVID Version"]
    assert version.startswith("v")
    numbers = [int(part) for part in re.split("[.-]", version[1:])[:4] if part.isdecimal()]
    assert numbers
    assert (numbers + [0] * 4)[:4] >= [0, 8, 24, 15]


async def test_a_repo_tells_what_it_reads_of_it(session: Session, root: str, kv: str) -> None:
    await session.post(f"/api/repo/{root}/instance", {"dataname": "flat", "typename": "keyvalue", "versioned": "false"})
    await session.post(f"/api/node/{root}/commit", {"note": "first", "log": ["a", "b"]})
    child = (await session.post(f"/api/node/{root}/newversion", {"note": "child"}))["child"]
    side = (await session.post(f"/api/node/{root}/branch", {"branch": "side", "note": "branched"}))["child"]

    info = await session.json(f"/api/repo/{root[:6]}/info")
    assert (await session.json("/api/repos/info"))[root] == info
    nodes = info["DAG"]["Nodes"]
    by_id = {node["VersionID"]: node["UUID"] for node in nodes.values()}
    assert set(nodes) == set(by_id.values()) == {root, child, side}
    for uuid, node in nodes.items():
        assert node["UUID"] == uuid
        assert all(uuid == by_id[nodes[by_id[c]]["Parents"][0]] for c in node["Children"])
        for name in ("Created", "Updated"):
            assert datetime.fromisoformat(re.sub(r"\.\d+", "", node[name])).tzinfo
    assert {nodes[u]["Branch"] for u in (root, child)} == {""}
    assert nodes[side]["Branch"] == "side"
    assert [nodes[u]["Locked"] for u in (root, child, side)] == [True, False, False]
    assert [nodes[u]["Note"] for u in (root, child, side)] == ["first", "child", "branched"]
    assert isinstance(info["MutationID"], int)
    assert info["DataInstances"]["kv"]["Base"]["TypeName"] == "keyvalue"
    assert info["DataInstances"]["kv"]["Base"]["Syncs"] == []
    assert info["DataInstances"]["kv"]["Base"]["Tags"] == {"type": "test", "kind": "none"}
    assert info["DataInstances"]["kv"]["Extended"] == {}
    assert [info["DataInstances"][n]["Base"]["Versioned"] for n in ("kv", "flat")] == [True, False]
    assert await session.json(f"{kv}/info") == info["DataInstances"]["kv"]


async def test_versions_notes_and_logs(session: Session, root: str) -> None:
    assert await session.json(f"/api/node/{root}/commit") == {"Locked": False}
    await session.post(f"/api/node/{root}/note", {"note": "é"})
    assert await session.json(f"/api/node/{root}/note") == {"note": "é"}
    for path in (f"/api/node/{root}/log", f"/api/repo/{root}/log"):
        before = (await session.json(path))["log"]
        await session.post(path, {"log": ["one", "two"]})
        after = (await session.json(path))["log"]
        assert [line.split("  ", 1)[1] for line in after[len(before) :]] == ["one", "two"]
    committed = await session.post(f"/api/node/{root[:8]}/commit", {"note": "done"})
    assert committed == {"committed": root}
    assert (await session.json(f"/api/node/{root}/commit"))["Locked"] is True

    chosen, other = uuids.uuid4().hex, uuids.uuid4().hex
    assert (await session.post(f"/api/node/{root}/newversion", {"note": "", "uuid": chosen}))["child"] == chosen
    assert (await session.post(f"/api/node/{root}/branch", {"branch": "b", "note": "", "uuid": other}))[
        "child"
    ] == other
    assert (await session.post(f"/api/node/{root}/tag", {"tag": "v1", "note": "x"}))["child"] == "v1"
    assert await session.json(f"/api/repo/{root}/branch-versions/master") == [chosen, root]
    answer = await session.ask("POST", f"/api/node/{root}/newversion", json={"note": "again"})
    assert answer.status_code == 400
    assert 10 < len(answer.text) < 300


async def test_blobs(session: Session, root: str, kv: str) -> None:
    reference = (await session.demand("POST", f"{kv}/blobstore", data=b"hello")).json()["reference"]
    assert reference == "8UtYSGSD2U9wgDh5jClpfw=="
    assert (await session.demand("GET", f"{kv}/blobstore/{reference}")).content == b"hello"
    reference = (await session.post(f"{kv}/blobstore", {"a": [1]}))["reference"]
    assert await session.json(f"{kv}/blobstore/{reference}") == {"a": [1]}


async def test_single_keys(session: Session, kv: str) -> None:
    await session.demand("POST", f"{kv}/key/raw", data=b"\x00\xff")
    await session.post(f"{kv}/key/5813027016", {"status": "Traced", "big": 2**64 - 1}, params={"replace": "true"})
    assert (await session.demand("GET", f"{kv}/key/raw")).content == b"\x00\xff"
    assert await session.json(f"{kv}/key/5813027016", params={"show": "all"}) == {"status": "Traced", "big": 2**64 - 1}
    for key, status in (("raw", 200), ("none", 404)):
        assert (await session.ask("HEAD", f"{kv}/key/{key}")).status_code == status
    answer = await session.ask("GET", f"{kv}/key/none")
    assert answer.status_code == 404
    assert "not found" in answer.text
    await session.demand("DELETE", f"{kv}/key/raw")
    assert (await session.ask("HEAD", f"{kv}/key/raw")).status_code == 404


PAIRS = {"1": b'{"a": 1}', "2": b"[2]", "a b": b'"blank"', "empty": b"", "é": b"null"}


@pytest.fixture
async def filled(session: Session, kv: str) -> str:
    message = KeyValues()
    for key, value in PAIRS.items():
        message.kvs.add(key=key, value=value)
    await session.demand("POST", f"{kv}/keyvalues", data=message.SerializeToString(), params={"replace": "true"})
    return kv


async def test_keys_and_ranges_of_keys(session: Session, filled: str) -> None:
    assert await session.json(f"{filled}/keys") == list(PAIRS)
    # All visible ASCII characters: requests sends %20 and %7F.
    assert await session.json(f"{filled}/keyrange/ /\x7f") == ["1", "2", "a b", "empty"]
    assert await session.json(f"{filled}/keyrange/0/999999999999999") == ["1", "2"]
    assert await session.json(f"{filled}/keyrange/a/é") == ["a b", "empty", "é"]


def from_protobuf(data: bytes) -> dict[str, bytes]:
    return {pair.key: pair.value for pair in KeyValues.FromString(data).kvs}


def from_tar(data: bytes) -> dict[str, bytes]:
    """As it reads them: member by member."""
    tar = tarfile.TarFile("keyvalues.tar", fileobj=BytesIO(data))
    return {member.name: tar.extractfile(member).read() for member in tar.getmembers()}  # type: ignore[union-attr]


async def test_values_of_a_range_in_all_three_forms(session: Session, filled: str) -> None:
    path, wanted = f"{filled}/keyrangevalues/ /\x7f", {k: v for k, v in PAIRS.items() if k != "é"}
    for check in ("true", "false"):
        found = await session.demand("GET", path, params={"protobuf": "true", "check": check})
        assert from_protobuf(found.content) == wanted
        found = await session.demand("GET", path, params={"tar": "true", "check": check})
        assert from_tar(found.content) == wanted
        found = await session.demand("GET", path, params={"json": "true", "check": check})
        assert found.json() == {k: json.loads(v or b"{}") for k, v in wanted.items()}


async def test_values_of_keys_in_all_three_forms(session: Session, filled: str) -> None:
    keys: list[str] = ["2", "none", "é", "empty", "1", "a b"]
    wanted = {key: PAIRS.get(key, b"") for key in keys}
    found = await session.demand("GET", f"{filled}/keyvalues", data=Keys(keys=keys).SerializeToString())
    assert list(from_protobuf(found.content).items()) == list(wanted.items())
    for check in ("true", "false"):
        found = await session.demand("GET", f"{filled}/keyvalues", json=keys, params={"json": "true", "check": check})
        assert list(found.json().items()) == [(k, json.loads(v or b"{}")) for k, v in wanted.items()]
    found = await session.demand("GET", f"{filled}/keyvalues", json=keys, params={"jsontar": "true"})
    assert list(from_tar(found.content).items()) == list(wanted.items())
    # No keys is no error.
    assert (await session.demand("GET", f"{filled}/keyvalues", data=b"")).content == b""
    assert await session.json(f"{filled}/keyvalues", json=[], params={"json": "true"}) == {}


async def test_mutations_say_what_was_done(session: Session, root: str, filled: str) -> None:
    await session.demand("DELETE", f"{filled}/key/2")
    records: list[dict[str, Any]] = await session.json(f"{filled}/mutations", params={"userid": "tester"})
    assert [r["Action"] for r in records] == ["postkv"] * 5 + ["delete"]
    for record in records:
        assert record["UUID"] == root
        assert record["Timestamp"]


async def test_tags_of_an_instance(session: Session, kv: str) -> None:
    await session.post(f"{kv}/tags", {"type": "meshes", "new": "1"})
    assert await session.json(f"{kv}/tags") == {"Tags": {"type": "meshes", "kind": "none", "new": "1"}}
    await session.post(f"{kv}/tags", {"only": "this"}, params={"replace": "true"})
    assert await session.json(f"{kv}/tags") == {"Tags": {"only": "this"}}


async def test_reads_at_a_locked_version_and_writes_below(session: Session, root: str, filled: str) -> None:
    plain = Session(session.url, u="tester", app="neuclease")  # as most users: without the admin's token
    await session.post(f"/api/node/{root}/commit", {"note": "locked"})
    answer = await plain.ask("POST", f"{filled}/key/1", data=b"x")
    assert answer.status_code == 400
    child = (await plain.post(f"/api/node/{root}/newversion", {"note": ""}))["child"]
    await plain.demand("POST", f"/api/node/{child}/kv/key/1", data=b"new")
    assert (await plain.demand("GET", f"{filled}/key/1")).content == PAIRS["1"]
    assert (await plain.demand("GET", f"/api/node/{child}/kv/key/1")).content == b"new"
    plain.requests.close()
