"""Zarr (2 and 3) and N5 arrays, in a folder or behind a URL, as TensorStore reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from ..geometry import Box, Triple
from .axes import default_axes, spatial
from .source import Array, BadSource, Source, library

CACHE = 256 << 20
"""Bytes of decoded chunks that are kept, because slabs and chunks seldom end at the same places."""

METADATA = {"zarr.json": "zarr3", ".zarray": "zarr", "attributes.json": "n5"}
GROUPS = (".zgroup", ".zattrs")
"""Files by which a folder is known as Zarr although it is no array."""

SECONDS = 60


def is_array(folder: Path) -> bool:
    """Whether a folder is one of Zarr or N5."""
    return folder.suffix.lower() in (".zarr", ".n5") or any((folder / f).exists() for f in (*METADATA, *GROUPS))


class Chunked(Source):
    """An array that TensorStore has opened."""

    sections = False
    _array: Any
    """z, y, x, from 0 on."""

    def _open(self, ts: Any, spec: dict[str, Any]) -> Any:
        """The array of a spec.  Raises `BadSource`."""
        context = ts.Context({"cache_pool": {"total_bytes_limit": CACHE}})
        try:
            return ts.open(spec, context=context, open=True, read=True).result(timeout=SECONDS)
        except (ValueError, OSError) as err:
            raise BadSource(f"{self.name} cannot be read: {str(err).splitlines()[0]}") from err

    def _take(self, ts: Any, array: Any, names: str) -> None:
        """Keep the spatial axes of an array whose axes are named by letters."""
        self.kind = str(array.dtype.name)
        places = spatial(self.name, array.shape, names)
        rest = tuple(n for n in range(array.rank) if n not in places)
        if rest:
            array = array[ts.d[rest][(0,) * len(rest)]]
            places = cast("Triple", tuple(p - sum(r < p for r in rest) for p in places))
        array = array[ts.d[places].transpose[:]]
        self.origin = cast("Triple", tuple(array.domain.inclusive_min))
        self._array = array[ts.d[:].translate_to[0]]
        self.shape = cast("Triple", tuple(self._array.shape))

    def read(self, box: Box) -> Array:
        z, y, x = box.slices(Box((0, 0, 0), self.shape))
        try:
            return cast("Array", self._array[z, y, x].read().result())
        except (ValueError, OSError) as err:
            raise BadSource(f"{self.name} cannot be read: {err}") from err

    def close(self) -> None:
        pass


class ChunkedArray(Chunked):
    """One array of Zarr or N5."""

    def __init__(self, place: str, dataset: str, axes: str = "") -> None:
        """`place` is an absolute path or a URL; `dataset` names an array below it, or is empty.  Raises `BadSource`."""
        ts = library("tensorstore", "reading Zarr and N5")
        url = place if "://" in place else f"file://{place}"
        self._url = f"{url.rstrip('/')}/{dataset.strip('/')}".rstrip("/")
        self.name = self._url.removeprefix("file://")
        try:
            driver, self._metadata = self._look(ts)
        except (ValueError, OSError) as err:
            raise BadSource(f"{self.name} cannot be read: {str(err).splitlines()[0]}") from err
        array = self._open(ts, {"driver": driver, "kvstore": f"{self._url}/"})
        labels = "".join(array.domain.labels)
        # The axes of N5 are x, y, z.
        self._take(ts, array, axes or labels or default_axes(array.rank)[:: -1 if driver == "n5" else 1])
        self.origin = (0, 0, 0)

    def _look(self, ts: Any) -> tuple[str, bytes]:
        """The kind of array that lies in the place, and its metadata."""
        files = ts.KvStore.open(f"{self._url}/").result(timeout=SECONDS)
        found = {}
        for name in (*METADATA, *GROUPS):
            read = files.read(name).result(timeout=SECONDS)
            if read.state == "value":
                found[name] = read.value
        for name, driver in METADATA.items():
            if name in found and _is_array(name, found[name]):
                return driver, found[name]
        if found:
            raise BadSource(f"{self.name} is no array but a group; name an array in it with --dataset{_named(found)}")
        raise BadSource(f"{self.name} holds neither a Zarr nor an N5 array")

    @property
    def stamp(self) -> str:
        return f"{self._url} {self._metadata!r} {self._array.domain}"


def _is_array(name: str, data: bytes) -> bool:
    try:
        metadata = json.loads(data)
    except (ValueError, RecursionError):
        return False
    key, value = {"zarr.json": ("node_type", "array"), ".zarray": ("shape", None)}.get(name, ("dimensions", None))
    return isinstance(metadata, dict) and key in metadata and value in (None, metadata[key])


def _named(found: dict[str, bytes]) -> str:
    """The arrays that a group's own metadata name (OME-Zarr, COSEM's N5), for the error."""
    names = []
    for data in found.values():
        try:
            metadata = json.loads(data)
            inner = metadata.get("attributes", metadata)
            scales = inner.get("ome", inner).get("multiscales", [])
            names += [entry["path"] for scale in scales for entry in scale["datasets"]]
        except (ValueError, RecursionError, AttributeError, KeyError, TypeError):
            continue
    return f": {', '.join(map(str, names))}" if names else ""
