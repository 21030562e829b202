"""An operator that does not run for a minute, beside its successor."""

from __future__ import annotations

from tests.cluster.freezing import process_of, wake_beside_its_successor
from tests.cluster.operated import operated_mesh
from tests.cluster.releases import Release
from tests.soak.cluster_load import Outcome

FROZEN_SECONDS = 60.0
JUDGED_SECONDS = 120
"""Time in which a mesh has asked the golden questions of a new collection, which has no documents.
What they say is written, whoever hears of it first: the resource would not be settled before."""


def freeze_operator(release: Release, host: str) -> Outcome:
    """Freeze that of a mesh of one pod, and look what it writes when it wakes."""
    kubectl = release.namespace.kubectl
    with operated_mesh(kubectl, release.image, release.identity, host) as operated:
        operated.wait("handbook", "condition=Ready")
        operated.wait("handbook", "condition=QualityOK=False", seconds=JUDGED_SECONDS)
        process = process_of(operated.pod)
        assert process is not None, "the cluster's node is not this machine"
        wake = wake_beside_its_successor(
            *(operated, process, "handbook"),
            frozen_seconds=FROZEN_SECONDS,
            defaultAccess="restricted",
        )
    measured = f"frozen for {wake.frozen_seconds:.0f} s, {len(wake.changed)} writes after it"
    return Outcome(measured, f"{wake.settled} became {wake.changed}" if wake.changed else "")
