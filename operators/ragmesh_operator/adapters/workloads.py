"""Scales of workloads in a cluster, and who changes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ragmesh.core.clock import Clock
from ragmesh.core.errors import NotFoundError
from ragmesh_operator.adapters.api_server import APPLY, MANAGER, MERGE, ApiServer
from ragmesh_operator.adapters.events import About, make_event
from ragmesh_operator.autoscaling import CurrentScale, Workload
from ragmesh_operator.ports import Occurrence

_KEDA = "keda.sh/v1alpha1"
_LABEL = "app.kubernetes.io/managed-by"


@dataclass(frozen=True, slots=True)
class KubeWorkloads:
    """The port `Workloads` on an API server."""

    api: ApiServer
    clock: Clock

    async def has_keda(self) -> bool:
        """Whether the cluster serves ScaledObjects."""
        try:
            await self.api.call("GET", f"/apis/{_KEDA}")
        except NotFoundError:
            return False
        return True

    async def foreign_scalers(self, workload: Workload) -> tuple[str, ...]:
        """Names of autoscalers of the workload that are not this operator's.

        One that KEDA has made for our ScaledObject belongs to it.
        """
        place = f"/namespaces/{workload.namespace}"
        found = await self._listed(f"/apis/autoscaling/v2{place}/horizontalpodautoscalers")
        scalers = [("HorizontalPodAutoscaler", one) for one in found]
        found = await self._listed(f"/apis/{_KEDA}{place}/scaledobjects")
        scalers += [("ScaledObject", one) for one in found]
        return tuple(
            f"{kind} {one['metadata']['name']}"
            for kind, one in scalers
            if one["spec"]["scaleTargetRef"]["name"] == workload.name and not _is_ours(one)
        )

    async def _listed(self, path: str) -> list[Mapping[str, Any]]:
        try:
            found: list[Mapping[str, Any]] = (await self.api.call("GET", path))["items"]
        except NotFoundError:
            return []
        return found

    async def read_scale(self, workload: Workload) -> CurrentScale:
        """How many there are wanted to be now."""
        body = await self.api.call("GET", f"{_path(workload)}/scale")
        return CurrentScale(
            replicas=body["spec"].get("replicas", 0),
            selector=body.get("status", {}).get("selector", ""),
            resource_version=body["metadata"]["resourceVersion"],
            uid=body["metadata"].get("uid", ""),
        )

    async def write_scale(self, workload: Workload, scale: CurrentScale, replicas: int) -> None:
        """Want so many, unless somebody has changed it since it was read."""
        body = {
            "metadata": {"resourceVersion": scale.resource_version},
            "spec": {"replicas": replicas},
        }
        query = {"fieldManager": MANAGER}
        await self.api.call("PATCH", f"{_path(workload)}/scale", body=body, kind=MERGE, query=query)

    async def apply_scaled_object(self, workload: Workload, body: Mapping[str, Any]) -> str:
        """Have KEDA scale the workload; which object, and which change of it, that is."""
        query = {"fieldManager": MANAGER, "force": "true"}
        path = _scaled_object(workload)
        made = await self.api.call("PATCH", path, body=body, kind=APPLY, query=query)
        # A generation is of the spec: what KEDA notes beside it changes nothing.
        return f"{made['metadata']['uid']}.{made['metadata']['generation']}"

    async def delete_scaled_object(self, workload: Workload) -> None:
        """Have it not, if it does for us."""
        try:
            found = await self.api.call("GET", _scaled_object(workload))
            if _is_ours(found):
                await self.api.call("DELETE", _scaled_object(workload))
        except NotFoundError:
            return

    async def tell(self, workload: Workload, uid: str, what: Occurrence) -> None:
        """Make an event of it, of the workload."""
        about = About(workload.api_version, workload.kind, workload.namespace, workload.name, uid)
        await make_event(self.api, about, what, self.clock.now())


def _path(workload: Workload) -> str:
    place = f"/apis/{workload.api_version}/namespaces/{workload.namespace}"
    return f"{place}/{workload.plural}/{workload.name}"


def _scaled_object(workload: Workload) -> str:
    return f"/apis/{_KEDA}/namespaces/{workload.namespace}/scaledobjects/{workload.name}"


def _is_ours(body: Mapping[str, Any]) -> bool:
    metadata = body["metadata"]
    owners = [one.get("kind") for one in metadata.get("ownerReferences", ())]
    return metadata.get("labels", {}).get(_LABEL) == MANAGER or "ScaledObject" in owners
