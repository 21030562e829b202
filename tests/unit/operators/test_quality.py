"""What a status says of the quality of the version that serves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ragmesh.core.callers import Machine
from ragmesh.core.migrations import (
    GateVerdict,
    Hold,
    MetricBound,
    MetricVerdict,
    MigrationPhase,
    MigrationPolicy,
)
from ragmesh.core.quality import Quality, QualityMetric, QualityVerdict
from ragmesh_operator.acting import OPERATOR
from ragmesh_operator.planning import index_change
from ragmesh_operator.reporting import Outcome, Scaling, status_of
from ragmesh_operator.statuses import CollectionStatus
from ragmesh_operator.values import Key, Seen
from tests.unit.operators.world import World, world

STRICT = {"metrics": [{"name": "recall", "maxRegression": 0.0}]}
FLOOR = {"metrics": [{"name": "recall", "floor": 0.7}]}


async def looked_at(
    verdict: QualityVerdict | None, gate: GateVerdict | None = None, recall: float = 0.9
) -> tuple[World, Key]:
    """A collection of which this was found."""
    made = await world()
    key = made.cluster.create("handbook", {"evaluation": FLOOR})
    await made.look(key)
    (place,) = made.mesh.collections
    if gate is not None:
        made.mesh.verdicts[place] = gate
    if verdict is not None:
        metric = QualityMetric("recall", recall, 1.0, -0.2, -0.05, 40)
        made.mesh.qualities[place] = Quality(
            "v1-00000000", verdict, made.clock.now(), (metric,), "recall: it fell"
        )
    await made.look(key)
    return made, key


@pytest.mark.parametrize(
    ("verdict", "gate", "said"),
    [
        (None, None, ("Unknown", "NotEvaluated")),
        (None, GateVerdict.PASS, ("True", "Passed")),
        (QualityVerdict.FIRST, None, ("Unknown", "First")),
        (QualityVerdict.FIRST, GateVerdict.PASS, ("True", "Passed")),
        (QualityVerdict.KEPT, None, ("True", "Kept")),
        (QualityVerdict.RISEN, None, ("True", "Risen")),
        (QualityVerdict.KEPT, GateVerdict.INCONCLUSIVE, ("True", "Kept")),
        (QualityVerdict.KEPT, GateVerdict.REFUSED, ("False", "CandidateRefused")),
        (QualityVerdict.FALLEN, None, ("False", "Fallen")),
        (QualityVerdict.FALLEN, GateVerdict.PASS, ("False", "Fallen")),
        (QualityVerdict.INCONCLUSIVE, GateVerdict.PASS, ("Unknown", "Inconclusive")),
    ],
)
async def test_quality_is_what_was_found_last(
    verdict: QualityVerdict | None, gate: GateVerdict | None, said: tuple[str, str]
) -> None:
    made, key = await looked_at(verdict, gate)
    assert made.cluster.condition(key, "QualityOK") == said


async def test_a_floor_is_held_to_by_what_was_found_last() -> None:
    made, key = await looked_at(QualityVerdict.KEPT, recall=0.69)
    assert made.cluster.condition(key, "QualityOK") == ("False", "BelowFloor")


async def test_a_candidate_may_lose_of_each_metric_what_the_resource_says_of_that_one() -> None:
    metrics = [
        {"name": "recall", "maxRegression": 0.0},
        {"name": "ndcg", "maxRegression": 0.1},
        {"name": "mrr", "floor": 0.5},
    ]
    made = await world()
    key = made.cluster.create("handbook", {"evaluation": {"metrics": metrics}})
    policy = index_change(made.operator.understood(made.cluster.bodies[key]).spec).policy
    assert policy is not None
    assert policy.max_regressions == (MetricBound("recall", 0.0), MetricBound("ndcg", 0.1))
    assert policy.max_regression == MigrationPolicy().max_regression


async def test_bounds_that_an_older_mesh_did_not_keep_are_told_again() -> None:
    metrics = [{"name": "recall", "maxRegression": 0.0}]
    made = await world()
    key = made.cluster.create("handbook", {"evaluation": {"metrics": metrics}})
    await made.look(key)
    (place,) = made.mesh.collections
    kept = made.mesh._states[place]
    left = replace(kept.policy, max_regression=0.0, max_regressions=())
    made.mesh._states[place] = replace(kept, policy=left)
    await made.look(key)
    before = list(made.mesh.sent)
    await made.look(key)
    assert made.mesh._states[place].policy == kept.policy
    assert made.mesh.sent == before  # told once


async def test_a_mesh_that_is_renewed_is_not_told_its_bounds_at_every_look() -> None:
    made = await world()
    made.mesh.takes_like_the_former_release = True
    key = made.cluster.create("handbook", {"evaluation": STRICT})
    await looked_for(made, key, 2)
    assert told_bounds(made) == 1

    await looked_for(made, key, 3_600)
    assert told_bounds(made) == 10
    (place,) = made.mesh.collections
    assert made.mesh._states[place].policy.max_regressions == ()


async def test_what_a_former_process_made_of_bounds_is_put_right_when_it_is_gone() -> None:
    made = await world()
    made.mesh.takes_like_the_former_release = True
    key = made.cluster.create("handbook", {"evaluation": STRICT})
    await looked_for(made, key, 3_600)
    made.mesh.takes_like_the_former_release = False
    await looked_for(made, key, 600)
    (place,) = made.mesh.collections
    assert made.mesh._states[place].policy.max_regressions == (MetricBound("recall", 0.0),)
    before = told_bounds(made)
    await looked_for(made, key, 600)
    assert told_bounds(made) == before


async def test_other_bounds_are_told_at_once_whatever_was_left_to_a_mesh() -> None:
    made = await world()
    made.mesh.takes_like_the_former_release = True
    key = made.cluster.create("handbook", {"evaluation": STRICT})
    await made.look(key)
    before = told_bounds(made)
    made.cluster.edit(key, evaluation={"metrics": [{"name": "ndcg", "maxRegression": 0.1}]})
    made.mesh.takes_like_the_former_release = False
    await made.look(key)
    assert told_bounds(made) == before + 1
    (place,) = made.mesh.collections
    assert made.mesh._states[place].policy.max_regressions == (MetricBound("ndcg", 0.1),)


async def looked_for(made: World, key: Key, seconds: int) -> None:
    """Look every two seconds, as at what moves."""
    for _ in range(seconds // 2):
        await made.look(key)
        await made.clock.advance(2)


def told_bounds(made: World) -> int:
    return sum(method == "want" for method, _, _ in made.mesh.sent)


async def test_quality_that_fell_makes_no_collection_unready() -> None:
    made, key = await looked_at(QualityVerdict.FALLEN)
    assert made.cluster.condition(key, "Ready") == ("True", "Idle")
    assert made.mesh.sent[-1][0] in {"create", "want"}  # nothing was done about it


async def test_metrics_of_the_schedule_are_those_of_the_status() -> None:
    made, key = await looked_at(QualityVerdict.FALLEN)
    (shown,) = made.cluster.status(key)["quality"]
    assert (shown["metric"], shown["active"], shown["before"]) == ("recall", 0.9, 1.0)
    assert (shown["ciLow"], shown["verdict"]) == (-0.2, "fallen")
    assert shown.get("candidate") is None


async def test_why_a_gate_could_not_judge_is_in_the_status_and_told_once_as_an_event() -> None:
    made = await world()
    key = made.cluster.create("handbook", {})
    await made.look(key)
    (place,) = made.mesh.collections
    sentence = "questions: 24 of 24 questions could not be measured (EMBEDDING_UNAVAILABLE)"
    made.mesh.held_by_gate(place, "QUESTIONS_NOT_MEASURED", sentence)
    for _ in range(3):
        await made.look(key)
    status = made.cluster.status(key)
    assert made.cluster.condition(key, "Stalled") == ("True", "GateInconclusive")
    assert status["migration"]["reason"] == "QuestionsNotMeasured"
    assert status["migration"]["message"] == sentence
    (told,) = [what for _, what in made.cluster.told]
    assert (told.reason, told.is_warning) == ("GateInconclusive", True)
    assert told.message == f"QuestionsNotMeasured: {sentence}"


async def test_what_a_person_stops_is_no_gate_that_could_not_judge() -> None:
    status = await told_of(MigrationPhase.CANARY, GateVerdict.INCONCLUSIVE, by="ada")
    stalled = next(one for one in status.conditions if one.type == "Stalled")
    assert (stalled.status, stalled.reason, stalled.message) == ("True", "Held", "ada: monday")


P, G = MigrationPhase, GateVerdict


@pytest.mark.parametrize(
    ("phase", "gate", "active"),
    [
        (P.EVALUATING, G.PASS, 0.4),
        (P.AWAITING_APPROVAL, G.PASS, 0.4),
        (P.CANARY, G.PASS, 0.4),
        (P.PROMOTING, G.PASS, 0.4),
        (P.SOAKING, G.PASS, 0.8),
        (P.SOAKING, G.INCONCLUSIVE, 0.8),
        (P.ROLLING_BACK, G.PASS, 0.8),
        (P.IDLE, G.PASS, 0.8),
        (P.IDLE, G.INCONCLUSIVE, 0.8),
        (P.FAILED, G.REFUSED, 0.4),
    ],
)
async def test_what_a_gate_measured_is_told_of_the_version_that_serves(
    phase: MigrationPhase, gate: GateVerdict, active: float
) -> None:
    status = await told_of(phase, gate)
    shown, sliced = status.quality
    assert (shown.slice, sliced.slice) == (None, "rooms")
    assert shown.active == active
    assert {shown.candidate, shown.before} == {None, 0.4 if active == 0.8 else 0.8}
    quality = next(one for one in status.conditions if one.type == "QualityOK")
    assert (quality.reason == "BelowFloor") is (active == 0.4), quality


@pytest.mark.parametrize(
    ("phase", "reason", "active"),
    [
        (P.ABORTED, "ABORTED", 0.4),
        (P.FAILED, "ROLLED_BACK", 0.4),
        (P.FAILED, "SPEC_REFUSED", 0.8),  # a wish after the one that was judged, and serves
    ],
)
async def test_what_an_older_mesh_says_of_a_version_that_is_gone_is_told_of_no_other(
    phase: MigrationPhase, reason: str, active: float
) -> None:
    status = await told_of(phase, G.PASS, reason=reason)
    assert status.quality[0].active == active


async def told_of(
    phase: MigrationPhase, gate: GateVerdict, by: str = "", reason: str = ""
) -> CollectionStatus:
    """The status of a collection whose recall was 0.4, and that of the candidate 0.8."""
    made, key = await looked_at(None)
    ((tenant_uid, _),) = made.mesh.collections
    caller = Machine(OPERATOR, tenant_uid)
    seen = Seen(
        tenant_uid,
        await made.mesh.get_collection(caller, "handbook"),
        replace(
            await made.mesh.get_migration(caller, "handbook"),
            phase=phase,
            reason=reason,
            held=Hold(by, "monday", made.clock.now()) if by else None,
            verdict=gate,
            verdicts=(MetricVerdict("recall", 0.4, 0.8, 0.3, 0.5, 40, gate),),
            slice_verdicts=(MetricVerdict("recall", 0.9, 0.1, 0.3, 0.5, 20, gate, "rooms"),),
        ),
    )
    wanted = made.operator.understood(made.cluster.bodies[key])
    return status_of(wanted, Outcome(seen, settled=True), Scaling(), made.clock.now())
