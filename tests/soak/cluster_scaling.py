"""A burst of documents on which KEDA scales the indexers of a mesh."""

from __future__ import annotations

from tests.cluster.operated import Operated
from tests.cluster.releases import Release, Values
from tests.cluster.scaling import (
    AUTOSCALING,
    OWLS,
    PARTITIONS,
    Course,
    assert_all_is_found,
    burst_through,
    indexers_of,
    scaled_mesh,
)
from tests.soak.cluster_load import Outcome

BACK_SECONDS = 180
"""An autoscaler looks every quarter of a minute, and goes down a step at a time."""


def scale_by_keda(release: Release, usual: Values, host: str) -> Outcome:
    """Send a burst to a mesh whose indexers KEDA scales, and look for all of it afterwards."""
    with scaled_mesh(release, usual, host) as operated:
        _hand_over(operated)
        course = burst_through(operated, back_seconds=BACK_SECONDS)
        broken = _faults(operated, course)
        _take_back(operated)
    return Outcome(str(course), broken)


def _faults(operated: Operated, course: Course) -> str:
    """Which promise was broken, if one was."""
    if max(course.wanted) != PARTITIONS or course.turns > 2:
        return f"indexers wanted: {course.wanted}"
    try:
        assert_all_is_found(operated, course.burst)
    except AssertionError as error:
        return repr(error)  # none is without a word
    return ""


def _hand_over(operated: Operated) -> None:
    """Return when KEDA has brought the indexers down to one."""
    name = indexers_of(operated.mesh)
    place = operated.mesh.namespace
    operated.patch(OWLS, autoscaling={**AUTOSCALING, "provider": "keda"})
    operated.wait(
        OWLS, "condition=AutoscalingActive", "jsonpath={.status.autoscaling.provider}=keda"
    )
    place.kubectl.run(
        *("wait", f"scaledobject/{name}", "-n", place.name, "--for=condition=Ready"),
        "--timeout=60s",
    )
    operated.wait(OWLS, "jsonpath={.status.replicas}=1", seconds=BACK_SECONDS)


def _take_back(operated: Operated) -> None:
    """Ask for nothing any more: what KEDA was told goes, and its autoscaler with it."""
    operated.patch(OWLS, autoscaling={**AUTOSCALING, "provider": "none"})
    name, place = indexers_of(operated.mesh), operated.mesh.namespace
    told = (f"scaledobject/{name}", f"hpa/keda-hpa-{name}", "-n", place.name)
    place.kubectl.run("wait", *told, "--for=delete", "--timeout=60s")
