"""Every error that a request can end with.

    DvidError                      400  a bad request that nothing below names better
    |-- BadRequest                 400  a wrong value; the message names the field
    |-- Unknown...                 400  UnknownVersion, UnknownInstance, UnknownEndpoint, UnknownType, MissingPlugin
    |-- Refused                    400  the request is well formed, but not allowed now
    |   |-- NodeLocked             400  a write to a committed version
    |   |-- NameTaken              400  a name or UUID that exists already
    |   |-- AdminOnly              400  admin rights are missing
    |   `-- ReadOnly               400  the server is read-only
    |-- NotFound                   404  a key, blob or body that is not there
    |-- NoRoute                    404  a path that the server does not know
    |-- MergeConflict              409  parents of a merge disagree and nobody decided
    |-- RangeNotSatisfiable        416  a byte range beyond the value
    |-- Blocked                    429  the caller is on the block list
    `-- Unavailable                503  throttled, draining or without its store

    StoreError                     500  what a storage engine raises
    |-- Conflict                        an expectation of a commit failed; nothing was written
    |-- UnknownOutcome                  the commit may or may not have happened
    |-- StoreClosed                     the engine was closed or refuses further work
    `-- StoreInUse                      another process holds the store

    ConfigError                         the configuration cannot be used; ends the start

`status` is the HTTP status that `dvid_core.web.dispatch` answers with; the statuses are those of the
reference server, which answers 400 to nearly everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType


class DvidError(Exception):
    """Base of all errors that a client is told as a sentence."""

    status = 400
    headers: Mapping[str, str] = MappingProxyType({})


class BadRequest(DvidError):
    """Raised when a value of the request is wrong; the message names the field."""


class UnknownVersion(DvidError):
    """Raised when a version name fits no version, or more than one."""


class UnknownInstance(DvidError):
    """Raised when a repo has no data instance of that name."""


class UnknownEndpoint(DvidError):
    """Raised when a datatype has no such endpoint, or not for this method."""


class UnknownType(DvidError):
    """Raised when no installed plug-in offers that datatype."""


class MissingPlugin(DvidError):
    """Raised when an instance exists, but the plug-in of its datatype is not installed."""


class Refused(DvidError):
    """Raised when a well-formed request is not allowed in the present state."""


class NodeLocked(Refused):
    """Raised when a committed version is written."""


class NameTaken(Refused):
    """Raised when a name or UUID to be made exists already."""


class AdminOnly(Refused):
    """Raised when a request needs the admin token."""


class ReadOnly(Refused):
    """Raised when a read-only server is written."""


class NotFound(DvidError):
    """Raised when a key, a blob or a body is not there; the message has the words "not found"."""

    status = 404


class NoRoute(DvidError):
    """Raised when no route fits the path."""

    status = 404


class MergeConflict(DvidError):
    """Raised when a value differs between the parents of a merge and no later write decided."""

    status = 409


class RangeNotSatisfiable(DvidError):
    """Raised when a Range header lies beyond the value of `length` bytes."""

    status = 416

    def __init__(self, message: str, length: int) -> None:
        super().__init__(message)
        self.headers = {"Content-Range": f"bytes */{length}"}


class Blocked(DvidError):
    """Raised when the caller is on the block list."""

    status = 429


class Unavailable(DvidError):
    """Raised when the server is throttled, draining, or cannot reach its store."""

    status = 503


class StoreError(Exception):
    """Base of what storage engines raise."""


class Conflict(StoreError):
    """Raised when an expectation of a batch does not hold; nothing of the batch was written."""

    def __init__(self, key: bytes) -> None:
        super().__init__(f"expectation failed at key {key.hex()}")
        self.key = key


class UnknownOutcome(StoreError):
    """Raised when a commit may or may not have happened; look for its token before another try."""


class StoreClosed(StoreError):
    """Raised when a store is used that was closed or that refuses work after a failure."""


class StoreInUse(StoreError):
    """Raised when another process holds the store."""


class ConfigError(Exception):
    """Raised when the configuration cannot be used; one sentence that says what to change."""
