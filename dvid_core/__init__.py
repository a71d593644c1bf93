"""DVID: a distributed, versioned, image-oriented dataservice.

The names below are what a plug-in imports; `dvid_core.testing` has what its tests import.  Modules may change, these
names stay.
"""

from .errors import (
    BadRequest,
    ConfigError,
    Conflict,
    DvidError,
    MergeConflict,
    NodeLocked,
    NotFound,
    RangeNotSatisfiable,
    Refused,
    StoreClosed,
    StoreError,
    StoreInUse,
    Unavailable,
    UnknownInstance,
    UnknownOutcome,
)
from .events import Event
from .hookspecs import hookimpl
from .instance import Info, Instance
from .keys import I32, TEXT, U8, U16, U32, U64, ZYX, KeyClass
from .mutation import Edited, Mutation
from .mutlog import LogRecord, LogSink, Source
from .requests import EMPTY, JSON, OCTETS, Caller, Piece, Reply, Request, parse_json
from .routes import (
    About,
    Flag,
    LazyInt,
    LazyNumber,
    Param,
    Route,
    Switch,
    Uint64,
    Vec3,
    delete,
    get,
    head,
    post,
    put,
)
from .settings import Compression, Settings, read_settings
from .storage.base import Batch, Limits, Page, Receipt, Store, StoreConfig, Want, check_limits
from .values import Staged, Value
from .view import Disputed, View

__version__ = "1.0.0"

__all__ = [
    "EMPTY", "I32", "JSON", "OCTETS", "TEXT", "U8", "U16", "U32", "U64", "ZYX", "About", "BadRequest", "Batch",
    "Caller", "Compression", "ConfigError", "Conflict", "Disputed", "DvidError", "Edited", "Event", "Flag", "Info",
    "Instance", "KeyClass", "LazyInt", "LazyNumber", "Limits", "LogRecord", "LogSink", "MergeConflict", "Mutation",
    "NodeLocked", "NotFound", "Page", "Param", "Piece", "RangeNotSatisfiable", "Receipt", "Refused", "Reply",
    "Request", "Route", "Settings", "Source", "Staged", "Store", "StoreClosed", "StoreConfig", "StoreError",
    "StoreInUse", "Switch", "Uint64", "Unavailable", "UnknownInstance", "UnknownOutcome", "Value", "Vec3", "View",
    "Want", "check_limits", "delete", "get", "head", "hookimpl", "parse_json", "post", "put", "read_settings",
]  # fmt: skip
