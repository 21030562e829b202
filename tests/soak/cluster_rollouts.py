"""Services of a busy mesh that Argo rolls out, one after another, and what callers notice of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from tests.cluster.releases import SERVICES, Door, HelmError, Release
from tests.cluster.rollouts import Rolled
from tests.soak.cluster_load import Outcome, under_load
from tests.soak.cluster_tasks import BLUE_GREEN, CANARY, GOOD, Task, is_possible
from tools.processes import await_condition

REPLICAS = 2
SETTLE_SECONDS = 20
DONE_SECONDS = 120
"""From a promotion until the former pods are gone."""
HASTE_SECONDS = 25
"""How long pods that will never start are waited for."""
ROLLOUT: dict[str, Any] = {
    "provider": "argo",
    "progressDeadlineSeconds": 120,
    "settleSeconds": SETTLE_SECONDS,
    "canary": {"weights": [34]},
    "blueGreen": {"scaleDownDelaySeconds": 10},
    # A service that is called once in a second, a third of which new pods take, has to be judged.
    "analysis": {
        "windowSeconds": SETTLE_SECONDS,
        "intervalSeconds": 3,
        "count": 3,
        "inconclusiveLimit": 3,
        "leastCalls": 4,
    },
}
ROLLED: dict[str, Any] = {
    "replicas": REPLICAS,
    "minReadySeconds": 2,
    "preStopSeconds": 3,
    # Callers turn to new pods within settleSeconds.
    "settings": {"internal": {"connection_age_seconds": 8}},
}
"""What every service has beside what it has anyway."""


@dataclass
class Rolling:
    """The distributed mesh on the way from version to version."""

    release: Release
    door: Door
    usual: dict[str, Any]
    strategy: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    """The version of each service that has one."""

    def perform(self, task: Task) -> Outcome:
        """Roll a version of one service out, under load."""
        self._take(task.strategy)
        if task.part == GOOD:
            return under_load(self.door, lambda: self._replace(task.service))
        return under_load(self.door, lambda: self._refuse(task.service))

    def _take(self, strategy: str) -> None:
        """Have all services rolled out so from now on."""
        if strategy != self.strategy:
            self.strategy = strategy
            self.release.upgrade(self._rolled.values)

    @property
    def _rolled(self) -> Rolled:
        kinds = {
            name: self.strategy if is_possible(self.strategy, name) else CANARY for name in SERVICES
        }
        own = {
            name: {**self.usual.get(name, {}), **ROLLED, **self._labelled(name)}
            for name in SERVICES
        }
        rollout = {**ROLLOUT, "services": kinds}
        return Rolled(self.release, {**self.usual, **own, "rollout": rollout})

    def _labelled(self, service: str) -> dict[str, Any]:
        version = self.labels.get(service)
        return {} if version is None else {"podLabels": {"version": version}}

    def _replace(self, service: str) -> None:
        version = f"{self.strategy}-good"
        rolled = self._rolled
        said = rolled.upgrade(service, version)
        if self.strategy == BLUE_GREEN:
            assert f"{rolled.name_of(service)} waits to be promoted" in said, said
            rolled.release.promote(service)
        self.labels[service] = version
        self._await(service, version)

    def _await(self, service: str, version: str) -> None:
        """Return when pods of the version take all calls and there are no others."""
        rolled = self._rolled

        def are_alone() -> bool:
            pods = rolled.release.namespace.pods(service)
            return len(pods) == REPLICAS and set(rolled.versions(service).values()) == {version}

        assert await_condition(lambda: rolled.phase(service) == "Healthy", DONE_SECONDS)
        assert await_condition(are_alone, DONE_SECONDS), rolled.versions(service)

    def _refuse(self, service: str) -> None:
        rolled = self._rolled
        former = rolled.versions(service)
        rollout = {**rolled.values["rollout"], "progressDeadlineSeconds": HASTE_SECONDS}
        hasty = replace(rolled, values={**rolled.values, "rollout": rollout})
        said = _refusal(hasty, service)
        assert f"{rolled.name_of(service)} RolloutAborted" in said, said
        assert rolled.versions(service) == former
        rolled.go_back(service)


def _refusal(rolled: Rolled, service: str) -> str:
    """What Helm says of a version whose image is nowhere."""
    try:
        return f"it took it: {rolled.upgrade(service, 'missing', image={'tag': 'missing'})}"
    except HelmError as error:
        return str(error)
