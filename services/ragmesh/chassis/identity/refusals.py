"""The audit of refused calls: who could not prove who they are, and who reached too far.

A record is a log event of the fixed name `caller refused`, with reason, method and peer; it never
holds a token, a content or anything that an unproven caller says of itself. What a caller did
and was allowed to do is audited in the catalog, by the transaction that does it. Once a process
can hand `RecordUsage` of TenantService what it saw, `Refusals.record` is the place that adds
the row for the audit of indexing: here every refusal comes by, with all that may be kept of it.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from ragmesh.chassis.telemetry.metering import Meter
from ragmesh.chassis.telemetry.signals import CALLS_REFUSED
from ragmesh.core.callers import Caller, Machine
from ragmesh.core.clock import Clock
from ragmesh.core.errors import RagmeshError

AUDIT_LOGGER = "ragmesh.audit"
BURST = 10
"""Records of one reason that are written at once."""
SECONDS_A_RECORD = 10.0
"""One more may be written each time this has passed: at most 3 MB a day and reason, whoever
knocks."""

_log = logging.getLogger(AUDIT_LOGGER)


@dataclass(slots=True)
class _Budget:
    """How many records of one reason may be written still."""

    records: float
    since: float
    unrecorded: int = 0


class Refusals:
    """Counts every refusal and records as many as a disk can take."""

    def __init__(self, clock: Clock, meter: Meter | None = None) -> None:
        self._clock = clock
        self._meter = meter
        self._budgets: dict[str, _Budget] = {}
        self._counts: Counter[str] = Counter()

    @property
    def counts(self) -> Mapping[str, int]:
        """Refusals by reason since the process started, recorded or not."""
        return dict(self._counts)

    def record(
        self, error: RagmeshError, method: str, *, peer: str, caller: Caller | None = None
    ) -> None:
        """Count the refusal and write its record, unless too many were written just now.

        `caller` is who was verified before the method was refused. A record says how many of its
        reason were left out before it.
        """
        self._counts[error.reason] += 1
        if self._meter is not None:
            self._meter.count(CALLS_REFUSED, error.reason).add()
        budget = self._refilled(error.reason)
        if budget.records < 1:
            budget.unrecorded += 1
            return
        budget.records -= 1
        facts = {"reason": error.reason, "method": method, "peer": peer} | _proven(error, caller)
        _log.warning("caller refused", extra=facts | {"unrecorded": budget.unrecorded})
        budget.unrecorded = 0

    def _refilled(self, reason: str) -> _Budget:
        now = self._clock.monotonic()
        budget = self._budgets.setdefault(reason, _Budget(BURST, now))
        grown = (now - budget.since) / SECONDS_A_RECORD
        budget.records = min(BURST, budget.records + grown)
        budget.since = now
        return budget


def _proven(error: RagmeshError, caller: Caller | None) -> dict[str, str]:
    facts = {"key_id": error.metadata["key_id"]} if "key_id" in error.metadata else {}
    if isinstance(caller, Machine):
        return facts | {"actor": f"machine:{caller.name}"}
    if caller is not None:
        return facts | {"actor": f"user:{caller.subject}", "tenant_uid": caller.tenant_uid}
    return facts
