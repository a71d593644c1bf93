"""`Meshes`: an instance of tarsupervoxels at one version, asked over HTTP; and tars made by `tarfile`."""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dvid_core.testing import Answer, Api

EXTENSION = "drc"


class Meshes:
    """The instance `meshes` and the labels `seg` at a version."""

    def __init__(self, api: Api, uuid: str) -> None:
        self.api, self.uuid = api, uuid

    def path(self, end: str) -> str:
        return f"/api/node/{self.uuid}/meshes/{end}"

    async def ask(self, method: str, end: str, body: Any = None, **options: Any) -> Answer:
        return await self.api.ask(method, self.path(end), body, **options)

    async def body(self, label: int, supervoxels: Iterable[int]) -> None:
        """Say which supervoxels a body has."""
        await self.api.post(f"/api/node/{self.uuid}/seg/body/{label}", json=list(supervoxels))

    async def put(self, supervoxel: int, data: Any) -> None:
        await self.api.post(self.path(f"supervoxel/{supervoxel}"), data)

    async def get(self, supervoxel: int) -> bytes | None:
        answer = await self.ask("GET", f"supervoxel/{supervoxel}")
        assert answer.status in (200, 404), answer.text
        return answer.body if answer.status == 200 else None

    async def load(self, tar: bytes) -> None:
        await self.api.post(self.path("load"), tar)

    async def refused(self, tar: Any, *words: str) -> None:
        """Post a tar that must be refused with these words."""
        answer = await self.ask("POST", "load", tar)
        assert answer.status == 400, answer.status
        for word in (*words, "nothing was stored"):
            assert word in answer.text, answer.text

    async def exist(self, supervoxels: Sequence[int]) -> list[bool]:
        found: list[bool] = await self.api.get(self.path("exists"), json=supervoxels)
        return found

    async def tar(self, label: int) -> dict[str, bytes]:
        answer = await self.ask("GET", f"tarfile/{label}")
        assert answer.status == 200 and answer.headers["Content-Type"] == "application/tar", answer.text
        return untarred(answer.body)

    async def missing(self, label: int) -> list[int]:
        found: list[int] = await self.api.get(self.path(f"missing/{label}"))
        return found

    async def complete(self, label: int) -> bool:
        answer = await self.ask("HEAD", f"tarfile/{label}")
        assert answer.status in (200, 400) and not answer.body
        return answer.status == 200

    async def child(self) -> Meshes:
        """The next version; this one is committed."""
        await self.api.commit(self.uuid)
        return Meshes(self.api, await self.api.newversion(self.uuid))


async def new_meshes(api: Api, extension: str = EXTENSION, versioned: str = "false", sync: str = "seg") -> Meshes:
    uuid = await api.repo()
    await api.instance(uuid, "seg", "segments")
    place = await api.instance(uuid, "meshes", "tarsupervoxels", Extension=extension, versioned=versioned)
    if sync:
        await api.post(f"{place}/sync", json={"sync": sync})
    return Meshes(api, uuid)


def noise(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


def tarred(files: Mapping[str, bytes] | Iterable[tuple[str, bytes]], form: int = tarfile.GNU_FORMAT) -> bytes:
    """A tar of these files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, data in files.items() if isinstance(files, Mapping) else files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def untarred(data: bytes) -> dict[str, bytes]:
    """The files of a tar; each name is there once."""
    out: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        for info in tar:
            file = tar.extractfile(info)
            assert file is not None and info.name not in out
            assert (info.mode, info.mtime, info.uid, info.uname) == (0o755, 0, 0, "")
            out[info.name] = file.read()
    return out
