"""The log sinks "jsonstore" and "filelog": mutation records as files, one per instance and version.

A file `<data uuid>-<version uuid>.plog` holds records one after another: u32 length of the payload, u32 CRC-32C of
the payload, u16 type (1), payload as JSON; numbers little-endian.  A torn tail is cut off when a file is opened.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from pathlib import Path
from typing import Any, ClassVar, Self

import google_crc32c
import msgspec

from .errors import ConfigError
from .mutlog import LogRecord, LogSink, Source

log = logging.getLogger(__name__)

_HEAD = struct.Struct("<IIH")
_JSON = 1
_LONGEST = 1 << 30


class JsonStore(LogSink):
    """Appends the entries of each record, as `GET mutations` shows them."""

    name: ClassVar[str] = "jsonstore"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._checked: set[Path] = set()

    @classmethod
    async def open(cls, options: dict[str, Any]) -> Self:
        path = options.get("path")
        if not isinstance(path, str) or not path:
            raise ConfigError(f"{cls.name}: a folder is needed, path = ...")
        folder = Path(path)
        try:
            folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - once, at the start
        except OSError as err:
            raise ConfigError(f"{cls.name}: the folder {folder} cannot be made: {err}") from None
        return cls(folder)

    async def write(self, source: Source, number: int, record: LogRecord) -> None:
        frames = b"".join(_frame(msgspec.json.encode(e)) for e in record.shown(source.version_uuid))
        if frames:
            path = self.folder / f"{source.data_uuid}-{source.version_uuid}.plog"
            await asyncio.to_thread(self._append, path, frames)

    def _append(self, path: Path, frames: bytes) -> None:
        if path not in self._checked:
            cut_torn_tail(path)
            self._checked.add(path)
        with path.open("ab") as f:
            f.write(frames)

    async def aclose(self) -> None:
        self._checked.clear()


class FileLog(JsonStore):
    """The same under the reference's name for a log engine."""

    name: ClassVar[str] = "filelog"


def _frame(payload: bytes) -> bytes:
    return _HEAD.pack(len(payload), google_crc32c.value(payload), _JSON) + payload


def cut_torn_tail(path: Path) -> int:
    """Cut what follows the last whole record of a file; the number of bytes cut."""
    if not path.exists():
        return 0
    good, size = 0, path.stat().st_size
    with path.open("r+b") as f:
        while head := f.read(_HEAD.size):
            if len(head) < _HEAD.size:
                break
            length, crc, _ = _HEAD.unpack(head)
            if length > min(_LONGEST, size - good - _HEAD.size) or google_crc32c.value(f.read(length)) != crc:
                break
            good += _HEAD.size + length
        if good < size:
            log.warning("%s: a torn tail of %d bytes was cut", path, size - good)
            f.truncate(good)
    return size - good


def read_jsonlog(path: Path) -> list[dict[str, Any]]:
    """The payloads of all whole records of a file."""
    out, data, at = [], path.read_bytes(), 0
    while at + _HEAD.size <= len(data):
        length, crc, _ = _HEAD.unpack_from(data, at)
        payload = data[at + _HEAD.size : at + _HEAD.size + length]
        if len(payload) < length or google_crc32c.value(payload) != crc:
            break
        out.append(msgspec.json.decode(payload))
        at += _HEAD.size + length
    return out
