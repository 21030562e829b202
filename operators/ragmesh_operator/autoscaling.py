"""Keeps as many indexers as what waits asks for: by itself, or by an object of KEDA.

Everything is read anew at each look; only what was seen of the backlog is remembered, and a
process that starts anew holds until it has seen enough. How the last look left things is known for
one purpose: to tell when what somebody else has made of them since was put right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ragmesh.core.clock import Clock
from ragmesh.core.errors import ConflictError, RagmeshError
from ragmesh_operator.ports import DRIFT, Occurrence
from ragmesh_operator.reporting import Scaling, Verdict
from ragmesh_operator.resources import Autoscaling
from ragmesh_operator.scaling import Reading, Rule, Scale
from ragmesh_operator.statuses import AutoscalingStatus
from ragmesh_operator.values import CollectionResource

NATIVE, KEDA, NONE = "native", "keda", "none"
_KINDS = {
    "deployments": ("apps/v1", "Deployment"),
    "rollouts": ("argoproj.io/v1alpha1", "Rollout"),
}
_KEDA_MISSING = (
    "the cluster serves no ScaledObjects: install KEDA, or set autoscaling.provider to native"
)


@dataclass(frozen=True, slots=True)
class Workload:
    """What scales, where it is, and what is known of one of its pods."""

    plural: str
    """`deployments` or `rollouts`."""
    name: str
    namespace: str
    partitions: int = 1
    documents_per_second: float = 1.0

    @property
    def api_version(self) -> str:
        """Of its kind."""
        return _KINDS[self.plural][0]

    @property
    def kind(self) -> str:
        """What one of it is called."""
        return _KINDS[self.plural][1]


@dataclass(frozen=True, slots=True)
class CurrentScale:
    """The scale of a workload as it was read."""

    replicas: int
    selector: str
    resource_version: str
    uid: str = ""
    """Of the workload."""


class Scales(Protocol):
    """How many pods a workload has."""

    async def read_scale(self, workload: Workload) -> CurrentScale:
        """How many there are wanted to be now."""

    async def write_scale(self, workload: Workload, scale: CurrentScale, replicas: int) -> None:
        """Want so many, unless somebody has changed it since it was read."""


class Workloads(Scales, Protocol):
    """Scales, and whoever else changes them."""

    async def has_keda(self) -> bool:
        """Whether the cluster serves ScaledObjects."""

    async def foreign_scalers(self, workload: Workload) -> tuple[str, ...]:
        """Names of autoscalers of the workload that are not this operator's."""

    async def apply_scaled_object(self, workload: Workload, body: Mapping[str, Any]) -> str:
        """Have KEDA scale the workload; which object, and which change of it, that is."""

    async def delete_scaled_object(self, workload: Workload) -> None:
        """Have it not, if it does for us."""

    async def tell(self, workload: Workload, uid: str, what: Occurrence) -> None:
        """Make an event of it."""


class BacklogSource(Protocol):
    """What waits, as indexing tells it."""

    async def read(self, at: float) -> Reading:
        """What waits now; UnavailableError when nobody answers."""


def combined(wanted: Iterable[CollectionResource]) -> Autoscaling | None:
    """One wish out of those of all collections, which share their indexers; None = no wish.

    The most careful part of each counts: the largest bounds, the shortest lag, the slowest way
    down. KEDA scales if any collection asks for it.
    """
    wishes = [
        one.spec.autoscaling
        for one in wanted
        if one.spec.autoscaling.provider != NONE and one.deleted_at is None and not one.spec.paused
    ]
    if not wishes:
        return None
    providers = {one.provider for one in wishes}
    (first, *_) = wishes
    workers = first.workers.model_copy(
        update={
            "min": max(one.workers.min for one in wishes),
            "max": max(one.workers.max for one in wishes),
            "target_lag_seconds": min(one.workers.target_lag_seconds for one in wishes),
        }
    )
    down = first.scale_down.model_copy(
        update={
            "stabilization_seconds": max(one.scale_down.stabilization_seconds for one in wishes),
            "step": min(one.scale_down.step for one in wishes),
        }
    )
    chosen = next(one for one in (KEDA, "auto", NATIVE) if one in providers)
    return Autoscaling(provider=chosen, workers=workers, scale_down=down)


def rule_of(wish: Autoscaling, workload: Workload) -> Rule:
    """The rule for a workload; replicas beyond its partitions would do nothing."""
    most = min(wish.workers.max, workload.partitions)
    return Rule(
        least=min(wish.workers.min, most),
        most=most,
        target_lag_seconds=wish.workers.target_lag_seconds,
        documents_per_second=workload.documents_per_second,
        stabilization_seconds=wish.scale_down.stabilization_seconds,
        step=wish.scale_down.step,
    )


def scaled_object(wish: Autoscaling, workload: Workload, backlog_url: str) -> dict[str, Any]:
    """What KEDA is told: the same rule in its words."""
    rule = rule_of(wish, workload)
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {
            "name": workload.name,
            "namespace": workload.namespace,
            "labels": {"app.kubernetes.io/managed-by": "ragmesh-operator"},
        },
        "spec": {
            "scaleTargetRef": {
                "apiVersion": workload.api_version,
                "kind": workload.kind,
                "name": workload.name,
            },
            "pollingInterval": 5,
            "minReplicaCount": rule.least,
            "maxReplicaCount": rule.most,
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _behaviour(wish)}},
            "triggers": [
                {
                    "type": "metrics-api",
                    "metricType": "AverageValue",
                    "metadata": {
                        "url": backlog_url,
                        "valueLocation": "total",
                        "targetValue": f"{rule.share:g}",
                    },
                }
            ],
        },
    }


def _behaviour(wish: Autoscaling) -> dict[str, Any]:
    """Up at once, down one step after another, within what an autoscaler takes."""
    down = wish.scale_down
    step = {
        "type": "Pods",
        "value": down.step,
        "periodSeconds": max(min(down.stabilization_seconds, 1800), 1),
    }
    slow = {
        "stabilizationWindowSeconds": min(down.stabilization_seconds, 3600),
        "policies": [step],
    }
    return {"scaleUp": {"stabilizationWindowSeconds": 0}, "scaleDown": slow}


@dataclass(frozen=True, slots=True)
class Left:
    """How a look left things; whoever finds them otherwise finds what somebody else has done."""

    replicas: int | None = None
    """None = their number was not ours."""
    body: Mapping[str, Any] | None = None
    """What KEDA was told; None = nothing."""
    revision: str = ""
    """The ScaledObject that holds it, and which change of it."""


@dataclass(slots=True)
class Autoscaler:
    """One look after another at a workload."""

    workload: Workload
    workloads: Workloads
    backlog: BacklogSource
    backlog_url: str
    clock: Clock
    scale: Scale = field(default_factory=Scale)
    known: Scaling = field(default_factory=Scaling)
    left: Left = field(default_factory=Left)

    def shown(self, wanted: CollectionResource) -> Scaling:
        """What is known, for a collection that asks for it."""
        return self.known if wanted.spec.autoscaling.provider != NONE else Scaling()

    async def look(self, wanted: Iterable[CollectionResource]) -> None:
        """Bring the number of indexers to what is asked for."""
        wish = combined(wanted)
        if wish is None:
            await self.workloads.delete_scaled_object(self.workload)
            self.known, self.left = Scaling(), Left()
            return
        try:
            self.known = await self._scale(wish)
        except RagmeshError as error:
            self.known = _told("Unknown", wish.provider, 0, "WorkloadUnknown", error.message)

    async def _scale(self, wish: Autoscaling) -> Scaling:
        now = await self.workloads.read_scale(self.workload)
        others = await self.workloads.foreign_scalers(self.workload)
        has_keda = wish.provider in {KEDA, "auto"} and await self.workloads.has_keda()
        if others:  # ours, made before theirs, would go on beside it
            await self.workloads.delete_scaled_object(self.workload)
            self.left = Left()
            sentence = f"{', '.join(others)} scales {self.workload.name} already"
            told = _told("False", NONE, now.replicas, "ConflictingScaler", sentence)
        elif wish.provider == KEDA and not has_keda:
            self.left = Left()
            told = _told("False", NONE, now.replicas, "KedaMissing", _KEDA_MISSING)
        elif has_keda:
            await self._tell_keda(scaled_object(wish, self.workload, self.backlog_url), now)
            told = _told("True", KEDA, now.replicas, "ScaledObject", "KEDA scales by the backlog")
        else:
            await self.workloads.delete_scaled_object(self.workload)
            told = await self._natively(wish, now)
        return Scaling(told.status, told.verdict, now.replicas, now.selector)

    async def _tell_keda(self, body: Mapping[str, Any], now: CurrentScale) -> None:
        revision = await self.workloads.apply_scaled_object(self.workload, body)
        before, self.left = self.left, Left(body=body, revision=revision)
        if before.body == body and before.revision != revision:
            sentence = f"ScaledObject {self.workload.name} was not as it was made, and is so again"
            await self.workloads.tell(self.workload, now.uid, Occurrence(DRIFT, sentence))

    async def _tell_drift(self, now: CurrentScale, left: int | None, replicas: int) -> None:
        """Say that somebody else had changed the scale, where that was so."""
        if left is None or left == now.replicas:
            return
        sentence = f"{now.replicas} replicas were wanted instead of {left}; {replicas} are by now"
        await self.workloads.tell(self.workload, now.uid, Occurrence(DRIFT, sentence))

    async def _natively(self, wish: Autoscaling, now: CurrentScale) -> Scaling:
        status, why = "True", ""
        reading: Reading | None = None
        try:
            reading = await self.backlog.read(self.clock.monotonic())
        except RagmeshError as error:
            status, why = "Unknown", f"the number of indexers stays: {error.message}"
        decision = self.scale.decide(rule_of(wish, self.workload), now.replicas, reading)
        if decision.replicas != now.replicas:
            try:
                await self.workloads.write_scale(self.workload, now, decision.replicas)
            except ConflictError:
                return self.known  # somebody changed it meanwhile: looked at again soon
        before, self.left = self.left, Left(replicas=decision.replicas)
        if decision.replicas != now.replicas:
            await self._tell_drift(now, before.replicas, decision.replicas)
        # How many documents wait is not told: it changes all the time, and conditions are compared.
        return _told(status, NATIVE, decision.replicas, decision.reason, why)


def _told(status: str, provider: str, desired: int, reason: str, message: str) -> Scaling:
    return Scaling(
        AutoscalingStatus(provider=provider, desired=desired, reason=reason),
        Verdict(status, reason, message),
    )
