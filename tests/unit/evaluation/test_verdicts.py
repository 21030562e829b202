"""No data is never a pass; what is worse for certain fails; what lies between is inconclusive."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ragmesh.core.errors import IncomparableEvaluationsError, InvalidError
from ragmesh.evaluation.comparing import compare
from ragmesh.evaluation.judging import (
    TOO_FEW_QUESTIONS,
    Judgement,
    Rules,
    Verdict,
    first_broken,
    judge,
    why_inconclusive,
)
from ragmesh.evaluation.ranking import ranked
from ragmesh.evaluation.results import Evaluation, measured, summarise
from ragmesh.evaluation.scoring import Seen
from tests.unit.evaluation.builders import (
    REFUSED,
    SEEN,
    K,
    evaluation_of,
    golden,
    result_of,
    run_of,
)

LOST = replace(SEEN, ranking=ranked(["x"]))
LATE = replace(SEEN, ranking=ranked(["x", "a"]))
FORTY = [SEEN] * 40


def judged(baseline: Evaluation, candidate: Evaluation, rules: Rules | None = None) -> Judgement:
    return judge(candidate, rules or Rules(), compare(baseline, candidate))


def failing(judgement: Judgement) -> dict[str, tuple[str, ...]]:
    return {one.what: one.questions for one in judgement.findings if one.verdict is Verdict.FAIL}


def test_an_equal_candidate_passes() -> None:
    run = run_of(*FORTY)
    assert judged(run, run).verdict is Verdict.PASS


def test_a_better_candidate_passes() -> None:
    assert judged(run_of(*[LATE] * 40), run_of(*FORTY)).verdict is Verdict.PASS


def test_a_planted_bad_candidate_fails_and_its_questions_are_named() -> None:
    judgement = judged(run_of(*FORTY), run_of(*FORTY[:28], *[LOST] * 12))
    assert judgement.verdict is Verdict.FAIL
    assert set(failing(judgement)) == {"recall", "ndcg", "mrr"}
    assert set(failing(judgement)["recall"]) == {f"q{number}" for number in range(28, 40)}


def test_a_candidate_that_answers_nothing_fails_although_it_says_nothing_wrong() -> None:
    judgement = judged(run_of(*FORTY), run_of(*[REFUSED] * 40))
    assert "answering" in failing(judgement)


def test_five_questions_are_inconclusive_however_they_end() -> None:
    five = run_of(*[SEEN] * 5)
    assert judged(five, five).verdict is Verdict.INCONCLUSIVE
    assert judged(five, run_of(*[LOST] * 5)).verdict is Verdict.INCONCLUSIVE


def test_a_small_loss_that_may_be_chance_is_neither() -> None:
    judgement = judged(run_of(*FORTY), run_of(*FORTY[:38], LOST, LOST))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    (finding,) = [one for one in judgement.findings if one.what == "recall"]
    assert finding.questions == ("q38", "q39")


def test_what_is_allowed_is_no_regression() -> None:
    candidate = run_of(*FORTY[:38], LOST, LOST)
    allowing = Rules(allowed=0.2)
    assert judged(run_of(*FORTY), candidate, allowing).verdict is Verdict.PASS
    strict = Rules(allowed=0.2, max_regressions={"mrr": 0.0})
    judgement = judged(run_of(*FORTY), candidate, strict)
    open_ones = [one.what for one in judgement.findings if one.verdict is Verdict.INCONCLUSIVE]
    assert open_ones == ["mrr"]


def test_a_question_that_could_not_be_measured_is_never_a_pass() -> None:
    whole, torn = run_of(*FORTY), run_of(*FORTY[:39], None)
    for baseline, candidate in ((whole, torn), (torn, whole)):
        judgement = judged(baseline, candidate)
        assert judgement.verdict is Verdict.INCONCLUSIVE
        assert judgement.findings[0].questions == ("q39",)


def test_a_failure_stays_one_when_another_question_was_not_measured() -> None:
    judgement = judged(run_of(*FORTY), run_of(*FORTY[:20], *[LOST] * 19, None))
    assert judgement.verdict is Verdict.FAIL


def test_a_run_without_any_measured_question_is_inconclusive() -> None:
    nothing = run_of(*[None] * 40)
    assert judged(run_of(*FORTY), nothing).verdict is Verdict.INCONCLUSIVE
    assert judge(nothing, Rules(floors={"recall": 0.5})).verdict is Verdict.INCONCLUSIVE


def test_a_slice_that_breaks_fails_although_all_questions_together_do_not() -> None:
    def run(german: Seen) -> Evaluation:
        english = [result_of(f"e{number}") for number in range(980)]
        others = [result_of(f"d{number}", german, slice="german") for number in range(20)]
        return evaluation_of([*english, *others])

    judgement = judged(run(SEEN), run(LATE))
    broken = {(one.what, one.slice) for one in judgement.findings if one.verdict is Verdict.FAIL}
    assert ("mrr", "german") in broken
    assert ("mrr", "") not in broken


def test_a_slice_of_few_questions_is_not_judged_by_itself() -> None:
    def run(german: Seen) -> Evaluation:
        english = [result_of(f"e{number}") for number in range(400)]
        return evaluation_of([*english, result_of("d", german, slice="german")])

    judgement = judged(run(SEEN), run(LATE))
    assert judgement.verdict is Verdict.PASS
    assert {one.slice for one in judgement.findings} == {""}


def test_a_metric_asked_for_by_name_must_be_measured_by_enough_questions() -> None:
    run = run_of(*FORTY)
    assert judged(run, run, Rules(max_regressions={"abstention": 0.1})).verdict is (
        Verdict.INCONCLUSIVE
    )
    some = evaluation_of([*run.results, *(result_of(f"r{n}", REFUSED) for n in range(3))])
    assert judged(some, some, Rules(max_regressions={"answering": 0.1})).verdict is Verdict.PASS


def test_a_floor_is_held_by_what_was_measured() -> None:
    run = run_of(*[SEEN] * 30, *[LOST] * 10)
    assert judge(run, Rules(floors={"recall": 0.75})).verdict is Verdict.PASS
    judgement = judge(run, Rules(floors={"recall": 0.8}))
    assert judgement.verdict is Verdict.FAIL
    assert set(failing(judgement)["recall"]) == {f"q{number}" for number in range(30, 40)}
    assert judge(run, Rules(floors={"abstention": 0.1})).verdict is Verdict.INCONCLUSIVE


def test_a_ceiling_is_held_by_what_it_took() -> None:
    run = run_of(*FORTY)
    assert judge(run, Rules(ceilings={"cost_dollars": 20.0})).verdict is Verdict.PASS
    assert judge(run, Rules(ceilings={"answer_p95_ms": 19.0})).verdict is Verdict.FAIL


def test_enough_questions_of_which_too_few_say_something_of_any_metric_are_told_as_too_few() -> (
    None
):
    half = [result_of(f"a{n}") for n in range(12)]
    unanswerable = [measured(golden(f"n{n}", grades={}), REFUSED, K) for n in range(12)]
    run = evaluation_of([*half, *unanswerable])
    judgement = judged(run, run)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert why_inconclusive(judgement) == TOO_FEW_QUESTIONS
    assert first_broken(judgement).endswith("at least 20 are needed")


def test_without_a_rule_nothing_is_judged() -> None:
    assert judge(run_of(*FORTY), Rules()).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    "rules",
    [
        {"floors": {"recal": 0.5}},
        {"max_regressions": {"answer_p95_ms": 0.5}},
        {"ceilings": {"recall": 0.5}},
        {"allowed": -0.1},
        {"max_regressions": {"recall": 1.5}},
        {"min_questions": 0},
    ],
)
def test_a_rule_that_means_nothing_is_refused(rules: dict[str, Any]) -> None:
    with pytest.raises(InvalidError):
        Rules(**rules)


def test_runs_of_other_questions_or_depths_are_not_compared() -> None:
    run = run_of(SEEN)
    others = [
        evaluation_of(run.results, digest="d2"),
        replace(run, k=5),
        evaluation_of([*run.results, result_of("more")]),
    ]
    for other in others:
        with pytest.raises(IncomparableEvaluationsError):
            compare(run, other)


def test_a_summary_counts_what_a_slice_took_and_what_it_lacks() -> None:
    degraded = replace(SEEN, degraded=("STALE_HEADS",), search_ms=30.0)
    overall = summarise(run_of(SEEN, degraded, REFUSED, None).results)
    assert (overall.questions, overall.errors, overall.refused, overall.degraded) == (4, 1, 1, 1)
    assert overall.figures["search_p50_ms"] == 10.0
    assert overall.figures["search_p95_ms"] == pytest.approx(28.0)
    assert overall.figures["cost_dollars"] == 1.5
    assert overall.metrics["answering"].value == pytest.approx(2 / 3)
    assert overall.metrics["citation_precision"].questions == 2


def test_the_sentence_of_a_rule_that_holds_for_a_slice_names_it() -> None:
    before, after = sliced(SEEN), sliced(LOST)
    judgement = judged(before, after, Rules(allowed=0.3))
    assert judgement.verdict is Verdict.FAIL
    assert first_broken(judgement).startswith('recall in the slice "setup": 1.0000 → 0.0000')
    overall = judged(before, after, Rules(allowed=0.1))
    assert first_broken(overall).startswith("recall: 1.0000 → 0.7500")


def sliced(seen: Seen) -> Evaluation:
    """Sixty questions that are answered, and a slice of twenty of which this was seen."""
    plain = [result_of(f"p{number}") for number in range(60)]
    return evaluation_of(
        [*plain, *(result_of(f"s{number}", seen, slice="setup") for number in range(20))]
    )


def test_what_is_not_judged_is_explained_once() -> None:
    run = evaluation_of([result_of(f"a{n}") for n in range(5)])
    (finding,) = judged(run, run).findings
    assert finding.message == "5 questions were measured, at least 20 are needed"
