"""An API server in memory, as far as the operator writes to one, that can fail at any write."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ragmesh.core.errors import ConflictError
from ragmesh.testing.clocks import ManualClock
from ragmesh_operator.ports import Occurrence
from ragmesh_operator.resources import CollectionSpec, Part
from ragmesh_operator.schemas import COLLECTION
from ragmesh_operator.values import Key


class KilledError(Exception):
    """The process is no more."""


@dataclass
class Kills:
    """Ends the process at one of its writes: before it, or just after it."""

    at: int = -1
    after: bool = False
    writes: int = 0

    def before(self) -> None:
        if not self.after and self.writes == self.at:
            raise KilledError

    def done(self) -> None:
        self.writes += 1
        if self.after and self.writes == self.at:
            raise KilledError


@dataclass
class FakeCluster:
    """Stands in for `Resources`; who writes on what has changed is refused."""

    clock: ManualClock = field(default_factory=ManualClock)
    kills: Kills = field(default_factory=Kills)
    bodies: dict[Key, dict[str, Any]] = field(default_factory=dict)
    config: dict[tuple[str, str, str], str] = field(default_factory=dict)
    told: list[tuple[str, Occurrence]] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    identity: str = "here"
    namespaces: tuple[str, ...] = ()
    _count: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def create(self, name: str, spec: Mapping[str, Any], *, uid: str = "") -> Key:
        key = Key(COLLECTION.plural, "docs", name)
        full = CollectionSpec.model_validate(spec).model_dump(
            mode="json", by_alias=True, exclude_none=True
        )
        self.bodies[key] = {
            "metadata": {
                "name": name,
                "namespace": "docs",
                "uid": uid or f"uid-{next(self._count)}",
                "generation": 1,
                "resourceVersion": "0",
            },
            "spec": full,
        }
        self._bump(key)
        return key

    def edit(self, key: Key, **spec: Any) -> None:
        body = self.bodies[key]
        body["spec"] = CollectionSpec.model_validate(body["spec"] | spec).model_dump(
            mode="json", by_alias=True, exclude_none=True
        )
        body["metadata"]["generation"] += 1
        self._bump(key)

    def annotate(self, key: Key, **annotations: str) -> None:
        held = self.bodies[key]["metadata"].setdefault("annotations", {})
        held.update({f"ragmesh.dev/{name}": value for name, value in annotations.items()})
        self._bump(key)

    def delete(self, key: Key) -> None:
        metadata = self.bodies[key]["metadata"]
        metadata["deletionTimestamp"] = self.clock.now().isoformat()
        self._bump(key)
        self._collect(key)

    def status(self, key: Key) -> dict[str, Any]:
        found: dict[str, Any] = self.bodies[key].get("status", {})
        return found

    def condition(self, key: Key, kind: str) -> tuple[str, str]:
        (found,) = [one for one in self.status(key)["conditions"] if one["type"] == kind]
        return found["status"], found["reason"]

    def looks_after(self, namespace: str) -> bool:
        return bool(namespace) and namespace in (self.namespaces or (namespace,))

    async def read(self, key: Key) -> Mapping[str, Any] | None:
        return copy.deepcopy(self.bodies.get(key))

    async def list(self, plural: str) -> Sequence[Mapping[str, Any]]:
        return [
            copy.deepcopy(body)
            for key, body in self.bodies.items()
            if key.plural == plural and self.looks_after(key.namespace)
        ]

    async def write_status(self, key: Key, resource_version: str, status: Part) -> None:
        self._begin("status", key, resource_version)
        self.bodies[key]["status"] = status.model_dump(
            mode="json", by_alias=True, exclude_none=True
        )
        self._end(key)

    async def write_finalizers(
        self, key: Key, resource_version: str, finalizers: Sequence[str]
    ) -> bool:
        if key not in self.bodies:
            return False
        self._begin("finalizers", key, resource_version)
        self.bodies[key]["metadata"]["finalizers"] = list(finalizers)
        self._end(key)
        return True

    async def take_annotations(
        self, key: Key, name: str, value: str, others: Sequence[str]
    ) -> bool:
        held = self.bodies[key]["metadata"].get("annotations", {})
        if held.get(name) != value:
            return False
        self._begin("annotations", key, self.bodies[key]["metadata"]["resourceVersion"])
        for one in (name, *others):
            held.pop(one, None)
        self._end(key)
        return True

    async def config_text(self, namespace: str, name: str, key: str) -> str | None:
        return self.config.get((namespace, name, key))

    async def tell(self, key: Key, uid: str, what: Occurrence) -> None:
        self.told.append((key.name, what))

    def _begin(self, what: str, key: Key, resource_version: str) -> None:
        self.kills.before()
        if key not in self.bodies:
            raise ConflictError("gone")
        if self.bodies[key]["metadata"]["resourceVersion"] != resource_version:
            raise ConflictError("changed")
        self.writes.append(what)

    def _end(self, key: Key) -> None:
        self._bump(key)
        self._collect(key)
        self.kills.done()

    def _bump(self, key: Key) -> None:
        self.bodies[key]["metadata"]["resourceVersion"] = str(next(self._count))

    def _collect(self, key: Key) -> None:
        metadata = self.bodies[key]["metadata"]
        if "deletionTimestamp" in metadata and not metadata.get("finalizers"):
            del self.bodies[key]
