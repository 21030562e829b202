"""What kopf tells: names of resources that changed, and no more. Nothing is decided here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import kopf

from ragmesh_operator.adapters.api_server import MANAGER
from ragmesh_operator.resources import GROUP, VERSION
from ragmesh_operator.schemas import KINDS
from ragmesh_operator.values import Key

Listener = Callable[[Key, Mapping[str, Any], bool], None]
"""Told a name, the resource as it is or was, and whether it is gone."""


def registry_for(listener: Listener, login: Callable[[], kopf.ConnectionInfo]) -> Any:
    """Handlers that tell the listener; events alone leave nothing on a resource."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)  # type: ignore[arg-type,untyped-decorator,unused-ignore]
    def log_in(**_: Any) -> kopf.ConnectionInfo:
        return login()

    for kind in KINDS:
        # A coroutine: kopf calls any other function in a thread, and listeners are of the loop's.
        async def tell(event: Any, plural: str = kind.plural, **_: Any) -> None:
            body = event["object"]
            metadata = body["metadata"]
            key = Key(plural, metadata["namespace"], metadata["name"])
            listener(key, body, event["type"] == "DELETED")

        kopf.on.event(GROUP, VERSION, kind.plural, registry=registry)(tell)
    return registry


def kopf_settings() -> kopf.OperatorSettings:
    """No call without an end, nothing under kopf's own names, no events that are not ours."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.networking.request_timeout = 10.0
    settings.networking.connect_timeout = 5.0
    settings.watching.connect_timeout = 5.0
    settings.watching.server_timeout = 60
    settings.watching.client_timeout = 70.0
    settings.scanning.disabled = True
    settings.persistence.finalizer = f"{GROUP}/{MANAGER}"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
    return settings


def hush() -> None:
    """Have kopf say of whom it speaks, without its own settings in every record."""
    logging.getLogger("kopf.objects").addFilter(_name_resource)


def _name_resource(record: logging.LogRecord) -> bool:
    told = record.__dict__
    for name in ("settings", "k8s_skip"):
        told.pop(name, None)
    about = told.pop("k8s_ref", None)
    if about:
        told["resource"] = f"{about['kind']} {about['namespace']}/{about['name']}"
    return True
