"""Messages as they are declared, beside what the wire format says of them."""

from __future__ import annotations

import pytest
from dvid_messages import declare, parse
from dvid_messages.keyvalues import KeyValues, entry_head

from dvid_core import BadRequest

MESSAGES = declare(
    "dvid.test",
    {
        "Point": ["int32 x = 1", "sint32 y = 2"],
        "Path": ["string name = 1", "repeated Point points = 2", "map<uint64, Point> by_number = 3"],
    },
)


def test_a_message_is_written_as_the_wire_format_says() -> None:
    path = MESSAGES["Path"](name="p", points=[MESSAGES["Point"](x=1, y=-1)])
    path.by_number[300].x = 2
    # field 1 "p"; field 2 {1: 1, 2: zigzag -1}; field 3 {1: 300, 2: {1: 2}}
    assert path.SerializeToString() == bytes.fromhex("0a0170 1204 0801 1001 1a07 08ac02 1202 0802")
    assert parse(MESSAGES["Path"], path.SerializeToString()) == path


@pytest.mark.parametrize("field", ["string name", "string = 1", "list<string> a = 1", "string a = x", ""])
def test_what_is_no_field_is_refused(field: str) -> None:
    with pytest.raises(ValueError, match="no field"):
        declare("dvid.bad", {"Bad": [field]})


@pytest.mark.parametrize("data", [b"\xff", b"\x0a\x05ab", b"\x0a\x02\xff\xfe"])
def test_bytes_that_are_no_message_are_a_bad_request(data: bytes) -> None:
    with pytest.raises(BadRequest, match="no protobuf Path"):
        parse(MESSAGES["Path"], data)


@pytest.mark.parametrize("key", ["", "a", "k" * 127, "k" * 128, "ü" * 9000])
@pytest.mark.parametrize("size", [0, 1, 127, 128, 20_000, 3_000_000])
def test_entries_of_any_size_are_a_message(key: str, size: int) -> None:
    data = entry_head(key, size) + bytes(size)
    found = parse(KeyValues, data + data).kvs
    assert [(e.key, len(e.value)) for e in found] == [(key, size)] * 2
