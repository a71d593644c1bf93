"""A repo on a running server, and the conversions in it, as `dvid convert` asks for them."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote

import msgspec

from ..load.remote import Gone, Refusal, Remote


class Status(msgspec.Struct, rename="pascal"):
    """How a conversion stands, see GET convert."""

    source: str
    uuid: str = msgspec.field(name="UUID")
    state: str = ""
    running: bool = False
    done: float = 0.0
    written: int = 0
    same: int = 0
    error: str = ""
    report: dict[str, Any] | None = None

    @property
    def ended(self) -> bool:
        """Whether the copy was made and checked."""
        return self.state in ("done", "differs")


class Repo(Remote):
    """A repo, by any of its versions."""

    def __init__(self, rpc: str, uuid: str) -> None:
        super().__init__(rpc, uuid, "")
        self._address = rpc
        self._base = f"/api/repo/{quote(uuid, safe=':~')}"

    def repo_info(self) -> dict[str, Any]:
        """What the repo says of itself."""
        try:
            found = msgspec.json.decode(self.ask("GET", "info"))
            found["DataInstances"], found["DAG"]["Nodes"]
        except (msgspec.MsgspecError, KeyError, TypeError):
            raise Gone("what answers is no DVID server") from None
        return dict(found)

    def make(self, **settings: str) -> None:
        """Make a data instance; of a committed version with the admin's token."""
        body = msgspec.json.encode(settings)
        self.ask("POST", "instance", body, len(body), admintoken=_token())

    def target(self, uuid: str, name: str) -> Target:
        """A labelmap of it, at a version."""
        return Target(self._address, uuid, name)


class Target(Remote):
    """A labelmap that is the target of a conversion."""

    def begin(self, source: str) -> Status:
        """Begin or go on; needs the admin's token."""
        return self._status(self.ask("POST", f"convert/{quote(source, safe='')}", admintoken=_token()))

    def status(self) -> Status:
        """How it stands."""
        return self._status(self.ask("GET", "convert"))

    def stop(self) -> None:
        """Stop it; needs the admin's token."""
        self.ask("DELETE", "convert", admintoken=_token())

    def _status(self, data: bytes) -> Status:
        return msgspec.json.decode(data, type=Status)


def _token() -> str:
    return os.environ.get("DVID_ADMIN_TOKEN", "")


__all__ = ["Gone", "Refusal", "Repo", "Status", "Target"]
