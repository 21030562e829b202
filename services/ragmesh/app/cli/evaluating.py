"""`ragmesh evaluate`: how well golden questions are answered, and whether a change may go live."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from ragmesh.app.cli.printing import print_json
from ragmesh.app.cli.surroundings import (
    Client,
    client_options,
    collection_option,
    json_option,
    numbers_by_name,
)

if TYPE_CHECKING:
    from ragmesh.app.cli.measuring import Plan
    from ragmesh.evaluation.judging import Judgement, Rules
    from ragmesh.evaluation.results import Evaluation

INCONCLUSIVE = 3
"""Exit code of a gate that cannot say; 1 is a candidate that fails, 2 wrong usage."""
DEFAULT_K = 10
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group()
def evaluate() -> None:
    """Ask golden questions and judge the answers."""


def run_options(command: Callable[..., None]) -> Callable[..., None]:
    """What to ask and how; the command is handed a Plan and where to write for it."""

    @click.argument("golden", type=_FILE)
    @collection_option
    @click.option("--k", type=click.IntRange(1, 60), help=f"Documents of a ranking ({DEFAULT_K}).")
    @click.option(
        "--at-once",
        type=click.IntRange(1, 32),
        default=1,
        help="Questions under way at a time; more than one make each other wait (1).",
    )
    @click.option("-o", "--out", type=_FILE, help="File to write the results to, for `compare`.")
    @functools.wraps(command)
    def with_run(*args: Any, **options: Any) -> None:
        asked = {name: options.pop(name) for name in ("golden", "collection", "k", "at_once")}
        command(*args, plan=functools.partial(_plan, **asked), **options)

    return with_run


def rules_options(command: Callable[..., None]) -> Callable[..., None]:
    """What a candidate must keep to; the command is handed Rules for it."""

    @click.option(
        "--max-regression",
        multiple=True,
        metavar="[METRIC=]NUMBER",
        help="How much worse a metric may become; without a name, every other one (0.02).",
    )
    @click.option(
        "--floor", multiple=True, metavar="METRIC=NUMBER", help="What a metric must reach."
    )
    @click.option(
        "--ceiling",
        multiple=True,
        metavar="FIGURE=NUMBER",
        help="What a figure (answer_p95_ms, cost_dollars …) must not exceed.",
    )
    @click.option(
        "--min-questions",
        type=click.IntRange(1),
        default=20,
        help="Fewer are never judged: the verdict is inconclusive (20).",
    )
    @functools.wraps(command)
    def with_rules(*args: Any, **options: Any) -> None:
        names = ("max_regression", "floor", "ceiling", "min_questions")
        command(*args, rules=_rules(**{name: options.pop(name) for name in names}), **options)

    return with_rules


@evaluate.command()
@run_options
@client_options
def run(client: Client, plan: Callable[..., Plan], out: Path | None) -> None:
    """Ask every question of the file GOLDEN, and show how good ranking and answers are."""
    from ragmesh.app.cli.verdicts import evaluation_fields, evaluation_lines

    found = _evaluated(client, plan(), out)
    if client.as_json:
        print_json(evaluation_fields(found))
    else:
        _echo(evaluation_lines(found))


@evaluate.command()
@click.argument("baseline", type=_FILE)
@click.argument("candidate", type=_FILE)
@rules_options
@json_option
def compare(baseline: Path, candidate: Path, rules: Rules, as_json: bool) -> None:
    """Show what changed between two results, and the verdict that `gate` would give."""
    from ragmesh.evaluation.comparing import compare as compared
    from ragmesh.evaluation.judging import judge

    before, after = _read(baseline), _read(candidate)
    comparison = compared(before, after)
    _show(judge(after, rules, comparison), after, before, as_json=as_json)


@evaluate.command()
@run_options
@click.option("--baseline", type=_FILE, help="Results that the candidate must not fall behind.")
@rules_options
@client_options
@click.pass_context
def gate(
    context: click.Context,
    client: Client,
    plan: Callable[..., Plan],
    out: Path | None,
    baseline: Path | None,
    rules: Rules,
) -> None:
    """Ask the questions and say by the exit code whether the mesh may go live.

    0: it passes. 1: it fails. 3: inconclusive; hold, ask more questions or measure again.
    """
    from ragmesh.evaluation.comparing import compare as compared
    from ragmesh.evaluation.judging import Verdict, judge

    if baseline is None and not (rules.floors or rules.ceilings):
        raise click.UsageError("nothing to hold it to: give --baseline, --floor or --ceiling")
    before = None if baseline is None else _read(baseline)
    after = _evaluated(client, plan() if before is None else plan(default_k=before.k), out)
    judgement = judge(after, rules, None if before is None else compared(before, after))
    _show(judgement, after, before, as_json=client.as_json)
    codes = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.INCONCLUSIVE: INCONCLUSIVE}
    context.exit(codes[judgement.verdict])


@evaluate.command("draft")
@collection_option
@click.option("-o", "--out", type=_FILE, required=True, help="File to write; it must not exist.")
@click.option("-n", "--count", type=click.IntRange(2, 1_000), default=60, help="Drafts (60).")
@click.option("--seed", type=int, default=1, help="Another one draws other passages (1).")
@click.option(
    "--engine",
    metavar="NAME",
    help="Have this model of generation.endpoints write the questions; it is sent the passages.",
)
@click.option("--config", "file", metavar="FILE", help="YAML file of settings, for --engine.")
@client_options
def draft_(  # noqa: PLR0913 - one parameter an option
    client: Client,
    collection: str,
    out: Path,
    count: int,
    seed: int,
    engine: str | None,
    file: str | None,
) -> None:
    """Draft golden questions from passages of a collection's documents, to be finished by people.

    Passages are drawn from as many documents as there are. Without --engine the questions are
    yours to write. One draft in six is to be a question that nothing answers. Each line says what
    to do, and none counts before its `draft` is removed.
    """
    from ragmesh.app.cli.drafting import Wanted, drafted
    from ragmesh.core.names import collection_name

    _refuse_to_write(out)
    wanted = Wanted(collection_name(collection), count, seed)
    drafts = drafted(client, wanted, engine, file)
    _write(out, "".join(f"{one.line()}\n" for one in drafts))
    questions = sum(bool(one.question) for one in drafts)
    if client.as_json:
        print_json({"file": str(out), "drafts": len(drafts), "questions": questions})
        return
    click.echo(
        f"{out}: {len(drafts)} drafts, {questions} of them with a question. Finish each, then"
        " remove its `draft` and `passage`."
    )


def _refuse_to_write(out: Path) -> None:
    """What cannot be written is told before the work, not after it."""
    try:
        taken, homeless = out.exists(), not out.parent.is_dir()
    except OSError as error:
        raise click.BadParameter(f"{out}: {error.strerror}", param_hint="--out") from error
    if taken:
        raise click.BadParameter(f"{out} exists; drafts never replace it", param_hint="--out")
    if homeless:
        raise click.BadParameter(f"{out.parent} is no folder", param_hint="--out")


def _plan(
    *, golden: Path, collection: str, k: int | None, at_once: int, default_k: int = DEFAULT_K
) -> Plan:
    from ragmesh.app.cli.measuring import Plan
    from ragmesh.core.names import collection_name
    from ragmesh.evaluation.golden import read_golden

    name = collection_name(collection)
    return Plan(read_golden(read_file(golden)), name, default_k if k is None else k, at_once)


def _rules(
    *,
    max_regression: Sequence[str],
    floor: Sequence[str],
    ceiling: Sequence[str],
    min_questions: int,
) -> Rules:
    from ragmesh.core.errors import InvalidError
    from ragmesh.evaluation.judging import DEFAULT_ALLOWED, Rules

    regressions = numbers_by_name(max_regression, "--max-regression")
    allowed = regressions.pop("", DEFAULT_ALLOWED)
    try:
        return Rules(
            allowed=allowed,
            max_regressions=MappingProxyType(regressions),
            floors=MappingProxyType(numbers_by_name(floor, "--floor")),
            ceilings=MappingProxyType(numbers_by_name(ceiling, "--ceiling")),
            min_questions=min_questions,
        )
    except InvalidError as error:
        raise click.UsageError(error.message) from error


def _evaluated(client: Client, plan: Plan, out: Path | None) -> Evaluation:
    from ragmesh.app.cli.measuring import evaluate as measured
    from ragmesh.app.cli.reporting import counting
    from ragmesh.evaluation.files import evaluation_text

    if out is not None and not out.parent.is_dir():
        raise click.BadParameter(f"{out.parent} is no folder", param_hint="--out")
    with counting("asking", len(plan.golden.questions), silent=client.as_json) as tell:
        found = client.call(lambda mesh: measured(mesh, plan, tell))
    if out is not None:
        _write(out, evaluation_text(found))
    return found


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.BadParameter(f"{path}: {error.strerror}", param_hint="--out") from error


def _read(path: Path) -> Evaluation:
    from ragmesh.evaluation.files import read_evaluation

    return read_evaluation(read_file(path))


def read_file(path: Path) -> bytes:
    """The bytes of a file that was named on the command line."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise click.BadParameter(f"{path}: {error.strerror}") from error


def _show(
    judgement: Judgement, candidate: Evaluation, baseline: Evaluation | None, *, as_json: bool
) -> None:
    from ragmesh.app.cli.verdicts import judgement_fields, judgement_lines

    if as_json:
        print_json(judgement_fields(judgement, candidate, baseline))
    else:
        _echo(judgement_lines(judgement, candidate))


def _echo(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)
