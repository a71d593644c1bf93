"""A small BrainMaps service on this machine: it speaks the protocol over a volume of noise, and can fail on demand."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from aiohttp import web
from numpy.typing import NDArray
from PIL import Image

VOLUME = "281930192:stanford"
SIZES = [(100, 80, 60), (50, 40, 60), (25, 20, 15)]
"""x, y, z of the scaled volumes."""

PIXELS = [(8, 8, 8), (16, 16, 8), (32, 32, 32)]


class Service:
    """What is asked is noted in `requests`; `fail` says how the next answers are wrong."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, Any]] = []
        self.authorization: list[str] = []
        self.tokens = 0
        self.fail = ""
        self.token = ""
        """What Authorization must be, if set."""
        self.url = ""
        rng = np.random.default_rng(1)
        self.volumes: list[NDArray[np.uint8]] = [rng.integers(1, 256, s[::-1], dtype=np.uint8) for s in SIZES]
        self.metadata: Any = {"geometry": [geometry(s, p) for s, p in zip(SIZES, PIXELS)]}

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/v1/volumes/{id}", self.get_metadata)
        app.router.add_post("/v1/volumes/{id}/imagetile:binary", self.image)
        app.router.add_post("/v1/volumes/{id}/subvolume:binary", self.subvolume)
        app.router.add_post("/token", self.give_token)
        return app

    def check(self, request: web.Request, spec: Any) -> None:
        self.requests.append((request.path, spec))
        self.authorization.append(request.headers.get("Authorization", ""))
        if self.token and self.authorization[-1] != f"Bearer {self.token}":
            raise web.HTTPUnauthorized(text="no such token")
        if request.match_info["id"] != VOLUME:
            raise web.HTTPNotFound(text="no such volume")
        if self.fail.isdigit():
            raise web.HTTPException(text="out of order") if self.fail == "0" else _status(int(self.fail))

    async def get_metadata(self, request: web.Request) -> web.Response:
        self.check(request, None)
        if self.fail == "text":
            return web.Response(text="<html>")
        return web.json_response(self.metadata)

    def cut(self, spec: Any) -> NDArray[np.uint8]:
        volume = self.volumes[spec["scale"]]
        x, y, z = map(int, spec["corner"].split(","))
        w, h, d = map(int, spec["size"].split(","))
        assert min(x, y, z) >= 0
        part = volume[z : z + d, y : y + h, x : x + w]
        assert part.shape == (d, h, w), "more was asked for than there is"
        return part

    async def image(self, request: web.Request) -> web.Response:
        spec = await request.json()
        self.check(request, spec)
        if self.fail == "text":
            return web.Response(body=b"<html>")
        if self.fail == "small":
            return web.Response(body=encoded(np.zeros((1, 1), np.uint8), {"imageFormat": "PNG"}))
        part = self.cut(spec["imageSpec"]["geometry"])
        flat = part.squeeze(axis=part.shape.index(1))
        return web.Response(body=encoded(flat, spec["imageSpec"]["imageOptions"]))

    async def subvolume(self, request: web.Request) -> web.Response:
        spec = await request.json()
        self.check(request, spec)
        assert spec["subvolumeFormat"] == "RAW"
        data = self.cut(spec["geometry"]).tobytes()
        if self.fail == "short":
            data = data[:-1]
        if self.fail == "long":
            data += b"x"
        return web.Response(body=data)

    async def give_token(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        assert str(form["assertion"]).count(".") == 2
        self.tokens += 1
        self.token = f"fresh-{self.tokens}"
        return web.json_response({"access_token": self.token, "expires_in": 3600, "token_type": "Bearer"})


def geometry(size: tuple[int, int, int], pixel: tuple[float, float, float], kind: str = "UINT8") -> dict[str, Any]:
    return {
        "volumeSize": dict(zip("xyz", map(str, size))),
        "channelCount": "1",
        "channelType": kind,
        "pixelSize": dict(zip("xyz", pixel)),
    }


def encoded(pixels: NDArray[np.uint8], options: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    quality = {"quality": options["jpegQuality"]} if options["imageFormat"] == "JPEG" else {}
    Image.fromarray(pixels).save(file, options["imageFormat"], **quality)
    return file.getvalue()


def _status(code: int) -> web.HTTPException:
    class Failure(web.HTTPException):
        status_code = code

    return Failure(text="out of order")


@asynccontextmanager
async def serving(service: Service) -> AsyncIterator[Service]:
    runner = web.AppRunner(service.app())
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        service.url = f"http://127.0.0.1:{port}"
        yield service
    finally:
        await runner.cleanup()


def key_file(service: Service) -> str:
    """The key of a service account that gets its tokens from `service`."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return json.dumps({
        "type": "service_account", "private_key": pem, "private_key_id": "1", "client_email": "dvid@example.org",
        "client_id": "1", "token_uri": f"{service.url}/token",
    })  # fmt: skip
