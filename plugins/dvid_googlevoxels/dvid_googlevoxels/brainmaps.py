"""`BrainMaps`: the client of the service. Its requests, JSON over HTTP:

GET  <url>/volumes/<id>                    {"geometry": [{"volumeSize", "channelCount", "channelType", "pixelSize"}]}
POST <url>/volumes/<id>/imagetile:binary   {"imageSpec": {"geometry": G, "imageOptions": O}} -> an image
POST <url>/volumes/<id>/subvolume:binary   {"geometry": G, "subvolumeFormat": "RAW"} -> voxels, x fastest

G = {"corner": "x,y,z", "size": "x,y,z", "scale": <number of the geometry>}
O = {"imageFormat": "JPEG", "jpegQuality": 80} or {"imageFormat": "PNG"}
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import quote

import aiohttp

from dvid_core import BadRequest, Unavailable
from dvid_voxels.geometry import Box
from dvid_voxels.images import Format

from .account import Account, Bearer, Run
from .geometry import Geometry, read_geometries

METADATA = 4 << 20
IMAGE = 128 << 20
"""Bytes that a reply may have."""

PATIENCE = aiohttp.ClientTimeout(total=600, sock_connect=10, sock_read=60)


class BrainMaps:
    """One volume of the service."""

    def __init__(self, account: Account, volume: str, run: Run) -> None:
        self._base = f"{account.url}/volumes/{quote(volume, safe=':')}"
        self._volume = volume
        self._bearer = Bearer(account, run)
        self._client = aiohttp.ClientSession(timeout=PATIENCE, cookie_jar=aiohttp.DummyCookieJar(), trust_env=True)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def geometries(self) -> tuple[Geometry, ...]:
        """The scaled volumes.  Raises `BadRequest` when the service has no such volume, and `Unavailable`."""
        async with self._ask("GET", self._base, None) as reply:
            return read_geometries(await _whole(reply, METADATA))

    async def image(self, number: int, box: Box, form: Format) -> bytes:
        """The image of a box that is one voxel thick, as JPEG or PNG."""
        options: dict[str, Any] = {"imageFormat": "PNG"}
        if form.kind == "jpeg":
            options = {"imageFormat": "JPEG", "jpegQuality": form.quality}
        spec = {"imageSpec": {"geometry": _geometry(number, box), "imageOptions": options}}
        async with self._ask("POST", f"{self._base}/imagetile:binary", spec) as reply:
            return await _whole(reply, IMAGE)

    async def voxels(self, number: int, box: Box, nbytes: int) -> AsyncIterator[bytes]:
        """The voxels of a box in pieces, `nbytes` in all.  Raises `Unavailable` when it is another number."""
        spec = {"geometry": _geometry(number, box), "subvolumeFormat": "RAW"}
        left = nbytes
        async with self._ask("POST", f"{self._base}/subvolume:binary", spec) as reply:
            with _failures():
                async for piece in reply.content.iter_any():
                    left -= len(piece)
                    if left < 0:
                        break
                    yield piece
        if left:
            raise Unavailable(f"the BrainMaps service sent another number of bytes than the {nbytes} of the volume")

    @asynccontextmanager
    async def _ask(self, method: str, url: str, spec: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = await self._bearer.headers()
        with _failures():
            reply = await self._client.request(method, url, json=spec, headers=headers, allow_redirects=False)
        async with reply:
            if reply.status == 200:
                yield reply
                return
            said = (await _whole(reply, 1 << 16))[:200].decode(errors="replace")
            text = f"the BrainMaps service answers {reply.status} about volume {self._volume}: {said}"
            raise BadRequest(text) if 400 <= reply.status < 500 else Unavailable(text)


@contextmanager
def _failures() -> Iterator[None]:
    """Turns errors of the client into `Unavailable`."""
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, ValueError) as err:
        raise Unavailable(f"the BrainMaps service cannot be reached: {type(err).__name__}") from err


async def _whole(reply: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body of a reply.  Raises `Unavailable` when it is longer than `limit`."""
    out = bytearray()
    with _failures():
        async for piece in reply.content.iter_any():
            out += piece
            if len(out) > limit:
                break
    if len(out) > limit:
        raise Unavailable(f"the BrainMaps service sent more than {limit} bytes")
    return bytes(out)


def _geometry(number: int, box: Box) -> dict[str, Any]:
    corner, size = (",".join(map(str, v[::-1])) for v in (box.low, box.size))
    return {"corner": corner, "size": size, "scale": number}
