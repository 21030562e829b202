"""The gate as HTTP sees it: how urgent a request is, and where its caller stands afterwards.

The fields are those of draft-ietf-httpapi-ratelimit-headers-11: one policy a limit, by its name.
"""

from __future__ import annotations

from ragmesh.gateway.limiting.accounts import WINDOW_SECONDS
from ragmesh.gateway.limiting.gate import Priority
from ragmesh.gateway.limiting.visits import CONCURRENT, REQUESTS, Standing, Visit

RATE_LIMIT = "ratelimit"
RATE_LIMIT_POLICY = "ratelimit-policy"
_UPLOADS = "/documents"
_BULK = (":replay", ":repair", ":restore", "/events")


def brings_documents(method: str, path: str) -> bool:
    """Whether the request is an upload."""
    return method == "POST" and path.endswith(_UPLOADS)


def priority_of(method: str, path: str) -> Priority:
    """How urgent a request is."""
    if brings_documents(method, path) or path.endswith(_BULK):
        return Priority.BULK
    return Priority.INTERACTIVE


def rate_limit_headers(visit: Visit) -> dict[str, str]:
    """What the caller is told about its limits; nothing where there are none."""
    standings = tuple(visit.standings())
    if not standings:
        return {}
    return {
        RATE_LIMIT: ", ".join(_service_limit(one) for one in standings),
        RATE_LIMIT_POLICY: ", ".join(_policy(one) for one in standings),
    }


def _service_limit(standing: Standing) -> str:
    seconds = standing.seconds
    window = "" if seconds is None else f";t={seconds}"
    return f'"{standing.policy}";r={standing.left}{window}'


def _policy(standing: Standing) -> str:
    unit = "" if standing.unit == REQUESTS else f';qu="{standing.unit}"'
    window = "" if standing.unit == CONCURRENT else f";w={WINDOW_SECONDS}"
    return f'"{standing.policy}";q={standing.limit}{unit}{window}'
