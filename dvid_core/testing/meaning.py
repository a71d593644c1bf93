"""What replies mean: decoders that make bytes comparable, and the comparison with its wildcards."""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

Decoder = Callable[[bytes, Any], Any]
"""Makes a value of a reply's bytes and the step's `arg`; `same` compares what recording and server gave."""

FLOAT_TOLERANCE = 1e-4


class Mismatch(AssertionError):
    """Raised when a reply does not mean the same as the recorded one."""


WILDCARDS: Mapping[str, Callable[[Any], bool]] = MappingProxyType({
    "<any>": lambda got: True,
    "<int>": lambda got: isinstance(got, int) and not isinstance(got, bool),
    "<num>": lambda got: isinstance(got, (int, float)),
    "<str>": lambda got: isinstance(got, str),
    "<time>": lambda got: isinstance(got, str) and re.match(r"\d{4}-\d\d-\d\d", got) is not None,
})  # fmt: skip
"""Texts that stand for any value of a kind; the recordings have them where no two servers agree (ids, times)."""


def same(want: Any, got: Any, tol: float = 0, path: str = "reply", *, any_order: bool = False) -> None:
    """Raise `Mismatch`, naming the place, unless `got` means `want`.

    Wildcards stand in `want` only.  `any_order`: lists are compared as multisets.  `tol` is for arrays.
    """
    if isinstance(want, str) and want in WILDCARDS:
        if not WILDCARDS[want](got):
            raise Mismatch(f"{path}: {short(got)} is no {want}")
    elif type(want).__name__ == "ndarray":
        _same_array(want, got, tol, path)
    elif isinstance(want, dict):
        _same_dict(want, got, tol, path, any_order)
    elif isinstance(want, (list, tuple)):
        _same_list(want, got, tol, path, any_order)
    elif isinstance(want, float) and isinstance(got, (int, float)) and not isinstance(got, bool):
        if abs(want - got) > FLOAT_TOLERANCE * max(1.0, abs(want)):
            raise Mismatch(f"{path}: {got}, expected {want}")
    elif want != got or isinstance(want, bool) != isinstance(got, bool):
        raise Mismatch(f"{path}: {_difference(want, got)}")


def _same_dict(want: dict[Any, Any], got: Any, tol: float, path: str, any_order: bool) -> None:
    if not isinstance(got, dict):
        raise Mismatch(f"{path}: {short(got)}, expected an object")
    for keys, word in ((want.keys() - got.keys(), "lacks"), (got.keys() - want.keys(), "has extra")):
        if keys:
            raise Mismatch(f"{path}: {word} {sorted(map(str, keys))[:5]}")
    for key in want:
        same(want[key], got[key], tol, f"{path}.{key}", any_order=any_order)


def _same_list(want: Any, got: Any, tol: float, path: str, any_order: bool) -> None:
    if not isinstance(got, (list, tuple)) or len(want) != len(got):
        raise Mismatch(f"{path}: {short(got)}, expected {short(want)}")
    if not any_order:
        for i, (a, b) in enumerate(zip(want, got, strict=True)):
            same(a, b, tol, f"{path}[{i}]")
        return
    left = list(got)
    for a in want:
        found = next((i for i, b in enumerate(left) if _matches(a, b, tol)), None)
        if found is None:
            raise Mismatch(f"{path}: lacks {short(a)}; has {short(left)}")
        del left[found]


def _matches(want: Any, got: Any, tol: float) -> bool:
    try:
        same(want, got, tol, any_order=True)
    except Mismatch:
        return False
    return True


def _same_array(want: Any, got: Any, tol: float, path: str) -> None:
    import numpy as np

    if want.shape != got.shape:
        raise Mismatch(f"{path}: shape {got.shape}, expected {want.shape}")
    wrong = np.abs(want.astype(np.int64) - got.astype(np.int64)) > tol if tol else want != got
    if wrong.any():
        first = tuple(int(k) for k in np.argwhere(wrong)[0])
        raise Mismatch(
            f"{path}: {int(wrong.sum())} of {wrong.size} values differ, first at {first}: {got[first]}, "
            f"expected {want[first]}"
        )


def _difference(want: Any, got: Any) -> str:
    if not isinstance(want, (bytes, str)) or not isinstance(got, type(want)):
        return f"{short(got)}, expected {short(want)}"
    at = next((i for i, (a, b) in enumerate(zip(want, got)) if a != b), min(len(want), len(got)))
    here, there = short(got[at : at + 60]), short(want[at : at + 60])
    return f"differs at {at} of {len(want)} ({len(got)} came): {here}, expected {there}"


def short(value: Any, length: int = 160) -> str:
    """The value as text of limited length."""
    text = repr(value)
    return text if len(text) <= length else text[:length] + "..."


def unordered(value: Any) -> Any:
    """Every list sorted by its JSON text, so that order does not count."""
    if isinstance(value, dict):
        return {k: unordered(v) for k, v in value.items()}
    if isinstance(value, list):
        return sorted(map(unordered, value), key=lambda v: json.dumps(v, sort_keys=True))
    return value


def by_uuid(value: Any) -> Any:
    """Repo JSON with the parents and children of each node as sorted UUIDs in place of server-local ids."""
    if isinstance(value, list):
        return [by_uuid(v) for v in value]
    if not isinstance(value, dict):
        return value
    if "Nodes" not in value or "Root" not in value:
        return {k: by_uuid(v) for k, v in value.items()}
    uuids = {node["VersionID"]: uuid for uuid, node in value["Nodes"].items()}
    nodes = {
        uuid: {**node, **{kin: sorted(uuids[i] for i in node[kin]) for kin in ("Parents", "Children")}}
        for uuid, node in value["Nodes"].items()
    }
    return {**{k: by_uuid(v) for k, v in value.items() if k != "Nodes"}, "Nodes": nodes}


def protobuf_fields(data: bytes) -> list[tuple[int, int, Any]]:
    """The fields of a protobuf message without a schema: (field, wire type, value); nested messages stay bytes."""
    at = 0
    out: list[tuple[int, int, Any]] = []

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def take(size: int) -> bytes:
        nonlocal at
        at += size
        return bytes(data[at - size : at])

    while at < len(data):
        key = varint()
        field, wire = key >> 3, key & 7
        if wire == 0:
            out.append((field, wire, varint()))
        elif wire in (1, 5):
            out.append((field, wire, take(8 if wire == 1 else 4)))
        elif wire == 2:
            out.append((field, wire, take(varint())))
        else:
            raise Mismatch(f"bad protobuf wire type {wire}")
    return out


def keyvalues(data: bytes, arg: Any = None) -> list[tuple[bytes, bytes]]:
    """A KeyValues message as its pairs in order."""
    out = []
    for _, _, pair in protobuf_fields(data):
        fields = {field: value for field, _, value in protobuf_fields(pair)}
        out.append((fields.get(1, b""), fields.get(2, b"")))
    return out


def tar_files(data: bytes, arg: Any = None) -> dict[str, bytes]:
    """The files of a tar by name."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        files = {m.name: archive.extractfile(m) for m in archive.getmembers() if m.isfile()}
        return {name: file.read() for name, file in files.items() if file is not None}


def log_messages(data: bytes, arg: Any = None) -> list[str]:
    """{"log": ["<RFC 3339 time>  message", ...]} as the messages."""
    out = []
    for line in json.loads(data)["log"]:
        when, gap, message = line.partition("  ")
        if not gap or not re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", when):
            raise Mismatch(f"log line without a time: {short(line)}")
        out.append(message)
    return out


DECODERS: Mapping[str, Decoder] = MappingProxyType({
    "bytes": lambda data, arg: bytes(data),
    "text": lambda data, arg: data.decode().strip(),
    "lines": lambda data, arg: sorted(data.decode().split("\n")),
    "json": lambda data, arg: json.loads(data),
    "json-unordered": lambda data, arg: unordered(json.loads(data)),
    "json-has": lambda data, arg: {key: key in json.loads(data) for key in arg},
    "repo-info": lambda data, arg: unordered(by_uuid(json.loads(data))),
    "log-json": log_messages,
    "keyvalues": keyvalues,
    "tar": tar_files,
    "nonempty": lambda data, arg: len(data) > 0,
})  # fmt: skip
"""How replies of the core and of keyvalue are read; `size` and `ignore` need no decoder."""
