"""An error as an RFC 9457 problem: what every HTTP answer that refuses something holds."""

from __future__ import annotations

import math
from typing import Any

from ragmesh.chassis.wire import DOMAIN, http_status
from ragmesh.core.errors import RagmeshError

PROBLEM_TYPE = "application/problem+json"
_RETRIED = (429, 503)
_DEFAULT_RETRY_SECONDS = 1.0


def problem_fields(
    error: RagmeshError, *, request_id: str, status: int | None = None
) -> dict[str, Any]:
    """The problem that describes an error."""
    return {
        "type": f"https://{DOMAIN}/errors/{error.reason}",
        "title": (type(error).__doc__ or error.reason).strip().splitlines()[0],
        "status": http_status(error) if status is None else status,
        "detail": error.message,
        "reason": error.reason,
        "request_id": request_id,
        "errors": [{"field": one.field, "message": one.message} for one in error.violations],
    }


def retry_after(error: RagmeshError, status: int) -> str | None:
    """Seconds after which the same request may succeed; None when nobody knows."""
    seconds = error.retry_after_seconds
    if status not in _RETRIED and seconds is None:
        return None
    return str(max(1, math.ceil(_DEFAULT_RETRY_SECONDS if seconds is None else seconds)))
