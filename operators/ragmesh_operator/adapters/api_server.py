"""Calls to a Kubernetes API server, with the errors that the rest of ragmesh knows."""

from __future__ import annotations

import base64
import json
import os
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
import kopf

from ragmesh.core.clock import Clock
from ragmesh.core.errors import (
    ConflictError,
    DeniedError,
    InternalError,
    InvalidError,
    NotFoundError,
    RagmeshError,
    UnauthenticatedError,
    UnavailableError,
)

MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
MANAGER = "ragmesh-operator"
_REQUEST_SECONDS = 10.0
_CREDENTIALS_SECONDS = 60.0
"""A token in a pod is replaced long before it ends; it is read again this often."""
_ERRORS: Mapping[int, type[RagmeshError]] = {
    400: InvalidError,
    401: UnauthenticatedError,
    403: DeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: InvalidError,
    429: UnavailableError,
}

_IDENTITY_DIGITS = 12

Login = Callable[[], kopf.ConnectionInfo]


class ApiServer:
    """One API server; every call has an end."""

    def __init__(self, session: aiohttp.ClientSession, login: Login, clock: Clock) -> None:
        self._session = session
        self._login = login
        self._clock = clock
        self._info = login()
        self._read_at = clock.monotonic()
        self._ssl = ssl_context(self._info)
        self.calls: dict[str, int] = {}
        """How often each verb was used."""

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        kind: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> Any:
        """What the server answers; its refusals as errors."""
        info = self._current()
        self.calls[method] = self.calls.get(method, 0) + 1
        headers = {"Content-Type": kind, "Accept": "application/json", **info.as_http_headers()}
        try:
            async with self._session.request(
                method,
                info.server.rstrip("/") + path,
                data=None if body is None else json.dumps(body),
                params=query,
                headers=headers,
                ssl=self._ssl,
                timeout=aiohttp.ClientTimeout(total=_REQUEST_SECONDS),
            ) as reply:
                content = await reply.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnavailableError(f"the API server did not answer: {type(error).__name__}") from (
                error
            )
        if reply.status >= 400:
            raise _refusal(reply.status, content)
        return json.loads(content)

    def _current(self) -> kopf.ConnectionInfo:
        now = self._clock.monotonic()
        if now - self._read_at >= _CREDENTIALS_SECONDS:
            self._info, self._read_at = self._login(), now
        return self._info


def _refusal(status: int, content: bytes) -> RagmeshError:
    try:
        message = str(json.loads(content).get("message", ""))
    except (ValueError, AttributeError):
        message = ""
    made = _ERRORS.get(status, UnavailableError if status >= 500 else InternalError)
    return made(f"the API server answered {status}: {message[:500]}")


def ssl_context(info: kopf.ConnectionInfo) -> ssl.SSLContext | bool:
    """How the server is verified, and what is shown to it."""
    return False if info.server.startswith("http://") else info.as_ssl_context()


def identity_of(info: kopf.ConnectionInfo) -> str:
    """What tells this cluster from others without any right: its certificate authority.

    Empty where the connection names none.
    """
    content = info.ca_data
    if info.ca_path:
        content = Path(os.fsdecode(info.ca_path)).read_bytes()
    if not content:
        return ""
    held = content.encode() if isinstance(content, str) else content
    if not held.startswith(b"-----BEGIN "):
        held = base64.b64decode(held)
    return sha256(held.strip()).hexdigest()[:_IDENTITY_DIGITS]


@asynccontextmanager
async def api_server(login: Login, clock: Clock) -> AsyncIterator[ApiServer]:
    """An API server, for as long as the block lasts."""
    connector = aiohttp.TCPConnector(limit=20)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield ApiServer(session, login, clock)
