"""Replaying recorded exchanges: a case is a folder with `case.json`, steps of request and reply, and bodies beside it.

    @pytest.mark.parametrize("case", parameters(find_cases(Path(__file__).parent / "cases"), [my_plugin]))
    async def test_case(case: Case, server: RunningServer) -> None:
        assert await replay(case, server.url) == []

Replies are compared by meaning: `compare` of a step names the decoder.  A datatype whose replies need decoders of its
own gives them along: `replay(case, url, {**DECODERS, "label-block": label_block})`.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import io
import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec
import pytest
from _pytest.mark.structures import ParameterSet
from msgspec import UNSET, UnsetType
from yarl import URL

from ..plugins import load_plugins
from .api import Answer
from .meaning import DECODERS, Decoder, Mismatch, same, short, unordered

PATIENCE = 20.0
POLL_SECONDS = 0.2
UNORDERED = frozenset(("json-unordered", "repo-info"))
TEXTS = frozenset(("text", "lines"))
LEGAL = "!#$%&'()*+,/:;=?@[]~"
"""Characters of a recorded path that go out as they are; others (blanks, non-ASCII) are percent-encoded."""

Variables = dict[str, Any]


class Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Bytes, written in one of three ways; none of them: no body."""

    text: str | None = None
    base64: str | None = None
    file: str | None = None

    def read(self, folder: Path) -> bytes | None:
        """The bytes; files lie in `folder`, those named `.gz` compressed."""
        if self.text is not None:
            return self.text.encode()
        if self.base64 is not None:
            return base64.b64decode(self.base64)
        if self.file is not None:
            data = (folder / self.file).read_bytes()
            return gzip.decompress(data) if self.file.endswith(".gz") else data
        return None


class Recorded(Body, kw_only=True):
    """What is sent; `json` stands before the other forms and may have variables."""

    method: str
    path: str
    headers: dict[str, str] = {}
    json: Any = UNSET


class Expected(Body, kw_only=True):
    """What the reference answered, and how to compare."""

    status: int
    headers: dict[str, str | None] = {}
    compare: str = "ignore"
    arg: Any = None
    tol: float = 0
    json: Any = UNSET
    size: int | UnsetType = UNSET
    reference_said: str = ""


class Step(msgspec.Struct, forbid_unknown_fields=True):
    """One exchange; `save` gives names to values of the reply, by dotted paths."""

    request: Recorded
    expect: Expected
    save: dict[str, str] = {}
    eventually: bool = False
    note: str = ""


class Script(msgspec.Struct, forbid_unknown_fields=True):
    """The content of a `case.json`."""

    about: str
    steps: list[Step]
    fresh: bool = False
    """The case assigns UUIDs or tags, so it passes once per server."""
    needs: dict[str, Any] = {}
    """What the server must be configured with."""
    seed: int = 0


class Case:
    """A case by its folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.script = msgspec.json.decode((folder / "case.json").read_bytes(), type=Script)

    @property
    def steps(self) -> list[Step]:
        """Its exchanges in order."""
        return self.script.steps

    def __str__(self) -> str:
        return self.name


def find_cases(root: Path) -> list[Case]:
    """All cases below a folder, sorted by their names, which are their paths in it."""
    folders = sorted(found.parent for found in root.rglob("case.json"))
    return [Case(folder, folder.relative_to(root).as_posix()) for folder in folders]


async def replay(
    case: Case, url: str, decoders: Mapping[str, Decoder] = DECODERS, *, patience: float = PATIENCE
) -> list[str]:
    """Send the steps to the server at `url`; a line for each that is answered in another sense.

    A step marked `eventually` is sent again for up to `patience` seconds.  The rest of a case is left out when a
    variable that it needs was not given.
    """
    failures: list[str] = []
    variables: Variables = {}
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client:
        for number, step in enumerate(case.steps):
            wrong = await _replay_step(client, url.rstrip("/"), case, step, variables, decoders, patience)
            if wrong is not None:
                failures.append(f"step {number} {step.request.method} {fill(step.request.path, variables)}: {wrong}")
                if not step.save.keys() <= variables.keys():
                    break
    return failures


async def _replay_step(
    client: aiohttp.ClientSession, url: str, case: Case, step: Step, variables: Variables,
    decoders: Mapping[str, Decoder], patience: float,
) -> str | None:  # fmt: skip
    """What is wrong with the answer, or None."""
    deadline = time.monotonic() + (patience if step.eventually else 0)
    while True:
        try:
            answer = await _send(client, url, case, step.request, variables)
            if answer.status == step.expect.status:
                for name, place in step.save.items():
                    variables[name] = dig(answer.json(), place)
            check(step.expect, answer, case.folder, variables, decoders)
            return None
        except (Mismatch, aiohttp.ClientError, TimeoutError, ValueError, LookupError, TypeError) as err:
            if time.monotonic() >= deadline:
                return str(err) or repr(err)
        await asyncio.sleep(POLL_SECONDS)


async def _send(client: aiohttp.ClientSession, url: str, case: Case, request: Recorded, variables: Variables) -> Answer:
    path = quote(fill(request.path, variables), safe=LEGAL)
    data = request.read(case.folder)
    if request.json is not UNSET:
        data = fill(json.dumps(request.json), variables).encode()
    # As a file, since aiohttp warns of bytes above 1 MiB.
    body = io.BytesIO(data) if data is not None and len(data) > 1 << 20 else data
    async with client.request(
        request.method, URL(url + path, encoded=True), data=body, headers=request.headers, allow_redirects=False,
        skip_auto_headers=("Content-Type",), timeout=aiohttp.ClientTimeout(120),
    ) as reply:  # fmt: skip
        return Answer(reply.status, reply.headers, await reply.read())


def check(
    expected: Expected, answer: Answer, folder: Path, variables: Variables, decoders: Mapping[str, Decoder]
) -> None:
    """Raise `Mismatch` unless the answer means what was recorded."""
    if answer.status != expected.status:
        raise Mismatch(f"status {answer.status}, expected {expected.status}: {short(answer.text)}")
    for name, value in expected.headers.items():
        came = answer.headers.get(name)
        if value is not None and (came or "").split(";")[0] != value.split(";")[0]:
            raise Mismatch(f"header {name}: {came!r}, expected {value!r}")
    how = expected.compare
    if how == "ignore":
        return None
    if how == "size":
        return same(expected.size, len(answer.body))
    got = _decoded(decoders, how, answer.body, expected.arg)
    if how == "nonempty":
        if not got:
            raise Mismatch("empty reply")
        return None
    same(_wanted(expected, folder, variables, decoders), got, expected.tol, any_order=how in UNORDERED)


def _decoded(decoders: Mapping[str, Decoder], how: str, data: bytes, arg: Any) -> Any:
    if how not in decoders:
        raise LookupError(f"no decoder {how!r} is registered")
    try:
        return decoders[how](data, arg)
    except Mismatch:
        raise
    except Exception as err:
        raise Mismatch(f"the reply is no {how}: {err!r}: {short(data)}") from err


def _wanted(expected: Expected, folder: Path, variables: Variables, decoders: Mapping[str, Decoder]) -> Any:
    if expected.json is not UNSET:
        value = json.loads(fill(json.dumps(expected.json), variables))
        return unordered(value) if expected.compare in UNORDERED else value
    data = expected.read(folder) or b""
    if expected.compare in TEXTS:
        data = fill(data.decode(), variables).encode()
    return decoders[expected.compare](data, expected.arg)


def fill(text: str, variables: Variables) -> str:
    """Put variables in place of {name} and {{name}}; unknown ones stay as they are."""

    def value(found: re.Match[str]) -> str:
        return str(variables.get(found[1], found[0]))

    return re.sub(r"\{\{?(\w+)\}?\}", value, text)


def dig(value: Any, place: str) -> Any:
    """What is at a dotted path, such as `kvs.0.key`."""
    for part in place.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def parameters(cases: Iterable[Case], plugins: Iterable[ModuleType] = ()) -> list[ParameterSet]:
    """Cases as parameters of a test; `plugins` are modules besides the installed ones.

    A case that needs datatypes which are missing is expected to fail, until they are there.
    """
    installed = load_plugins(list(plugins)).datatypes.keys()
    found = []
    for case in cases:
        missing = ", ".join(sorted(typenames(case) - installed))
        marks = [pytest.mark.xfail(strict=True, reason=f"not installed: {missing}")] if missing else []
        found.append(pytest.param(case, id=case.name, marks=marks))
    return found


def typenames(case: Case) -> set[str]:
    """The datatypes that a server must have for this case."""
    return set(_typenames(case))


def _typenames(case: Case) -> Iterator[str]:
    for step in case.steps:
        sent, expected = step.request, step.expect
        if expected.status != 200:
            continue
        if isinstance(sent.json, dict):
            yield from (v for k, v in sent.json.items() if k.lower() == "typename" and sent.path.endswith("/instance"))
        if sent.path.startswith("/api/help/"):
            yield sent.path.removeprefix("/api/help/")
        if sent.path == "/api/server/compiled-types":
            yield from expected.arg or ()
