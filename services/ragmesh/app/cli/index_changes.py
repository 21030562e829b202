"""What `ragmesh collections update` says about the index of a collection."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from ragmesh.app.cli.printing import print_json
from ragmesh.app.cli.surroundings import numbers_by_name

if TYPE_CHECKING:
    from ragmesh.app.cli.surroundings import Client
    from ragmesh.core.documents import Chunking
    from ragmesh.core.migrations import IndexChange, IndexEstimate, MigrationPolicy

_Option = Callable[[Callable[..., None]], Callable[..., None]]
_MEBIBYTE = 1024 * 1024
_WISHES = ("encoder", "language", "max_tokens", "overlap_tokens", "dry_run")
_CAREFULNESS = (
    "canary",
    "approval",
    "soak",
    "retain",
    "on_failure",
    "max_regression",
    "min_questions",
)


@dataclass(frozen=True, slots=True)
class IndexWish:
    """What of the index is to be otherwise, as it was typed."""

    encoder: str | None
    language: str | None
    max_tokens: int | None
    overlap_tokens: int | None
    dry_run: bool
    carefulness: dict[str, Any]

    def change(self) -> IndexChange | None:
        """The change; None when nothing is said about the index."""
        from ragmesh.core.migrations import IndexChange

        change = IndexChange(
            encoder=self.encoder,
            chunking=self._chunking(),
            language=self.language,
            policy=self._policy(),
        )
        return None if change == IndexChange() else change

    def _chunking(self) -> Chunking | None:
        from ragmesh.core.documents import Chunking

        if self.max_tokens is None and self.overlap_tokens is None:
            return None
        return Chunking(self.max_tokens or 0, self.overlap_tokens or 0)

    def _policy(self) -> MigrationPolicy | None:
        from ragmesh.core.migrations import (
            DEFAULT_POLICY,
            Approval,
            MetricBound,
            MigrationPolicy,
            OnFailure,
            parse_canary,
        )

        said = {name: value for name, value in self.carefulness.items() if value not in (None, ())}
        if not said:
            return None
        default = DEFAULT_POLICY
        numbers = numbers_by_name(said.get("max_regression", ()), "--max-regression")
        allowed = numbers.pop("", default.max_regression)
        bounds = tuple(MetricBound(metric, number) for metric, number in numbers.items())
        canary = said.get("canary")
        return MigrationPolicy(
            canary=default.canary
            if canary is None
            else parse_canary([step for step in canary.split(",") if step]),
            approval=Approval(said.get("approval", default.approval.value)),
            soak_seconds=said.get("soak", default.soak_seconds),
            retain_seconds=said.get("retain", default.retain_seconds),
            on_failure=OnFailure(said.get("on_failure", default.on_failure.value)),
            max_regression=allowed,
            max_regressions=bounds,
            min_questions=said.get("min_questions", default.min_questions),
        )


def index_options(command: Callable[..., None]) -> Callable[..., None]:
    """What the index should be and how carefully it is changed; handed over as an IndexWish."""

    @functools.wraps(command)
    def with_wish(*args: Any, **options: Any) -> None:
        wish = {name: options.pop(name) for name in _WISHES}
        careful = {name: options.pop(name) for name in _CAREFULNESS}
        command(*args, wish=IndexWish(**wish, carefulness=careful), **options)

    decorated: Callable[..., None] = with_wish
    for option in reversed((*_what_options(), *_careful_options())):
        decorated = option(decorated)
    return decorated


def _what_options() -> tuple[_Option, ...]:
    return (
        click.option("--encoder", metavar="NAME", help="Encoder that the index should have."),
        click.option("--language", metavar="CODE", help="Language that it should be built for."),
        click.option("--max-tokens", type=click.IntRange(0), help="Most tokens of a chunk."),
        click.option("--overlap-tokens", type=click.IntRange(0), help="Tokens that chunks share."),
        click.option("--dry-run", is_flag=True, help="Only say what it would build and take."),
    )


def _careful_options() -> tuple[_Option, ...]:
    return (
        click.option(
            "--canary",
            metavar="PERCENT:SECONDS,…",
            help="Shares of the questions before it gets all (10:300,50:300); empty for none.",
        ),
        click.option(
            "--approval",
            type=click.Choice(["automatic", "manual"]),
            help="Whether somebody must approve an index that passed the gate (automatic).",
        ),
        click.option(
            "--soak", type=click.FloatRange(0), help="Seconds in which one can go back (3600)."
        ),
        click.option("--retain", type=click.FloatRange(0), help="Seconds more, after that (0)."),
        click.option(
            "--on-failure",
            type=click.Choice(["rollback", "hold"]),
            help="What becomes of an index that fails while it answers (rollback).",
        ),
        click.option(
            "--max-regression",
            multiple=True,
            metavar="[METRIC=]NUMBER",
            help="How much worse a metric of the golden questions may be; without a name, every "
            "other one (0.02).",
        ),
        click.option(
            "--min-questions",
            type=click.IntRange(1),
            help="Golden questions without which nothing is decided (20).",
        ),
    )


def tell_index(client: Client, name: str, change: IndexChange, *, dry_run: bool) -> None:
    """Ask for the index, or what it would build, and show what is answered."""
    from ragmesh.app.cli.migrations import show_migration

    if not dry_run:
        show_migration(client, client.call(lambda mesh: mesh.want_index(name, change)))
        return
    estimate = client.call(lambda mesh: mesh.estimate_index(name, change))
    if client.as_json:
        print_json(estimate)
    else:
        click.echo(_sentence(estimate))


def _sentence(estimate: IndexEstimate) -> str:
    if not estimate.index_version:
        return f"would build nothing: {estimate.reason}"
    costs = "" if estimate.dollars is None else f" (about ${estimate.dollars:.2f})"
    tokens = "" if estimate.tokens is None else f", {estimate.tokens} tokens to be embedded{costs}"
    return (
        f"would build {estimate.index_version} with {estimate.encoder}: "
        f"{estimate.documents} documents, about {estimate.chunks} chunks{tokens} and "
        f"{estimate.vector_bytes / _MEBIBYTE:.1f} MiB of vectors, "
        f"in {estimate.seconds:.0f} s or more"
    )
