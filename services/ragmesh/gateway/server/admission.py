"""The gate as gRPC sees it: whose call it is and how urgent."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass

from ragmesh.api.gateway.v1 import admin_service_pb2, document_service_pb2
from ragmesh.core.callers import Caller, Principal
from ragmesh.gateway.limiting.gate import Gate, Priority

_ADMIN = admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"].full_name
_DOCUMENTS = document_service_pb2.DESCRIPTOR.services_by_name["DocumentService"].full_name
UPLOADS = frozenset(
    f"/{_DOCUMENTS}/{method}"
    for method in ("BatchCreateDocuments", "CreateDocument", "UploadDocument")
)
"""Methods that bring documents."""
BULK = UPLOADS | frozenset(
    {
        f"/{_DOCUMENTS}/RestoreRevision",
        f"/{_DOCUMENTS}/WatchJob",
        f"/{_ADMIN}/RepairCollection",
        f"/{_ADMIN}/ReplayDeadLetters",
    }
)
"""Methods that nobody waits for in front of a screen."""


@dataclass(frozen=True, slots=True)
class GateAdmission:
    """Lets the calls of users in through the gate; an `Admission`.

    Health and reflection have no user and pass beside it: whoever asks whether the gateway lives
    must be told while it refuses everything else.
    """

    gate: Gate

    def admit(self, method: str, caller: Caller | None) -> AbstractAsyncContextManager[object]:
        """See `Admission`."""
        if not isinstance(caller, Principal):
            return nullcontext()
        priority = Priority.BULK if method in BULK else Priority.INTERACTIVE
        return self.gate.admit(self.gate.approach(caller), priority, uploads=method in UPLOADS)
