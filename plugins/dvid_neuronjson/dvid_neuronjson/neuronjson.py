"""The datatype `neuronjson`."""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import Any

from dvid_core import BadRequest, Instance, LogRecord, View

from .handlers import ROUTES
from .heads import Heads
from .keys import ANNOTATION, EDIT, SCHEMA
from .schemas import Validator, read_schema

log = logging.getLogger(__name__)

COMPILED = 8
"""Compiled JSON schemas that are kept."""


class NeuronJSON(Instance):
    """A versioned table of annotations of neurons: for each body, named by its id, a flat JSON object.

    Objects are written field by field, each with who set it (X_user) and when (X_time), and queried by their fields. A
    body id is a whole number from 1 to 2^64-1, and is also in the object, as `bodyid`. Names that end with _user or
    _time belong to the field before. All writes of annotations need the option `u=<user>`.
    """

    typename = "neuronjson"
    type_version = "0.1"
    type_url = "github.com/janelia-flyem/dvid/datatype/neuronjson"
    keys = (ANNOTATION, SCHEMA, EDIT)
    routes = ROUTES

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.heads = Heads(self)
        self._validators: OrderedDict[bytes, Validator | None] = OrderedDict()

    async def open(self) -> None:
        self.heads = Heads(self)
        leaf = self.repo.dag.branch_leaf("") or self.repo.dag.root
        await self.heads.table(View(self, leaf))

    async def close(self) -> None:
        self.heads = Heads(self)

    def apply(self, version: int, number: int, record: LogRecord) -> None:
        self.heads.apply(version, number, record)

    def validator(self, text: bytes) -> Validator | None:
        """The compiled JSON schema; None when the text, of whatever origin, is none that can be used."""
        if text not in self._validators:
            try:
                found = read_schema(text)
            except BadRequest as err:
                log.warning("%s: objects are not checked: %s", self.name, err)
                found = None
            self._validators[text] = found
            while len(self._validators) > COMPILED:
                self._validators.popitem(last=False)
        return self._validators[text]
