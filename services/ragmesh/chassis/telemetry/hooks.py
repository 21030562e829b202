"""What the gRPC factories ask of telemetry, so that they work without it; None = it is off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

Behaviour = Callable[[Any, Any], Any]
"""A servicer's method over one request or many: (request, context)."""
Invoke = Callable[..., Any]
"""A stub's method: (request, timeout=…, metadata=…)."""


class CallTelemetry(Protocol):
    """Surrounds calls with a span and a measurement each; handed to `serve` and `channel`."""

    def served(self, method: str, behaviour: Behaviour) -> Behaviour:
        """The behaviour, observed; the outermost layer of a call of `/package.Service/Method`."""

    def refused(self, code: str) -> None:
        """A call ended without reaching a method, such as one that does not exist."""

    def unary(self, method: str, invoke: Invoke) -> Invoke:
        """The same for a stub's method with one reply: awaits it and sends the trace along."""

    def stream(self, method: str, invoke: Invoke) -> Invoke:
        """The same for one with many replies: ends with the last of them, or when cancelled."""
