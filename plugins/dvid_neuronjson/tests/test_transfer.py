"""Files in and out, in every format."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from dvid_core.testing.fixtures import RunningServer

from .place import Place, new_place

pa = pytest.importorskip("pyarrow")

ROWS: list[dict[str, Any]] = [
    {"bodyid": 1, "type": "KC", "number": 5, "list": [1, 2], "mixed": 1, "flag": True, "size": 2.5},
    {"bodyid": 2, "type": "123", "number": 2**64 - 1, "list": [], "mixed": "one", "flag": False, "size": 3},
    {"bodyid": 3, "type": "", "text": 'a "b",\n\u00e9漢', "mixed": [1], "object": {"a": [None, {"b": 1}]}},
    {"bodyid": 4, "type": "true", "text": "[1]", "mixed": None, "object": {}},
    {"bodyid": 5, "type": " padded ", "text": '"', "list": [2**53 + 1], "dotted.name": "1e5", "ключ": "-"},
    {"bodyid": 2**64 - 1, "type": "-", "text": "null", "numbers": [1.5, 2], "mixed lists": ["a", 1]},
]
FORMATS = ["ndjson", "csv", "arrow", "parquet"]


async def send(place: Place, body: bytes, options: str = "", **more: Any) -> Any:
    return await place.api.post(f"{place.path}/import?u=ann{options}", body, **more)


def lines(rows: list[dict[str, Any]]) -> bytes:
    return b"\n".join(json.dumps(row).encode() for row in rows)


async def another(place: Place, name: str = "other") -> Place:
    await place.api.instance(place.uuid, name, "neuronjson")
    return Place(place.api, place.uuid, name)


@pytest.mark.parametrize("form", FORMATS)
async def test_what_is_exported_is_imported_as_it_was_marks_and_all(nj: Place, form: str) -> None:
    assert await send(nj, lines(ROWS)) == {"rows": len(ROWS), "changed": len(ROWS)}
    await nj.set(3, user="bob", text=None, note="x", note_time="2020-01-02T03:04:05Z")
    data = (await nj.api.ask("GET", f"{nj.path}/export?format={form}&show=all")).body
    other = await another(nj)
    assert await send(other, data, f"&format={form}") == {"rows": len(ROWS), "changed": len(ROWS)}
    assert await other.all("?show=all") == await nj.all("?show=all")
    assert await send(other, data, f"&format={form}") == {"rows": len(ROWS), "changed": 0}


@pytest.mark.parametrize("form", FORMATS)
async def test_old_versions_and_empty_tables_are_exported_too(nj: Place, form: str) -> None:
    assert (await nj.api.ask("GET", f"{nj.path}/export?format={form}")).status == 200
    await send(nj, lines(ROWS))
    before = (await nj.api.ask("GET", f"{nj.path}/export?format={form}&fields=type,list")).body
    later = await (await nj.next()).next()
    await later.set(1, type="changed")
    assert (await nj.api.ask("GET", f"{nj.path}/export?format={form}&fields=type,list")).body == before


async def test_tables_have_the_types_of_their_fields(nj: Place) -> None:
    await send(nj, lines(ROWS))
    table = pa.ipc.open_stream((await nj.api.ask("GET", f"{nj.path}/export?format=arrow")).body).read_all()
    types = {field.name: str(field.type) for field in table.schema}
    assert types == {
        "bodyid": "uint64", "type": "string", "number": "uint64", "list": "list<item: int64>", "mixed": "string",
        "flag": "bool", "size": "double", "text": "string", "object": "string", "dotted.name": "string",
        "ключ": "string", "numbers": "list<item: double>", "mixed lists": "string",
    }  # fmt: skip
    as_json = {field.name for field in table.schema if field.metadata}
    assert as_json == {"mixed", "object", "mixed lists"}
    assert table["mixed"].to_pylist() == ["1", '"one"', "[1]", None, None, None]


async def test_csv_of_a_spreadsheet_is_read(nj: Place) -> None:
    sheet = (
        '\ufeffbodyid,type,size,done,tags,note\r\n7,KC,3.0,true,"[1, 2]","two\r\nlines"\r\n8,LC,,,,\r\n\r\n'.encode()
    )
    await nj.set(8, size=5, note="stays")
    assert await send(nj, sheet, "&format=csv") == {"rows": 2, "changed": 2}
    assert await nj.all() == [
        {"bodyid": 7, "type": "KC", "size": 3, "done": True, "tags": [1, 2], "note": "two\r\nlines"},
        {"bodyid": 8, "type": "LC", "size": 5, "note": "stays"},
    ]


async def test_a_table_of_pandas_is_read(nj: Place) -> None:
    table = pa.table({
        "bodyid": pa.array([7, 8], pa.int64()), "type": pa.array(["KC", None]).dictionary_encode(),
        "position": pa.array([[1, 2, 3], None]), "where": pa.array([{"x": 1}, None]), "empty": pa.nulls(2),
    })  # fmt: skip
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    assert await send(nj, sink.getvalue(), "&format=arrow") == {"rows": 2, "changed": 2}
    assert await nj.all("?fields=bodyid") == [{"bodyid": 7}, {"bodyid": 8}]
    assert await nj.get(7) == {"bodyid": 7, "type": "KC", "position": [1, 2, 3], "where": {"x": 1}}


async def test_a_list_of_objects_and_large_files_in_pieces_are_read(nj: Place) -> None:
    assert await send(nj, json.dumps(ROWS).encode(), "&format=json") == {"rows": len(ROWS), "changed": len(ROWS)}
    rows = [{"bodyid": i, "notes": "n" * 3000} for i in range(1000, 3000)]
    data = lines(rows)

    async def pieces() -> Any:
        for at in range(0, len(data), 100_000):
            yield data[at : at + 100_000]

    assert await nj.api.post(f"{nj.path}/import?u=ann", pieces()) == {"rows": 2000, "changed": 2000}
    assert len(await nj.ids({"notes": "exists/1"})) == 2000


def parquet(**columns: Any) -> bytes:
    import pyarrow.parquet

    sink = io.BytesIO()
    pyarrow.parquet.write_table(pa.table(columns), sink)
    return sink.getvalue()


GOOD = lines([{"bodyid": i, "type": "a"} for i in range(1, 700)])
BAD = [
    ("ndjson", GOOD + b'\n{"bodyid": 0}', "line 700"),
    ("ndjson", GOOD + b'\n{"bodyid": 900, "x_time": 1}', "x_time"),
    ("ndjson", GOOD + b"\n{", "line 700"),
    ("ndjson", GOOD + b'\n{"bodyid": 5', "line 700"),
    ("ndjson", b'{"bodyid": 5, "x": "' + b"y" * 5_000_000 + b'"}', "line 1"),
    ("ndjson", b"\xff\xfe", "line 1"),
    ("json", b"[" + b"[" * 100_000, "JSON"),
    ("json", b'[{"bodyid": 5}, 7]', "item 2"),
    ("json", b'{"bodyid": 5}', "JSON"),
    ("csv", b"", "first line"),
    ("csv", b"type\nKC\n", "bodyid"),
    ("csv", b"bodyid,type\n5,KC,x\n", "row 1"),
    ("csv", b"bodyid,type,type\n5,a,b\n", "two of one name"),
    ("csv", b"bodyid,type\nKC,5\n", "row 1"),
    ("csv", b"bodyid,type\n5,\xff\n", "UTF-8"),
    ("csv", b'bodyid,type\n5,"a\n', "CSV"),
    ("csv", b"bodyid,type\n5,[NaN]\n6,\n" + b"7," + b"x" * 5_000_000 + b"\n", "CSV"),
    ("arrow", b"", "table"),
    ("arrow", b"ARROW1\x00\x00" + b"\xff" * 100, "table"),
    ("arrow", b"\xff\xff\xff\xff\x10\x00\x00\x00" + b"\xff" * 100, "table"),
    ("parquet", b"PAR1" + b"\xff" * 50 + b"PAR1", "table"),
    ("parquet", parquet(type=["a"]), "bodyid"),
    ("parquet", parquet(bodyid=[5], when=pa.array([0], pa.timestamp("s"))), "when"),
    ("parquet", parquet(bodyid=[5], raw=[b"x"]), "raw"),
    ("parquet", parquet(bodyid=[5, 6], x=[1.0, float("nan")]), "row 2"),
    ("parquet", parquet(bodyid=[5.5]), "row 1"),
    ("parquet", parquet(bodyid=[None]).replace(b"x", b"x"), "row 1"),
]  # fmt: skip


@pytest.mark.parametrize(("form", "body", "named"), BAD, ids=[f"{f} {b[-30:]!r}" for f, b, _ in BAD])
async def test_a_file_with_one_bad_row_changes_nothing(nj: Place, form: str, body: bytes, named: str) -> None:
    answer = await nj.api.ask("POST", f"{nj.path}/import?u=ann&format={form}", body)
    assert answer.status == 400, answer.text[:300]
    assert named in answer.text and len(answer.text) < 1000
    assert await nj.keys() == []
    assert await send(nj, GOOD, "&check=true") == {"rows": 699, "changed": 0}
    assert await nj.keys() == []


async def test_bytes_of_a_table_that_are_changed_at_random_never_hurt(nj: Place) -> None:
    import random

    await send(nj, lines(ROWS))
    chance = random.Random(2)
    for form in ("arrow", "parquet"):
        good = (await nj.api.ask("GET", f"{nj.path}/export?format={form}")).body
        for _ in range(60):
            bad = bytearray(good)
            for _ in range(chance.randint(1, 6)):
                bad[chance.randrange(len(bad))] = chance.randrange(256)
            answer = await nj.api.ask("POST", f"{nj.path}/import?u=ann&check=true&format={form}", bytes(bad))
            assert answer.status in (200, 400), answer.text


async def test_imports_are_checked_by_the_schema_and_merge_as_asked(nj: Place) -> None:
    await nj.api.post(f"{nj.path}/json_schema", json={"properties": {"size": {"type": "integer"}}})
    answer = await nj.api.ask("POST", f"{nj.path}/import?u=ann", b'{"bodyid": 5, "size": "x"}')
    assert answer.status == 400 and "line 1" in answer.text
    assert await send(nj, b'{"bodyid": 5, "size": "12", "type": "a"}') == {"rows": 1, "changed": 1}
    await send(nj, b'{"bodyid": 5, "size": 13, "type": "b", "x": 1}', "&conditional=type")
    assert await nj.get(5) == {"bodyid": 5, "size": 13, "type": "a", "x": 1}
    await send(nj, b'{"bodyid": 5, "type": "c"}', "&replace=true")
    assert await nj.get(5) == {"bodyid": 5, "type": "c"}


async def test_a_keyvalue_instance_is_copied(server: RunningServer) -> None:
    place = await new_place(server)
    await server.instance(place.uuid, "old", "pairs")
    values = {
        "17": {"type": "KC", "type_user": "ann"}, "18": {"bodyid": 3, "size": 1}, "x": {"a": 1},
        "0": {"a": 1}, "schema": {"s": 1}, "json_schema": {"required": ["none such"]},
    }  # fmt: skip
    for key, value in values.items():
        await server.post(f"/api/node/{place.uuid}/old/key/{key}", json=value)
    await server.post(f"/api/node/{place.uuid}/old/key/19", b"[1]")
    await place.set(17, size=1)
    told = await server.post(f"{place.path}/import-keyvalue/old?u=ann")
    assert (told["annotations"], told["changed"], sorted(told["schemas"])) == (2, 2, ["json_schema", "schema"])
    assert told["left out"].keys() == {"x", "0", "19"} and told["left out in all"] == 3
    assert await place.all("?show=all") == [{"bodyid": 17, "type": "KC", "type_user": "ann"}, {"bodyid": 18, "size": 1}]
    assert await server.get(f"{place.path}/schema") == {"s": 1}
    for name in ("none", place.name):
        assert (await server.ask("POST", f"{place.path}/import-keyvalue/{name}")).status == 400
