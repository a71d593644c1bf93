"""Volumes in Neuroglancer's precomputed format, in a folder or behind a URL, as TensorStore reads them.

https://github.com/google/neuroglancer/blob/master/src/datasource/precomputed/volume.md
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .arrays import SECONDS, Chunked
from .source import BadSource, library

PREFIX = "precomputed://"
INFO = "info"


def is_precomputed(place: Path | str) -> bool:
    """Whether a folder, or what is behind a URL, says that it is such a volume."""
    if isinstance(place, Path):
        return _volume_in((place / INFO).read_bytes() if (place / INFO).is_file() else b"") is not None
    if place.startswith(PREFIX):
        return True
    try:
        return _volume_in(_read_info(library("tensorstore", "reading a volume behind a URL"), place)) is not None
    except (ValueError, OSError):
        return False


def _read_info(ts: Any, url: str) -> bytes:
    found = ts.KvStore.open(f"{url.rstrip('/')}/").result(timeout=SECONDS).read(INFO).result(timeout=SECONDS)
    return bytes(found.value) if found.state == "value" else b""


def _volume_in(data: bytes) -> dict[str, Any] | None:
    """What an info file says, if it is one of a volume."""
    try:
        info = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(info, dict) or not isinstance(info.get("scales"), list) or not info["scales"]:
        return None
    return info


class PrecomputedVolume(Chunked):
    """One scale of a volume."""

    def __init__(self, place: str, scale: str = "") -> None:
        """`place` is an absolute path or a URL; `scale` the key or number of one, else the first.

        Raises `BadSource`.
        """
        ts = library("tensorstore", "reading precomputed volumes")
        place = place.removeprefix(PREFIX).rstrip("/")
        url = place if "://" in place else f"file://{place}"
        self.name = url.removeprefix("file://")
        try:
            self._info = _read_info(ts, url)
        except (ValueError, OSError) as err:
            raise BadSource(f"{self.name} cannot be read: {str(err).splitlines()[0]}") from err
        info = _volume_in(self._info)
        if info is None:
            raise BadSource(f"{self.name} has no file {INFO} of a precomputed volume")
        self._scale = _number(self.name, info["scales"], scale)
        spec = {"driver": "neuroglancer_precomputed", "kvstore": f"{url}/", "scale_index": self._scale}
        self._take(ts, self._open(ts, spec), "xyzc")

    @property
    def stamp(self) -> str:
        return f"{self.name} {self._scale} {self._info!r}"


def _number(name: str, scales: list[Any], wanted: str) -> int:
    keys = [str(scale.get("key")) if isinstance(scale, dict) else "" for scale in scales]
    if not wanted:
        return 0
    if wanted in keys:
        return keys.index(wanted)
    if wanted.isascii() and wanted.isdigit() and len(wanted) < 4 and int(wanted) < len(scales):
        return int(wanted)
    raise BadSource(f"{name} has no scale {wanted}; --dataset names one of {', '.join(keys)}")
