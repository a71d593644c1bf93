"""`Session`: what a Python client of DVID does, a `requests.Session` that names user and application every time."""

from __future__ import annotations

import asyncio
from typing import Any

import requests


class Session:
    """Asks a server that runs in this process, from a thread."""

    def __init__(self, url: str, **params: str) -> None:
        self.url = url
        self.requests = requests.Session()
        self.requests.trust_env = False
        self.requests.params = params

    async def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """Any answer."""
        return await asyncio.to_thread(self.requests.request, method, self.url + path, timeout=60, **options)

    async def demand(self, method: str, path: str, **options: Any) -> requests.Response:
        """An answer with status 200: many clients take nothing else for success."""
        answer = await self.ask(method, path, **options)
        assert answer.status_code == 200, f"{method} {path}: {answer.status_code} {answer.text[:300]}"
        return answer

    async def json(self, path: str, **options: Any) -> Any:
        """What a GET gives."""
        return (await self.demand("GET", path, **options)).json()

    async def post(self, path: str, body: Any = None, **options: Any) -> Any:
        """A POST of JSON, and the JSON that it gives, or None."""
        answer = await self.demand("POST", path, json=body, **options)
        return answer.json() if answer.content else None
