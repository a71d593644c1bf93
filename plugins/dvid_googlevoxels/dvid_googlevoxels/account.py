"""`Account`: where the BrainMaps service is, and by what right it is asked. Only the server's operator sets it.

In the section [plugin.googlevoxels] of the configuration, or for a server without one in the environment:

credentials   DVID_BRAINMAPS_CREDENTIALS   file with the key of a Google service account
token         DVID_BRAINMAPS_TOKEN         or a bearer token
url           DVID_BRAINMAPS_URL           another service than Google's
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from dvid_core import BadRequest, Unavailable

URL = "https://brainmaps.googleapis.com/v1"
SCOPE = "https://www.googleapis.com/auth/brainmaps"

Run = Callable[..., Awaitable[Any]]
"""Runs a blocking function in a thread."""


class Account(msgspec.Struct, frozen=True):
    """What was configured."""

    url: str = URL
    credentials: str = ""
    """The path of a key file."""
    token: str = ""

    def knows(self, key: str) -> bool:
        """Whether a client that names a key file means the configured one; others are not even looked for."""
        return key in ("", self.credentials, os.path.basename(self.credentials))


def configured(section: Mapping[str, Any]) -> Account:
    """The account of this server, given its configuration's section.  Raises `BadRequest` when there is none."""
    names = ("url", "credentials", "token")
    values = {n: str(section.get(n) or os.environ.get(f"DVID_BRAINMAPS_{n.upper()}", "")) for n in names}
    if not any(values.values()):
        raise BadRequest(
            "googlevoxels is not configured on this server: its operator names the key file of a service account as "
            "credentials in [plugin.googlevoxels]"
        )
    return Account((values["url"] or URL).rstrip("/"), values["credentials"], values["token"])


class Bearer:
    """The Authorization header of an account, renewed before it expires."""

    def __init__(self, account: Account, run: Run) -> None:
        self._account, self._run = account, run
        self._lock = asyncio.Lock()
        self._credentials: Any = None

    async def headers(self) -> dict[str, str]:
        """The headers of a request.  Raises `Unavailable` when no token is to be had."""
        token = self._account.token
        if self._account.credentials:
            async with self._lock:
                if self._credentials is None or not self._credentials.valid:
                    await self._renew()
                token = self._credentials.token
        return {"Authorization": f"Bearer {token}"} if token else {}

    async def _renew(self) -> None:
        try:
            self._credentials = await self._run(_renewed, self._credentials, self._account.credentials)
        except Exception as err:
            # The library raises errors of its own, of its HTTP client and of the key file.
            raise Unavailable(f"the BrainMaps service account gets no token: {type(err).__name__}") from err


def _renewed(credentials: Any, path: str) -> Any:
    """A kernel: the credentials of a key file with a fresh token."""
    from google.auth.transport.requests import Request
    from google.oauth2.service_account import Credentials

    if credentials is None:
        credentials = Credentials.from_service_account_file(path, scopes=[SCOPE])  # type: ignore[no-untyped-call]
    credentials.refresh(Request())
    return credentials
