"""An operator that is killed behind every single write comes to the same end as one that lives."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.servers.operator.api_server import OPERATOR, KubeServer
from tests.servers.operator.conftest import namespace
from tests.servers.operator.processes import RunningMesh, RunningOperator
from tests.servers.operator.resources import collection
from tests.servers.operator.severing import Kills, severed
from tools.generate_protos import ROOT

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]

HANDBOOK = tuple(sorted((ROOT / "examples" / "handbook").iterdir()))
QUESTIONS = (ROOT / "examples" / "golden.jsonl").read_text(encoding="utf-8")
OF_THE_MESH = {
    *("CreateCollection", "SetIndexSpec", "SetGoldenQuestions"),
    *("CommandMigration", "UpdateCollection"),
}
"""Calls that the operator dies behind, beside those to the API server."""
GENERATIONS = ("observedGeneration", "appliedGeneration")
IDLE = "jsonpath={.status.migration.phase}=Idle"
STEP_SECONDS = 90


@dataclass(frozen=True)
class Story:
    """A collection is made, indexed anew once somebody has approved it, and changed again."""

    kube: KubeServer
    mesh: RunningMesh
    name: str
    """Of the collection, and of the namespace of its own."""

    def through(self) -> dict[str, Any]:
        """All of it; what is left at its end."""
        self._make()
        self._await("condition=Ready")
        self.mesh.cli("documents", "add", ROOT / "examples" / "handbook", "-c", self.name)
        self._await(f"jsonpath={{.status.documents.indexed}}={len(HANDBOOK)}")
        self._kubectl("patch", *self._merged(encoder="fast"))
        self._await("jsonpath={.status.migration.phase}=AwaitingApproval")
        self._kubectl("annotate", "ragc", self.name, "ragmesh.dev/migration=approve")
        self._await("jsonpath={.status.migration.command.outcome}=Done", "condition=Ready")
        self._kubectl("patch", *self._merged(defaultAccess="restricted"))
        generation = self._read()["metadata"]["generation"]
        self._await(f"jsonpath={{.status.appliedGeneration}}={generation}", IDLE)
        return self._end()

    def _make(self) -> None:
        made = collection(
            self.name,
            encoder="exact",
            deletionPolicy="Delete",
            evaluation={"goldenQueries": {"configMapRef": {"name": "golden"}}},
            migration={"approval": "Manual", "canary": {"steps": []}, "soak": "2s"},
        )
        made["metadata"]["namespace"] = self.name
        questions = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "golden", "namespace": self.name},
            "data": {"golden.jsonl": QUESTIONS},
        }
        said = self.kube.apply(namespace(self.name), questions, made)
        assert said.returncode == 0, said.stderr

    def _end(self) -> dict[str, Any]:
        """Without what differs from run to run."""
        body = self._read()
        metadata, status = body["metadata"], body["status"]
        migration = self._said("migrations", "show", self.name)[0]
        deeds = self._said("audit", "--resource", f"collections/{self.name}")
        return {
            "conditions": {one["type"]: one["reason"] for one in status["conditions"]},
            "serving": status["activeVersion"].partition("-")[0],
            "weights": [one["weight"] for one in status["weights"]],
            "route": (status["routeEpoch"], migration["flips"], migration["encoder"]),
            "command": status["migration"]["command"]["outcome"],
            "documents": status["documents"],
            "lag": {metadata["generation"] - status[one] for one in GENERATIONS},
            "held": (metadata["finalizers"], sorted(metadata["annotations"])),
            "done": Counter(one["action"] for one in deeds if not one["refusal"]),
            "access": self._said("collections", "describe", self.name)[0]["default_access"],
        }

    def _await(self, *whats: str) -> None:
        for what in whats:
            waiting = ("wait", f"--for={what}", f"ragc/{self.name}")
            self._kubectl(*waiting, f"--timeout={STEP_SECONDS}s")

    def _merged(self, **spec: Any) -> tuple[str, ...]:
        return ("ragc", self.name, "--type=merge", "--patch", json.dumps({"spec": spec}))

    def _kubectl(self, *words: str) -> None:
        said = self.kube.kubectl(*words, f"--namespace={self.name}")
        assert said.returncode == 0, said.stderr + json.dumps(self._read())

    def _read(self) -> dict[str, Any]:
        return self.kube.get("ragc", self.name, f"--namespace={self.name}")

    def _said(self, *words: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.mesh.cli(*words, "--json").splitlines()]


# OP-6
def test_an_operator_that_is_killed_behind_every_write_of_a_migration_comes_to_the_same_end(
    kube: KubeServer, mesh: RunningMesh, operator: RunningOperator
) -> None:
    wanted = Story(kube, mesh, "calm").through()
    assert wanted["route"][1:] == (1, "fast")
    assert wanted["command"] == "Done"
    operator.kill()
    one = replace(operator, namespaces=("struck",), log=operator.log.with_name("struck.log"))
    kills = Kills()
    try:
        with severed(one, kube, OPERATOR, kills):
            found = Story(kube, mesh, "struck").through()
    finally:
        print(f"{len(kills.writes)} kills: {kills.writes}", one.log.read_text()[-6000:], sep="\n")
        operator.start()
    told = Counter(kills.writes)
    assert set(told) >= OF_THE_MESH
    assert sum(of_the_cluster(write) for write in told.elements()) >= 10
    assert found == wanted


def of_the_cluster(write: str) -> bool:
    return write not in OF_THE_MESH
