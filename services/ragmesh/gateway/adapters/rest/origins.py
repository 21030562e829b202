"""Pages of other origins that may call the mesh from a browser: none, unless they are named (CORS).

A page sends its key itself, in a header; cookies are never read, so no credentials are allowed.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response

_METHODS = "GET, POST, PATCH, DELETE"
_SENT = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, "
_SENT += "X-Ragmesh, X-Request-Id"
_READ = "ETag, RateLimit, RateLimit-Policy, Retry-After, X-Ragmesh-Revision, X-Request-Id"
_KEPT_SECONDS = "600"


@dataclass(frozen=True, slots=True)
class Origins:
    """The origins that are named."""

    allowed: frozenset[str] = frozenset()

    def preflight(self, method: str, headers: Headers) -> Response | None:
        """The answer to a browser that asks what a page may do; None when nobody asks."""
        asks = method == "OPTIONS" and "access-control-request-method" in headers
        if not asks or headers.get("origin") not in self.allowed:
            return None
        return Response(
            status_code=204,
            headers={
                "Access-Control-Allow-Methods": _METHODS,
                "Access-Control-Allow-Headers": _SENT,
                "Access-Control-Max-Age": _KEPT_SECONDS,
            },
        )

    def mark(self, origin: str, answer: MutableHeaders) -> None:
        """Say in an answer whether a page of this origin may read it."""
        if not self.allowed:
            return
        answer.add_vary_header("Origin")
        if origin in self.allowed:
            answer["Access-Control-Allow-Origin"] = origin
            answer["Access-Control-Expose-Headers"] = _READ


NO_ORIGINS = Origins()
