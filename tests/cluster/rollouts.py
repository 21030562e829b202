"""A mesh, services of which Argo rolls out: their versions, and how one follows the other."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.cluster.releases import Release

DOORS = "gateway"
"""The service whose own Service is that of the release."""


@dataclass(frozen=True)
class Rolled:
    """The distributed mesh, services of which Argo rolls out."""

    release: Release
    values: dict[str, Any]

    def name_of(self, service: str) -> str:
        """What a service's Rollout is called."""
        return f"{self.release.fullname}-{service}"

    def upgrade(self, service: str, version: str, **changes: Any) -> str:
        """`helm upgrade` to a version of one service; what it says."""
        own = {**self.values[service], "podLabels": {"version": version}, **changes}
        return self.release.upgrade({**self.values, service: own})

    def go_back(self, service: str) -> None:
        """`helm rollback`, which says that the former version of a service takes all calls.

        After an upgrade that failed it comes first: the next one would compare with the release
        before, and leave in the Rollout what it finds in neither.
        """
        said = self.release.helm("rollback", self.release.name, "--timeout=120s")
        assert f"{self.name_of(service)} takes all calls" in said

    @property
    def is_failed(self) -> bool:
        """Whether the last change of the release came to no good end."""
        status = self.release.helm("status", self.release.name, "--output=json")
        failed: bool = json.loads(status)["info"]["status"] == "failed"
        return failed

    def versions(self, service: str) -> dict[str, str | None]:
        """The version of each pod that is ready."""
        return {
            one["metadata"]["name"]: one["metadata"]["labels"].get("version")
            for one in self.release.namespace.pods(service)
            if _is_ready(one)
        }

    def phase(self, service: str) -> str:
        """What the controller says of a service's Rollout."""
        namespace = self.release.namespace
        told = namespace.kubectl.read("rollout", self.name_of(service), "-n", namespace.name)
        phase: str = told["status"]["phase"]
        return phase

    def shown(self, door: str = "") -> set[str | None]:
        """Versions of the pods behind a door."""
        versions = self.versions(DOORS)
        names = self.release.namespace.behind(self.release.fullname + door)
        return {versions.get(name) for name in names}


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", ())
    return any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)
