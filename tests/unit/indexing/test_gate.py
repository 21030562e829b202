"""What a gate makes of the scores of both versions."""

from __future__ import annotations

from dataclasses import replace

from ragmesh.core.migrations import GateVerdict, MigrationPolicy
from ragmesh.evaluation.ranking import ranked
from ragmesh.evaluation.results import Evaluation
from ragmesh.evaluation.scoring import Seen
from ragmesh.indexing.gate import judged
from tests.unit.evaluation.builders import SEEN, evaluation_of, result_of

LOST = replace(SEEN, ranking=ranked(["x"]))
LENIENT = MigrationPolicy(max_regression=0.45)


def sliced(**seen: list[Seen]) -> Evaluation:
    """Sixty questions that are answered, and slices of as many as were seen."""
    results = [result_of(f"p{number}") for number in range(60)]
    for name, found in seen.items():
        results += [
            result_of(f"{name}{number}", one, slice=name) for number, one in enumerate(found)
        ]
    return evaluation_of(results)


def test_a_slice_that_lost_refuses_a_candidate_and_is_what_is_told() -> None:
    before = sliced(setup=[SEEN] * 20, prices=[SEEN] * 20)
    after = sliced(setup=[LOST] * 20, prices=[SEEN] * 20)
    found = judged(before, after, LENIENT)
    assert found.verdict is GateVerdict.REFUSED
    assert 'in the slice "setup"' in found.message
    assert {one.verdict for one in found.verdicts} == {GateVerdict.PASS}
    assert {one.slice for one in found.verdicts} == {""}
    told = {one.metric: one for one in found.slice_verdicts}
    assert {one.slice for one in found.slice_verdicts} == {"setup"}
    assert (told["recall"].serving, told["recall"].candidate) == (1.0, 0.0)
    assert (told["recall"].questions, told["recall"].verdict) == (20, GateVerdict.REFUSED)


def test_of_slices_the_refused_ones_are_told_before_the_inconclusive_ones() -> None:
    slices = {f"s{number}": [SEEN] * 20 for number in range(12)}
    worse = {name: [LOST] * 8 + [SEEN] * 12 for name in slices} | {"s11": [LOST] * 20}
    found = judged(sliced(**slices), sliced(**worse), LENIENT)
    told = [one.verdict for one in found.slice_verdicts]
    assert found.slice_verdicts[0].slice == "s11"
    assert told == sorted(told, key=lambda one: one is not GateVerdict.REFUSED)
    assert GateVerdict.INCONCLUSIVE in told
    assert len(told) == 30


def test_a_slice_of_few_questions_decides_nothing_and_is_not_told() -> None:
    before, after = sliced(setup=[SEEN] * 19), sliced(setup=[LOST] * 19)
    found = judged(before, after, LENIENT)
    assert (found.verdict, found.message, found.slice_verdicts) == (GateVerdict.PASS, "", ())
