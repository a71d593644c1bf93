"""UUIDs of versions and data instances, and the text forms in which a request names a version.

A UUID is 32 hexadecimal digits without dashes (version 4, lower case when made here).
"""

from __future__ import annotations

import re
import uuid
from typing import NamedTuple

from .errors import BadRequest

_UUID = re.compile(r"[0-9a-fA-F]{32}")
_NUMBER = re.compile(r"[0-9]{1,9}")


def new_uuid() -> str:
    """A fresh random UUID."""
    return uuid.uuid4().hex


def check_uuid(text: str, field: str) -> str:
    """`text` when it is a UUID, else `BadRequest` naming `field`."""
    if not _UUID.fullmatch(text):
        raise BadRequest(f"{field}: expected a UUID of 32 hexadecimal digits, got {text[:80]!r}")
    return text


class VersionName(NamedTuple):
    """The parts of `prefix:branch~back`; `branch` None: no colon was given, "" after a bare colon."""

    prefix: str
    branch: str | None
    back: int


def parse_version(text: str) -> VersionName:
    """Split a version's name: a UUID or a prefix of one, `X:branch`, `X:branch~N`, `X:`, `:branch`, `:`."""
    prefix, colon, branch = text.partition(":")
    if not colon:
        if not prefix:
            raise BadRequest("uuid: the name of a version must not be empty")
        return VersionName(prefix, None, 0)
    if ":" in branch:
        raise BadRequest(f"uuid: {text!r} has more than one colon")
    branch, tilde, back = branch.partition("~")
    if tilde and not branch:
        raise BadRequest(f"uuid: {text!r} needs the name of a branch before '~'")
    if tilde and not _NUMBER.fullmatch(back):
        raise BadRequest(f"uuid: {text!r} needs a number after '~', got {back!r}")
    return VersionName(prefix, branch, int(back) if tilde else 0)
