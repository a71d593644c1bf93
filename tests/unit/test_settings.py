"""Settings of instances: the loose JSON of the wire, read strictly and refused by name."""

from __future__ import annotations

from typing import Annotated, Any

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvid_core.errors import BadRequest
from dvid_core.routes import About
from dvid_core.settings import Compression, Settings, read_checksum, read_settings, read_switch, read_tags

WIDE = "\uff11\uff12"
"""Full-width digits, twelve for `int`."""


class Voxels(Settings, frozen=True):
    Label: str = "none"
    MaxLevel: Annotated[int, About("levels")] = 0
    Share: float = 0.5
    Exact: bool = False
    BlockSize: tuple[int, int, int] = (64, 64, 64)
    VoxelUnits: tuple[str, ...] = ("nm",)
    Limit: Annotated[int, msgspec.Meta(ge=1)] | None = None


class Needy(Settings, frozen=True):
    Source: str


def test_nothing_given_gives_the_defaults() -> None:
    assert read_settings(Voxels, {"unknown": [1], "typename": "x"}) == Voxels()


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        ({"label": "a", "MAXLEVEL": "3"}, Voxels(Label="a", MaxLevel=3)),
        ({"share": "1.5e2", "eXact": "TRUE"}, Voxels(Share=150.0, Exact=True)),
        ({"MaxLevel": -4, "Share": 2, "Exact": "0"}, Voxels(MaxLevel=-4, Share=2.0)),
        ({"MaxLevel": "+4", "Share": "-.5", "Exact": True}, Voxels(MaxLevel=4, Share=-0.5, Exact=True)),
        ({"BlockSize": "32,16, 8"}, Voxels(BlockSize=(32, 16, 8))),
        ({"BlockSize": [32, "16", 8]}, Voxels(BlockSize=(32, 16, 8))),
        ({"VoxelUnits": "um,um,nm"}, Voxels(VoxelUnits=("um", "um", "nm"))),
        ({"Limit": None}, Voxels()),
        ({"Limit": "5"}, Voxels(Limit=5)),
    ],
)  # fmt: skip
def test_loose_spellings_are_taken(raw: dict[str, Any], wanted: Voxels) -> None:
    assert read_settings(Voxels, raw) == wanted


@pytest.mark.parametrize("value", [
    WIDE, "1_000", " 5", "5 ", "5\n", "", "x", "1.0", "1e3", "1" * 5000, "0x10", True, False, None, 5.0, [5], {"a": 5},
])  # fmt: skip
def test_what_is_no_whole_number_is_refused_by_name(value: Any) -> None:
    places: dict[str, Any] = {"maxLevel": value, "limit": value}
    if value is None:  # stands for the default of a setting that may be absent
        del places["limit"]
    if not isinstance(value, str) or value == value.strip():  # blanks are taken between the numbers of a vector
        places |= {"blockSize": [1, 2, value], "blocksize": f"1,{value},3"}
    for name, raw in places.items():
        with pytest.raises(BadRequest, match=f"^{name}: ") as refused:
            read_settings(Voxels, {name: raw})
        assert len(str(refused.value)) < 250


@pytest.mark.parametrize("value", [
    WIDE, "nan", "inf", "-Infinity", "1_0", " 5", "1e", ".", "", "1e9999", True, None, [1.0],
    *(pytest.param(v, id=f"{v:.9}") for v in ("1e999", "-1e999", "9" * 400, "1" * 5000)),
    pytest.param(10**400, id="int"),
])  # fmt: skip
def test_what_is_no_finite_number_is_refused_by_name(value: Any) -> None:
    with pytest.raises(BadRequest, match=r"^SHARE: expected a number") as refused:
        read_settings(Voxels, {"SHARE": value})
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("value", [10**400, 2**64, -(2**63) - 1, "9" * 20, "-" + "9" * 20], ids=range(5))
def test_number_beyond_what_can_be_stored_is_refused_by_name(value: Any) -> None:
    with pytest.raises(BadRequest, match=r"^MaxLevel: "):
        read_settings(Voxels, {"MaxLevel": value})


@given(st.integers(-(2**63), 2**64 - 1), st.booleans())
def test_number_that_is_taken_can_be_stored(n: int, text: bool) -> None:
    settings = read_settings(Voxels, {"maxlevel": str(n) if text else n})
    assert settings.MaxLevel == n
    assert msgpack.unpackb(msgpack.packb(msgspec.to_builtins(settings)))["MaxLevel"] == n


@pytest.mark.parametrize(
    ("name", "value"),
    [("label", 3), ("label", None), ("exact", 1), ("exact", "yes"), ("exact", None), ("blockSize", "1,2"),
     ("blockSize", "1,2,3,4"), ("blockSize", 5), ("blockSize", None), ("blockSize", {}), ("blockSize", []),
     ("voxelUnits", 3), ("voxelUnits", ["a", 3])],
)  # fmt: skip
def test_wrong_kind_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(BadRequest, match=f"^{name}: "):
        read_settings(Voxels, {name: value})


def test_bounds_of_the_declaration_hold() -> None:
    with pytest.raises(BadRequest, match="Limit"):
        read_settings(Voxels, {"Limit": 0})


def test_missing_required_setting_is_refused_by_name() -> None:
    with pytest.raises(BadRequest, match=r"^Source: this setting is required"):
        read_settings(Needy, {})
    assert read_settings(Needy, {"source": "x"}) == Needy(Source="x")


NAMES = st.sampled_from(["label", "MaxLevel", "share", "Exact", "blocksize", "VoxelUnits", "limit"])
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text(), v, max_size=2), max_leaves=5
)


@given(st.dictionaries(NAMES, VALUES))
def test_any_json_is_read_or_refused(raw: dict[str, Any]) -> None:
    try:
        settings = read_settings(Voxels, raw)
    except BadRequest:
        return
    assert read_settings(Voxels, msgspec.json.decode(msgspec.json.encode(settings))) == settings


@pytest.mark.parametrize(
    ("value", "wanted"), [(True, True), ("1", True), ("True", True), (False, False), ("0", False), ("FALSE", False)]
)
def test_switch_is_a_boolean_or_its_text(value: Any, wanted: bool) -> None:
    assert read_switch(value, "versioned") is wanted


@pytest.mark.parametrize("value", [1, 0, None, "yes", "", " true", WIDE, [], 1.0])
def test_switch_of_another_kind_is_refused(value: Any) -> None:
    with pytest.raises(BadRequest, match=r"^versioned: expected true or false"):
        read_switch(value, "versioned")


@pytest.mark.parametrize(
    ("text", "tags"),
    [("a=1,b=2", {"a": "1", "b": "2"}), ("a=", {"a": ""}), ("a,=1,b=2=3,c=3", {"c": "3"}), ("", None), (",,", None),
     ("a=1,a=2", {"a": "2"})],
)  # fmt: skip
def test_tags_are_read_and_broken_parts_dropped(text: str, tags: dict[str, str] | None) -> None:
    assert read_tags(text) == tags


@pytest.mark.parametrize("value", [{"a": "1"}, ["a=1"], 3, None])
def test_tags_that_are_no_text_are_refused(value: Any) -> None:
    with pytest.raises(BadRequest, match=r"^Tags: "):
        read_tags(value)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("none", "No compression, level -1"),
        ("LZ4", "LZ4 compression, level -1"),
        ("Snappy", "Go Snappy compression, level -1"),
        ("gzip", "gzip compression, level -1"),
        ("gzip:5", "gzip compression, level 5"),
        ("jpeg", "jpeg compression, level -1"),
    ],
)
def test_compression_is_shown_as_clients_know_it(value: str, shown: str) -> None:
    assert str(Compression.read(value)) == shown


@pytest.mark.parametrize(
    "value", ["gzip:99", "gzip:", "gzip:-1", "gzip:\uff15", "gzip:5 ", "jpeg:80", "lz4:1", "zstd", "", 5, None, ["lz4"]]
)
def test_unknown_compression_is_refused(value: Any) -> None:
    with pytest.raises(BadRequest, match=r"^Compression: "):
        Compression.read(value)


def test_checksum_is_none_or_crc32() -> None:
    assert [read_checksum(v) for v in ("none", "CRC32")] == ["none", "crc32"]
    for value in ("md5", "", None, 3):
        with pytest.raises(BadRequest, match=r"^Checksum: "):
            read_checksum(value)
