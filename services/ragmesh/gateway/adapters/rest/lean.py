"""Answers that need not be sent again, or not in full length: ETag, 304 and gzip.

Only whole answers are touched; what streams goes out piece by piece as it comes. Compressed are
reads, searches and answers to questions, never a problem nor what says `no-store`: neither a secret
nor what a stranger made a browser ask for stands beside the other in one compressed text (BREACH).
"""

from __future__ import annotations

import gzip
import re
from base64 import urlsafe_b64encode
from hashlib import sha256

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ragmesh.chassis.executors import Executor
from ragmesh.gateway.adapters.rest.reading import ASKING_PATHS

_SHORTEST = 1_400
"""Fits into one packet as it is."""
_LARGE = 64 * 1024
"""Larger ones would hold up the loop for milliseconds."""
_LEVEL = 4
_COMPRESSED = re.compile(r"(application/json|text/(plain|html|markdown|csv))\b")
_GZIP = "-gzip"
"""Ends the tag of what was compressed: other bytes, another tag."""
_UNCHANGED = frozenset({"content-length", "content-type"})
"""Headers of a body, which a 304 has not."""
_QUALITY = re.compile(r"\bgzip\b(?:\s*;\s*q=(?P<quality>[0-9.]+))?", re.IGNORECASE)


class LeanAnswers:
    """Around the routes, within the door."""

    def __init__(self, app: ASGIApp, pool: Executor) -> None:
        self.app = app
        self._pool = pool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        reads = scope["method"] == "GET"
        if not reads and not scope["path"].endswith(ASKING_PATHS):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        answer = _Whole(send, self._pool, headers, tagged=reads)
        await self.app(scope, receive, answer.send)


class _Whole:
    """Holds an answer's head until its body is there, or shows that it streams."""

    def __init__(self, send: Send, pool: Executor, asked: Headers, *, tagged: bool) -> None:
        self._send = send
        self._pool = pool
        self._asked = asked
        self._tagged = tagged
        self._start: Message | None = None

    async def send(self, message: Message) -> None:
        """Take the next message of the app."""
        if message["type"] == "http.response.start":
            if message["status"] == 200:
                self._start = message
            else:
                await self._send(message)
            return
        start, self._start = self._start, None
        if start is not None:
            if not message.get("more_body", False):
                await self._whole(start, message.get("body", b""))
                return
            await self._send(start)
        await self._send(message)

    async def _whole(self, start: Message, body: bytes) -> None:
        headers = MutableHeaders(scope=start)
        tag = ""
        if self._tagged:
            tag = await self._tag(body)
            headers["ETag"] = f'"{tag}"'
            headers.setdefault("Cache-Control", "private, no-cache")
            headers.add_vary_header("Authorization")
        if tag and _matches(self._asked.get("if-none-match", ""), tag):
            await self._unchanged(headers)
            return
        if _compressible(headers, body):
            headers.add_vary_header("Accept-Encoding")
            if _takes_gzip(self._asked.get("accept-encoding", "")):
                body = await self._gzipped(body)
                headers["Content-Encoding"] = "gzip"
                headers["Content-Length"] = str(len(body))
                if tag:
                    headers["ETag"] = f'"{tag}{_GZIP}"'
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})

    async def _unchanged(self, headers: MutableHeaders) -> None:
        kept = [(name, value) for name, value in headers.raw if name.decode() not in _UNCHANGED]
        await self._send({"type": "http.response.start", "status": 304, "headers": kept})
        await self._send({"type": "http.response.body", "body": b""})

    async def _tag(self, body: bytes) -> str:
        return await self._pool.run(_tag_of, body) if len(body) > _LARGE else _tag_of(body)

    async def _gzipped(self, body: bytes) -> bytes:
        if len(body) > _LARGE:
            return await self._pool.run(_gzip, body)
        return _gzip(body)


def _gzip(body: bytes) -> bytes:
    return gzip.compress(body, _LEVEL, mtime=0)


def _tag_of(body: bytes) -> str:
    return urlsafe_b64encode(sha256(body).digest()[:18]).decode()


def _compressible(headers: Headers, body: bytes) -> bool:
    return (
        len(body) >= _SHORTEST
        and _COMPRESSED.match(headers.get("content-type", "")) is not None
        and "content-encoding" not in headers
        and "no-store" not in headers.get("cache-control", "")
    )


def _takes_gzip(accepted: str) -> bool:
    found = _QUALITY.search(accepted)
    return found is not None and (found["quality"] or "1").strip("0.") != ""


def _matches(asked: str, tag: str) -> bool:
    """Whether a client has this already, compressed or not (weak comparison)."""
    tags = {one.strip().removeprefix("W/").strip('"') for one in asked.split(",")}
    return "*" in tags or not tags.isdisjoint({tag, f"{tag}{_GZIP}"})
