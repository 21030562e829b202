"""Whatever happens to a migration, in any order: it ends, and a route flips once."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from ragmesh.core.documents import Chunking
from ragmesh.core.errors import MigrationCommandRefusedError
from ragmesh.core.migrations import (
    Approval,
    CanaryStep,
    GateVerdict,
    MigrationCommand,
    MigrationPhase,
    MigrationPolicy,
    OnFailure,
)
from ragmesh.indexing.migration import SPEC_REFUSED, foreseen, plan
from ragmesh.indexing.migration_changes import after
from ragmesh.indexing.migration_commands import Order, commanded
from ragmesh.indexing.migration_state import (
    SOUND,
    BuildSpec,
    Change,
    FollowerProgress,
    MigrationState,
    Observed,
    Role,
    Standing,
)
from ragmesh.indexing.migration_steps import (
    CreateIndex,
    Drop,
    Evaluate,
    Feed,
    MakeCandidate,
    Promote,
    RollBack,
    Verify,
    Weigh,
)
from ragmesh.testing.embedding import fake_fingerprint

START = datetime(2026, 1, 1, tzinfo=UTC)
LEASE_SECONDS = 600.0
_SEEDS = range(50)
_ALL_WELL = {MigrationPhase.IDLE, MigrationPhase.SOAKING}
"""Phases in which what serves is what is wanted, unless a reason says otherwise."""


def spec(name: str) -> BuildSpec:
    return BuildSpec(name, fake_fingerprint(name), Chunking(), "en")


@dataclass
class Model:
    """A catalog and an index of numbers, which carry out whatever is planned."""

    draw: random.Random
    state: MigrationState
    versions: dict[str, Standing]
    now: datetime = START
    weightless: dict[str, datetime] = field(default_factory=dict)
    lagging: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    weighed: set[str] = field(default_factory=set)
    verified: set[str] = field(default_factory=set)
    passed: set[str] = field(default_factory=set)
    begun: list[str] = field(default_factory=list)
    flips: list[tuple[str, str]] = field(default_factory=list)
    judged: str = ""
    """Uid of the version that the gate looked at last."""
    bad: frozenset[str] = frozenset()
    """Encoders whose versions fail the gate."""

    def observed(self) -> Observed:
        standings = []
        for uid, one in self.versions.items():
            since = self.weightless.get(uid)
            gone = float("inf") if since is None else (self.now - since).total_seconds()
            standings.append(replace(one, weightless_seconds=gone))
        progress = {
            uid: self.progress(self.lagging.get(uid, 0), self.failed.get(uid, 0))
            for uid, one in self.versions.items()
            if one.role.follows
        }
        return Observed(
            self.state,
            tuple(standings),
            self.now,
            progress,
            self.state.wanted.digest in self.refused,
            LEASE_SECONDS,
        )

    @staticmethod
    def progress(lagging: int, failed: int) -> FollowerProgress:
        return FollowerProgress(10, lagging, failed, old=max(0, lagging - failed))

    def turn(self) -> bool:
        """One look and its steps; whether the state has changed."""
        observed = self.observed()
        for step in plan(observed):
            if isinstance(step, Feed):
                self.lagging[step.uid] = max(
                    self.failed.get(step.uid, 0), self.lagging.get(step.uid, 0) - 5
                )
                continue
            self.carry_out(step, observed)
            return True
        return False

    def carry_out(self, step: object, observed: Observed) -> None:
        match step:
            case CreateIndex(uid):
                self.versions[uid] = replace(self.versions[uid], made=True)
                return
            case Verify(uid):
                self.verified.add(uid)
                self.commit(Change(replace(self.state, checked=SOUND)))
                return
            case Evaluate(uid):
                verdict, self.judged = self.verdict_of(uid), uid
                if verdict is GateVerdict.PASS:
                    self.passed.add(uid)
                self.commit(Change(replace(self.state, verdict=verdict)))
                return
            case MakeCandidate():
                self.begun.append(self.state.wanted.digest)
            case Promote() | RollBack():
                self.flips.append((type(step).__name__, observed.primary.uid))
            case Weigh():
                assert observed.candidate is not None
                uid = observed.candidate.uid
                assert uid in self.verified
                assert uid in self.passed or self.state.approved
                self.weighed.add(uid)
            case Drop(uid):
                assert observed.primary.uid != uid
        self.commit(after(step, observed))  # type: ignore[arg-type]  # a step of the plan

    def verdict_of(self, uid: str) -> GateVerdict:
        if any(spec(name).digest == self.versions[uid].digest for name in self.bad):
            return GateVerdict.REFUSED
        return self.draw.choice([GateVerdict.PASS, GateVerdict.PASS, GateVerdict.INCONCLUSIVE])

    def commit(self, change: Change) -> None:
        if change.only_if_caught_up and self.lagging.get(change.only_if_caught_up):
            return
        state = replace(change.state, version=self.state.version + 1)
        if change.candidate is not None:
            uid = f"v{len(self.begun) + 1}"
            self.versions[uid] = Standing(
                uid, uid, change.candidate.digest, Role.CANDIDATE, made=False
            )
            self.lagging[uid] = 10
            state = replace(state, candidate_uid=uid)
        for uid, role in change.roles.items():
            self.versions[uid] = replace(self.versions[uid], role=role)
        if change.weights:
            self.share(change)
        if change.refusal is not None:
            self.refused.add(change.refusal.digest)
        self.refused.discard(change.pardoned)
        self.versions.pop(change.dropped, None)
        self.state = state
        self.check()

    def share(self, change: Change) -> None:
        for uid, one in list(self.versions.items()):
            weight = change.weights.get(uid, 0)
            if one.weight and not weight:
                self.weightless[uid] = self.now
            if weight:
                self.weightless.pop(uid, None)
            self.versions[uid] = replace(one, weight=weight)

    def check(self) -> None:
        """What must hold at every moment."""
        weights = [one.weight for one in self.versions.values()]
        assert sum(weights) == 100
        serving = [uid for uid, one in self.versions.items() if one.weight]
        assert len(serving) <= 2
        assert sum(one.role is Role.PRIMARY for one in self.versions.values()) == 1
        assert sum(one.role is Role.CANDIDATE for one in self.versions.values()) <= 1
        assert sum(one.role is Role.RETAINED for one in self.versions.values()) <= 1
        self.check_verdict()

    def check_verdict(self) -> None:
        """What a gate said is told of a version that is there, or of why a candidate is not."""
        if self.state.verdict is GateVerdict.REFUSED:
            assert self.state.phase in {MigrationPhase.EVALUATING, MigrationPhase.FAILED}
        elif self.state.verdict is not None:
            assert self.versions[self.judged].role in {Role.CANDIDATE, Role.PRIMARY}


def model(seed: int, *, bad: frozenset[str] = frozenset()) -> Model:
    first = Standing("v1", "v1", spec("a").digest, Role.PRIMARY, made=True, weight=100)
    policy = MigrationPolicy(canary=(CanaryStep(20, 60.0), CanaryStep(60, 60.0)), soak_seconds=300)
    state = MigrationState("c", spec("a"), policy)
    return Model(random.Random(seed), state, {"v1": first}, bad=bad)


def pass_time(made: Model, seconds: float) -> None:
    made.now += timedelta(seconds=seconds)


def settle(made: Model, *, turns: int = 400) -> None:
    """Go on, with time passing and holds of the gate answered, until nothing changes for long."""
    for _ in range(turns):
        moved = made.turn()
        if made.state.held is not None and made.state.held.by == "gate":
            tell(made, MigrationCommand.APPROVE)
        if not moved:
            pass_time(made, 120.0)


def tell(made: Model, command: MigrationCommand) -> None:
    made.commit(commanded(made.observed(), Order(command, "ada", "because")))


@pytest.mark.parametrize("seed", _SEEDS)
def test_a_plan_ends_in_what_is_wanted_whatever_happens_on_the_way(seed: int) -> None:
    made = model(seed)
    draw = made.draw
    for _ in range(60):
        match draw.randrange(8):
            case 0:
                made.state = replace(
                    made.state, wanted=spec(draw.choice("abc")), held=None, version=99
                )
            case 1:
                pass_time(made, draw.choice([1.0, 90.0, 700.0]))
            case 2:
                for uid, one in made.versions.items():
                    if one.role.follows:
                        made.lagging[uid] = made.lagging.get(uid, 0) + draw.randrange(3)
            case 3:
                with contextlib.suppress(MigrationCommandRefusedError):
                    tell(made, draw.choice(list(MigrationCommand)))
            case _:
                made.turn()
    if made.state.held is not None:
        tell(made, MigrationCommand.RESUME)
    settle(made)
    wanted = made.state.wanted.digest
    serves = made.observed().primary.digest == wanted
    assert serves or wanted in made.refused
    assert made.state.phase.rests
    assert set(made.versions) == {made.observed().primary.uid}


@pytest.mark.parametrize("seed", _SEEDS)
def test_who_wants_another_index_than_serves_is_never_told_that_all_is_well(seed: int) -> None:
    made = model(seed, bad=frozenset({"c"}))
    told: Counter[MigrationPhase] = Counter()
    for _ in range(600):
        if made.state.held is not None:
            tell(made, MigrationCommand.APPROVE)
        elif made.draw.random() < 0.05:
            made.state = replace(made.state, wanted=spec(made.draw.choice("abc")), held=None)
        elif made.draw.random() < 0.7:
            made.turn()
        else:
            pass_time(made, made.draw.choice([1.0, 60.0, 400.0]))
        shown = foreseen(made.observed())
        told[shown.phase] += 1
        is_well = shown.held is None and shown.phase in _ALL_WELL and not shown.reason
        assert not is_well or shown.wanted.digest == made.observed().primary.digest
    assert told.keys() & _ALL_WELL
    assert made.begun


@pytest.mark.parametrize("seed", _SEEDS)
def test_what_is_foreseen_comes(seed: int) -> None:
    made = model(seed, bad=frozenset({"c"}))
    for _ in range(20):
        made.state = replace(made.state, wanted=spec(made.draw.choice("abc")), held=None)
        shown = foreseen(made.observed())
        reached = [made.state.phase]
        while made.state.phase is not shown.phase and made.turn():
            reached.append(made.state.phase)
        assert made.state.phase is shown.phase, reached
        for _ in range(made.draw.randrange(60)):
            if not made.turn():
                pass_time(made, 60.0)


@pytest.mark.parametrize("seed", _SEEDS)
def test_no_change_of_the_policy_takes_questions_back_from_a_candidate(seed: int) -> None:
    made = model(seed)
    made.state = replace(made.state, wanted=spec("b"))
    given: list[int] = []
    while made.state.phase is not MigrationPhase.SOAKING:
        if made.state.held is not None:
            tell(made, MigrationCommand.APPROVE)
        if made.state.phase is MigrationPhase.CANARY and made.draw.random() < 0.5:
            made.state = replace(made.state, policy=some_policy(made.draw))
        if not made.turn():
            pass_time(made, made.draw.choice([1.0, 30.0, 60.0]))
        candidate = made.observed().candidate
        if candidate is not None and [candidate.weight] != given[-1:]:
            given.append(candidate.weight)
    assert given == sorted(given), given
    assert [kind for kind, _ in made.flips] == ["Promote"]


def some_policy(draw: random.Random) -> MigrationPolicy:
    """Any steps, also none."""
    weights = sorted(draw.sample(range(1, 101), draw.randrange(5)))
    canary = tuple(CanaryStep(one, draw.choice([0.0, 20.0, 90.0])) for one in weights)
    return MigrationPolicy(canary=canary)


def test_a_step_is_taken_by_the_weight_that_the_candidate_has() -> None:
    made = model(1)
    made.state = replace(made.state, wanted=spec("b"))
    in_canary(made, weight=20)
    finer = (CanaryStep(7, 600.0), CanaryStep(20, 90.0), CanaryStep(40, 0.0), CanaryStep(80, 0.0))
    made.state = replace(made.state, policy=replace(made.state.policy, canary=finer))
    pass_time(made, 89.0)
    assert not made.turn()
    pass_time(made, 1.0)
    assert made.turn()
    candidate = made.observed().candidate
    assert candidate is not None
    assert candidate.weight == 40


def in_canary(made: Model, *, weight: int) -> None:
    """Go on until the candidate has this weight, and follows closely."""
    while True:
        candidate = made.observed().candidate
        if candidate is not None and candidate.weight == weight:
            return
        if made.state.held is not None:
            tell(made, MigrationCommand.APPROVE)
        if not made.turn():
            pass_time(made, 10.0)


@pytest.mark.parametrize("seed", range(20))
def test_a_good_candidate_flips_once_and_a_bad_one_never(seed: int) -> None:
    good, bad = model(seed), model(seed, bad=frozenset({"b"}))
    for made in (good, bad):
        made.state = replace(made.state, wanted=spec("b"))
        settle(made)
    assert [kind for kind, _ in good.flips] == ["Promote"]
    assert good.observed().primary.digest == spec("b").digest
    assert (bad.flips, bad.weighed) == ([], set())
    assert bad.state.phase is MigrationPhase.FAILED
    assert bad.begun == [spec("b").digest]


def test_there_and_back_and_there_again_builds_three_versions() -> None:
    made = model(1)
    for name in "bab":
        made.state = replace(made.state, wanted=spec(name))
        settle(made)
        assert made.observed().primary.digest == spec(name).digest
    assert len(made.begun) == 3
    assert len(made.flips) == 3


def test_a_candidate_that_fails_while_it_answers_waits_for_somebody_if_the_policy_says_so() -> None:
    made = model(1)
    policy = replace(made.state.policy, on_failure=OnFailure.HOLD, approval=Approval.AUTOMATIC)
    made.state = replace(made.state, wanted=spec("b"), policy=policy)
    for _ in range(200):
        if made.state.held is not None:
            tell(made, MigrationCommand.APPROVE)
        made.turn()
        if made.state.phase is MigrationPhase.CANARY:
            break
    candidate = made.observed().candidate
    assert candidate is not None
    made.failed[candidate.uid] = made.lagging[candidate.uid] = 1
    made.turn()
    assert made.state.held is not None
    assert made.state.phase is MigrationPhase.CANARY


def test_a_wish_that_was_refused_neither_ends_a_soak_nor_keeps_the_old_one_for_ever() -> None:
    made = model(1)
    made.refused.add(spec("c").digest)
    made.state = replace(made.state, wanted=spec("b"))
    while made.state.phase is not MigrationPhase.SOAKING:
        if made.state.held is not None:
            tell(made, MigrationCommand.APPROVE)
        if not made.turn():
            pass_time(made, 60.0)
    made.state = replace(made.state, wanted=spec("c"))
    made.turn()
    phase = made.state.phase
    assert phase is MigrationPhase.SOAKING
    settle(made)
    assert made.state.phase is MigrationPhase.FAILED
    assert set(made.versions) == {made.observed().primary.uid}


@pytest.mark.parametrize("command", [MigrationCommand.ABORT, MigrationCommand.ROLLBACK])
def test_who_gives_a_candidate_up_refuses_its_spec_and_not_what_was_asked_for_since(
    command: MigrationCommand,
) -> None:
    made = model(1)
    made.state = replace(made.state, wanted=spec("b"))
    while made.state.phase is not MigrationPhase.CANARY:
        if made.state.held is not None:
            tell(made, MigrationCommand.APPROVE)
        made.turn()
    made.state = replace(made.state, wanted=spec("c"))  # and nobody has looked at it yet
    tell(made, command)
    assert made.refused == {spec("b").digest}
    settle(made)
    assert made.observed().primary.digest == spec("c").digest


def test_a_candidate_that_fell_behind_gets_no_questions_before_it_has_caught_up() -> None:
    made = model(1)
    policy = replace(made.state.policy, approval=Approval.MANUAL)
    made.state = replace(made.state, wanted=spec("b"), policy=policy)
    while made.state.phase is not MigrationPhase.AWAITING_APPROVAL:
        if made.state.held is not None:
            tell(made, MigrationCommand.RESUME)
        made.turn()
    made.lagging[made.state.candidate_uid] = 50  # uploads of days, while its encoder was away
    tell(made, MigrationCommand.APPROVE)
    made.turn()
    assert (made.state.phase, made.weighed) == (MigrationPhase.CANARY, set())
    while not made.weighed:
        assert plan(made.observed())
        made.turn()
        behind = made.lagging[made.state.candidate_uid]
    assert behind == 0


def test_a_candidate_given_up_for_a_wish_that_was_refused_ends_in_that_refusal() -> None:
    made = model(1)
    made.refused.add(spec("c").digest)
    made.state = replace(made.state, wanted=spec("b"))
    until(made, MigrationPhase.BACKFILLING)
    made.state = replace(made.state, wanted=spec("c"))
    settle(made)
    assert (made.state.phase, made.state.reason) == (MigrationPhase.FAILED, SPEC_REFUSED)
    assert foreseen(made.observed()) == made.state


def test_a_wish_that_was_refused_keeps_nobody_from_going_back_to_a_version_that_is_kept() -> None:
    made = model(1)
    made.refused.add(spec("c").digest)
    policy = replace(made.state.policy, retain_seconds=5_000.0)
    made.state = replace(made.state, wanted=spec("b"), policy=policy)
    until(made, MigrationPhase.SOAKING)
    until(made, MigrationPhase.IDLE)
    made.state = replace(made.state, wanted=spec("c"))
    made.turn()
    assert (made.state.phase, made.observed().retained is None) == (MigrationPhase.FAILED, False)
    tell(made, MigrationCommand.ROLLBACK)
    with pytest.raises(MigrationCommandRefusedError, match="it goes back already"):
        tell(made, MigrationCommand.ROLLBACK)
    settle(made)
    assert made.observed().primary.digest == spec("a").digest
    assert spec("b").digest in made.refused


def test_what_passed_waits_for_nobody_once_nobody_is_to_be_asked() -> None:
    made = model(1)
    by_hand = replace(made.state.policy, approval=Approval.MANUAL)
    made.state = replace(made.state, wanted=spec("b"), policy=by_hand)
    until(made, MigrationPhase.AWAITING_APPROVAL)
    by_itself = replace(by_hand, approval=Approval.AUTOMATIC)
    made.state = replace(made.state, policy=by_itself)
    made.turn()
    assert made.state.phase is MigrationPhase.CANARY


def until(made: Model, phase: MigrationPhase) -> None:
    """Go on to the phase, with time passing; a gate that is unsure measures again."""
    for _ in range(400):
        if made.state.phase is phase:
            return
        if made.state.held is not None:
            tell(made, MigrationCommand.RESUME)
        if not made.turn():
            pass_time(made, 60.0)
    raise AssertionError(f"still {made.state.phase}")
