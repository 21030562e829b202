"""Events of objects in a cluster."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime

from ragmesh.core.errors import RagmeshError
from ragmesh.core.ids import new_uid
from ragmesh_operator.adapters.api_server import MANAGER, ApiServer
from ragmesh_operator.ports import Occurrence

_LONGEST = 1000
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class About:
    """The object that an event is of."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str


async def make_event(api: ApiServer, about: About, what: Occurrence, at: datetime) -> None:
    """Have the cluster keep it beside the object, where `kubectl describe` shows it."""
    now = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    event = {
        "metadata": {"name": f"{about.name}.{new_uid()}", "namespace": about.namespace},
        "involvedObject": {
            "apiVersion": about.api_version,
            "kind": about.kind,
            "namespace": about.namespace,
            "name": about.name,
            "uid": about.uid,
        },
        "type": "Warning" if what.is_warning else "Normal",
        "reason": what.reason,
        "message": what.message[:_LONGEST],
        "source": {"component": MANAGER},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
    try:
        await api.call("POST", f"/api/v1/namespaces/{about.namespace}/events", body=event)
    except RagmeshError as error:
        # A namespace that is going takes no more of them, and a server may not answer: what was
        # done is done, and goes on whether it is told or not.
        facts = {"told": what.reason, "reason": error.reason, "detail": error.message}
        _log.warning("an event could not be made", extra=facts)
