"""The internal HTTP listener: probes of the process, and pages that its parts hang in.

`GET /healthz` is liveness, and progress of the event loop alone: whoever reads the answer knows
that the loop turns. No dependency is in it, because a restart would not bring one back.
`GET /readyz` is readiness, with the standing of every dependency.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from ragmesh.chassis.health import Health
from ragmesh.chassis.http_servers import HttpOptions, HttpServer, serve_http
from ragmesh.chassis.lifecycle import Tasks

JSON = "application/json"
_OPTIONS = HttpOptions(grace_seconds=1, max_connections=100, allow_remote=True)


@dataclass(frozen=True, slots=True)
class Page:
    """What a GET is answered with."""

    body: bytes
    content_type: str = JSON
    status: int = 200

    @classmethod
    def of(cls, value: Mapping[str, object], *, status: int = 200) -> Page:
        """A page of JSON."""
        return cls(json.dumps(value).encode() + b"\n", status=status)


Answer = Callable[[str], Awaitable[Page]]
"""Makes a page; it is told the `Accept` header, empty when there was none."""


@asynccontextmanager
async def serve_internal_http(
    address: str, health: Health, *, tasks: Tasks, pages: Mapping[str, Answer] | None = None
) -> AsyncIterator[HttpServer]:
    """Serve the probes and `pages`, by their paths, at an address of any interface.

    Open it first, so that it is closed last: a process that drains still tells that it does.
    """
    app = InternalApp(health, {} if pages is None else pages)
    async with serve_http(
        app, address, tasks=tasks, name="internal.http", options=_OPTIONS
    ) as server:
        yield server


class InternalApp:
    """The ASGI app behind the listener."""

    def __init__(self, health: Health, pages: Mapping[str, Answer]) -> None:
        self._health = health
        self._pages = {"/healthz": self._healthz, "/readyz": self._readyz, **pages}

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        """Answer one request."""
        page = await self._page(scope)
        headers = [
            (b"content-type", page.content_type.encode()),
            (b"content-length", str(len(page.body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": page.status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else page.body
        await send({"type": "http.response.body", "body": body})

    async def _page(self, scope: Any) -> Page:
        answer = self._pages.get(scope["path"])
        if answer is None:
            return Page.of({"status": "not found"}, status=404)
        if scope["method"] not in {"GET", "HEAD"}:
            return Page.of({"status": "only GET"}, status=405)
        accepted = [value for name, value in scope["headers"] if name == b"accept"]
        return await answer(b", ".join(accepted).decode("latin-1"))

    async def _healthz(self, _accept: str) -> Page:
        return Page.of({"status": "ok"})

    async def _readyz(self, _accept: str) -> Page:
        ready = self._health.ready
        told = {
            "status": "ready" if ready else "not ready",
            "dependencies": dict(self._health.dependencies()),
        }
        return Page.of(told, status=200 if ready else 503)
