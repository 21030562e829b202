"""Custom resources in a cluster, and what they name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragmesh.core.clock import Clock
from ragmesh.core.errors import InvalidError, NotFoundError
from ragmesh_operator.adapters.api_server import APPLY, JSON_PATCH, MANAGER, MERGE, ApiServer
from ragmesh_operator.adapters.events import About, make_event
from ragmesh_operator.ports import Occurrence
from ragmesh_operator.resources import API_VERSION, Part
from ragmesh_operator.schemas import KINDS
from ragmesh_operator.values import Key

_KIND = {one.plural: one.kind for one in KINDS}
_PAGE = "500"


@dataclass(frozen=True, slots=True)
class KubeResources:
    """The port `Resources` on an API server."""

    api: ApiServer
    namespaces: tuple[str, ...]
    """Those looked after; none = all."""
    clock: Clock
    identity: str = ""
    """Which cluster it is; see `identity_of`."""

    def looks_after(self, namespace: str) -> bool:
        """Whether the resources of a namespace are among those that are listed."""
        return bool(namespace) and namespace in (self.namespaces or (namespace,))

    async def read(self, key: Key) -> Mapping[str, Any] | None:
        """The resource as it is now; None = it is gone."""
        try:
            body: Mapping[str, Any] = await self.api.call("GET", path_of(key))
        except NotFoundError:
            return None
        return body

    async def list(self, plural: str) -> Sequence[Mapping[str, Any]]:
        """All resources of a kind in the namespaces that the operator looks after."""
        found: list[Mapping[str, Any]] = []
        for namespace in self.namespaces or ("",):
            place = f"/namespaces/{namespace}" if namespace else ""
            query = {"limit": _PAGE}
            while True:
                page = await self.api.call(
                    "GET", f"/apis/{API_VERSION}{place}/{plural}", query=query
                )
                found += page["items"]
                token = page["metadata"].get("continue", "")
                if not token:
                    break
                query = {"limit": _PAGE, "continue": token}
        return found

    async def write_status(self, key: Key, resource_version: str, status: Part) -> None:
        """Own the status as a whole: server-side apply, refused when the resource has changed."""
        body = {
            "apiVersion": API_VERSION,
            "kind": _KIND[key.plural],
            "metadata": {"name": key.name, "resourceVersion": resource_version},
            "status": status.model_dump(mode="json", by_alias=True, exclude_none=True),
        }
        query = {"fieldManager": MANAGER, "force": "true"}
        await self.api.call("PATCH", f"{path_of(key)}/status", body=body, kind=APPLY, query=query)

    async def write_finalizers(
        self, key: Key, resource_version: str, finalizers: Sequence[str]
    ) -> bool:
        """Replace the finalizers, unless the resource has changed; False = it is gone."""
        metadata = {"resourceVersion": resource_version, "finalizers": list(finalizers)}
        try:
            await self.api.call(
                "PATCH",
                path_of(key),
                body={"metadata": metadata},
                kind=MERGE,
                query={"fieldManager": MANAGER},
            )
        except NotFoundError:
            return False
        return True

    async def take_annotations(
        self, key: Key, name: str, value: str, others: Sequence[str]
    ) -> bool:
        """Remove an annotation, and others with it, unless its value is another by now."""
        body = await self.read(key)
        there = {} if body is None else body["metadata"].get("annotations") or {}
        if there.get(name) != value:
            return False
        patch = [{"op": "test", "path": _annotation(name), "value": value}]
        patch += [
            {"op": "remove", "path": _annotation(one)} for one in (name, *others) if one in there
        ]
        try:
            await self.api.call(
                "PATCH",
                path_of(key),
                body=patch,
                kind=JSON_PATCH,
                query={"fieldManager": MANAGER},
            )
        except (InvalidError, NotFoundError):  # it was changed between
            return False
        return True

    async def config_text(self, namespace: str, name: str, key: str) -> str | None:
        """What a ConfigMap holds under a key; None = nothing."""
        try:
            found = await self.api.call("GET", f"/api/v1/namespaces/{namespace}/configmaps/{name}")
        except NotFoundError:
            return None
        text: str | None = (found.get("data") or {}).get(key)
        return text

    async def tell(self, key: Key, uid: str, what: Occurrence) -> None:
        """Make an event of it."""
        about = About(API_VERSION, _KIND[key.plural], key.namespace, key.name, uid)
        await make_event(self.api, about, what, self.clock.now())


def path_of(key: Key) -> str:
    """Where the API server has the resource."""
    return f"/apis/{API_VERSION}/namespaces/{key.namespace}/{key.plural}/{key.name}"


def _annotation(name: str) -> str:
    return "/metadata/annotations/" + name.replace("~", "~0").replace("/", "~1")
