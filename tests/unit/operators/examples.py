"""Every rule of the custom resources by examples: what an API server takes, and what it refuses.

`test_examples.py` fails while a rule of the definitions has none; `tests/servers/operator` shows
them to an API server by itself, and `tests/cluster` to that of a cluster.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ragmesh_operator.resources import API_VERSION
from ragmesh_operator.schemas import COLLECTION, KINDS, TENANT
from tests.unit.operators.rules import WORDS, Rule, nodes_of

COLLECTIONS, TENANTS = COLLECTION.kind, TENANT.kind
_MISSING = object()
"""Stands where a field is left out."""
_WRONG = {"string": 7, "integer": "x", "number": "x", "boolean": "x", "object": "x", "array": "x"}
_AROUND: dict[str, dict[str, Any]] = {
    "sortable[]": {"field": "year", "kind": "number"},
    "migration.canary.steps[]": {"weight": 100},
    "evaluation.metrics[]": {"name": "recall"},
    "evaluation.goldenQueries.configMapRef": {"name": "golden"},
    "autoscaling.workers": {"max": 1000},
}
"""What has to stand beside a field, so that nothing else is wrong."""


@dataclass(frozen=True, slots=True)
class Example:
    """A resource that shows a rule."""

    rule: Rule
    resource: Mapping[str, Any]
    words: tuple[str, ...] = ()
    """How it is refused; none = it is taken."""

    @property
    def named(self) -> tuple[str, str]:
        """How a server speaks of it: kind and name."""
        return self.resource["kind"], self.resource["metadata"]["name"]


@dataclass(frozen=True, slots=True)
class Change:
    """A resource that is there, a change of it that is taken and one that is refused."""

    rule: Rule
    there: Mapping[str, Any]
    taken: Mapping[str, Any]
    refused: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Values:
    """What may stand at a place of a spec, and what may not by which word of the schema."""

    kind: str
    place: str
    taken: tuple[Any, ...]
    refused: Mapping[str, Any] = field(default_factory=dict)


def of(place: str, *taken: Any, **refused: Any) -> Values:
    """Values of a RAGCollection."""
    return Values(COLLECTIONS, place, taken, refused)


def of_tenant(place: str, *taken: Any, **refused: Any) -> Values:
    """Values of a RAGTenant."""
    return Values(TENANTS, place, taken, refused)


def between(place: str, least: float, most: float, *, step: float = 1, kind: str = "") -> Values:
    """Numbers, of which both bounds belong to what may be."""
    beyond = {"minimum": least - step, "maximum": most + step}
    return Values(kind or COLLECTIONS, place, (least, most), beyond)


def one_of(place: str, *taken: str, kind: str = "") -> Values:
    """Words of a list."""
    return Values(kind or COLLECTIONS, place, taken, {"enum": "Other"})


_DURATIONS = ("", "0s", "90s", "10m", "1h30m", "9999h9999m99999s")
_NO_DURATION = {"pattern": "soon", "maxLength": "1h" + "0" * 16 + "s"}
_STEPS = [{"weight": weight} for weight in range(1, 11)]
VALUES = (
    of("tenant", "acme", "a-0-b", "a" * 63, pattern="0a", maxLength="a" * 64),
    of("language", "en", "de-AT", "zh-Hant-TW", pattern="English", maxLength="en" + "-abcd" * 7),
    of("encoder", "e", "e" * 100, minLength="", maxLength="e" * 101),
    one_of("chunking.strategy", "Structure"),
    between("chunking.maxTokens", 16, 8192),
    between("chunking.overlapTokens", 0, 4096),
    one_of("index.metric", "Cosine"),
    one_of("index.keyword", "BM25"),
    one_of("defaultAccess", "open", "restricted"),
    of(
        "sortable",
        *([], [{"field": f"f{at}", "kind": "number"} for at in range(16)]),
        maxItems=[{"field": f"f{at}", "kind": "number"} for at in range(17)],
    ),
    of(
        *("sortable[].field", "f", "f" * 64),
        minLength="",
        maxLength="f" * 65,
        required=_MISSING,
    ),
    of("sortable[].kind", "number", "datetime", enum="Other", required=_MISSING),
    of(
        "migration.canary.steps",
        *([], [*_STEPS[:9], {"weight": 100}]),
        maxItems=[*_STEPS, {"weight": 100}],
    ),
    of("migration.canary.steps[].weight", 100, minimum=0, maximum=101, required=_MISSING),
    of("migration.canary.steps[].hold", *_DURATIONS, **_NO_DURATION),
    one_of("migration.approval", "Automatic", "Manual"),
    of("migration.soak", *_DURATIONS, **_NO_DURATION),
    of("migration.retain", *_DURATIONS, **_NO_DURATION),
    one_of("migration.onFailure", "Rollback", "Hold"),
    of("evaluation.goldenQueries.configMapRef", {"name": "golden"}, required=_MISSING),
    of(
        *("evaluation.goldenQueries.configMapRef.name", "g", "g" * 253),
        minLength="",
        maxLength="g" * 254,
        required=_MISSING,
    ),
    of(
        *("evaluation.goldenQueries.configMapRef.key", "k", "k" * 253),
        minLength="",
        maxLength="k" * 254,
    ),
    of(
        "evaluation.metrics",
        *([], [{"name": name} for name in ("recall", "ndcg", "mrr")]),
        maxItems=[{"name": "recall"}] * 4,
    ),
    of("evaluation.metrics[].name", "recall", "ndcg", "mrr", enum="Other", required=_MISSING),
    between("evaluation.metrics[].floor", 0, 1, step=0.001),
    between("evaluation.metrics[].maxRegression", 0, 1, step=0.001),
    between("evaluation.minQueries", 1, 100_000),
    one_of("autoscaling.provider", "auto", "keda", "native", "none"),
    between("autoscaling.workers.min", 1, 1000),
    between("autoscaling.workers.max", 1, 1000),
    between("autoscaling.workers.targetLagSeconds", 5, 86_400),
    between("autoscaling.scaleDown.stabilizationSeconds", 0, 86_400),
    between("autoscaling.scaleDown.step", 1, 1000),
    one_of("deletionPolicy", "Retain", "Delete"),
    of("paused", True, False),
    of_tenant("displayName", "", "Acme & Sons", "a" * 200, maxLength="a" * 201),
    between("quota.requestsPerMinute", 0, 2**31 - 1, kind=TENANTS),
    between("quota.inFlight", 0, 2**31 - 1, kind=TENANTS),
    between("quota.documents", 0, 2**53, kind=TENANTS),
    between("quota.storageBytes", 0, 2**53, kind=TENANTS),
    between("budget.monthlyDollars", 0, 1e9, kind=TENANTS),
    one_of("budget.onExceeded", "Refuse", "Degrade", kind=TENANTS),
    between("retention.days", 0, 36_500, kind=TENANTS),
    of_tenant("paused", True, False),
)

_GROW = Rule(COLLECTIONS, "spec.migration.canary", "weights must grow from step to step")
_LAST = Rule(COLLECTIONS, "spec.migration.canary", "the last step must have weight 100")
_OVERLAP = Rule(COLLECTIONS, "spec.chunking", "overlapTokens must be smaller than maxTokens")
_BOUNDS = Rule(COLLECTIONS, "spec.autoscaling.workers", "min must not be above max")
_TWICE = Rule(COLLECTIONS, "spec.evaluation", "a metric must not be named twice")
_TENANT = Rule(COLLECTIONS, "spec", "tenant cannot be changed")
_SORTABLE = Rule(COLLECTIONS, "spec", "sortable cannot be changed")
_NAMED = "the name must begin with a letter and hold lower-case letters, digits and hyphens only"


def _canary(*weights: int) -> dict[str, Any]:
    return {"migration": {"canary": {"steps": [{"weight": weight} for weight in weights]}}}


def _chunks(**chunking: int) -> dict[str, Any]:
    return {"chunking": chunking}


def _metrics(*names: str) -> dict[str, Any]:
    bounds = [{"name": name, "floor": at / 10} for at, name in enumerate(names)]
    return {"evaluation": {"metrics": bounds}}


def _workers(**workers: int) -> dict[str, Any]:
    return {"autoscaling": {"workers": workers}}


CONDITIONS: dict[Rule, tuple[tuple[dict[str, Any], ...], tuple[dict[str, Any], ...]]] = {
    _GROW: (
        (_canary(5, 50, 100), _canary(99, 100), _canary()),
        (_canary(50, 20, 100), _canary(50, 50, 100), _canary(100, 100)),
    ),
    _LAST: ((_canary(100), _canary(1, 100), _canary()), (_canary(50), _canary(50, 99))),
    _OVERLAP: (
        (
            _chunks(maxTokens=64, overlapTokens=63),
            _chunks(overlapTokens=4096),  # of as many as the encoder reads
            _chunks(maxTokens=16),
        ),
        (_chunks(maxTokens=64, overlapTokens=64), _chunks(maxTokens=64, overlapTokens=65)),
    ),
    _TWICE: (
        (_metrics("recall", "ndcg", "mrr"), _metrics("mrr"), _metrics()),
        (_metrics("mrr", "mrr"), _metrics("mrr", "ndcg", "mrr")),
    ),
    _BOUNDS: (
        (_workers(min=3, max=3), _workers(min=4), _workers(max=1)),
        (_workers(min=5, max=2), _workers(min=5)),  # more than the usual most
    ),
}
"""Specs that keep a condition, and specs that break it."""
NAMES = (("a", "a-0-b", "a" * 63), ("0a", "a.b", "a" * 64))
"""Names that keep the rule, and names that break it."""
_YEAR = [{"field": "year", "kind": "number"}]
_ELSE = {"encoder": "fast", "deletionPolicy": "Delete"}


def resource(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    """A resource as somebody applies it."""
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _fixed(name: str, **spec: Any) -> dict[str, Any]:
    return resource(COLLECTIONS, name, paused=True, **spec)


CHANGES = (
    Change(
        _TENANT,
        _fixed("fixed-tenant", tenant="acme"),
        _fixed("fixed-tenant", tenant="acme", **_ELSE),
        _fixed("fixed-tenant", tenant="other"),
    ),
    Change(
        _SORTABLE,
        _fixed("fixed-sortable", sortable=_YEAR),
        _fixed("fixed-sortable", sortable=_YEAR, **_ELSE),
        _fixed("fixed-sortable"),
    ),
)


def examples() -> tuple[Example, ...]:
    """All of new resources, each by a name that no other has."""
    count = itertools.count()
    return (
        *_of_values(count),
        *_of_types(count),
        *_of_conditions(count),
        *_of_names(),
        *_without_spec(),
    )


def taken(found: Iterable[Example]) -> list[Example]:
    """Those that break nothing."""
    return [one for one in found if not one.words]


def refused(found: Iterable[Example]) -> list[Example]:
    """Those that break a rule."""
    return [one for one in found if one.words]


def _of_values(count: Iterator[int]) -> Iterator[Example]:
    for values in VALUES:
        place = f"spec.{values.place}"
        for value in values.taken:
            made = _with(values.kind, f"t-{next(count)}", values.place, value)
            yield Example(Rule(values.kind, place, "type"), made)
        for word, value in values.refused.items():
            made = _with(values.kind, f"r-{next(count)}", values.place, value)
            yield _refusal(Rule(values.kind, place, word), made)


def _of_types(count: Iterator[int]) -> Iterator[Example]:
    """What has another type at each place; nobody has to write them down."""
    for rule, schema in (pair for kind in KINDS for pair in nodes_of(kind)):
        inner = rule.place.removeprefix("spec").removeprefix(".")
        wrong = _WRONG[schema["type"]]
        name = f"r-{next(count)}"
        made = _with(rule.kind, name, inner, wrong) if inner else resource(rule.kind, name)
        yield _refusal(rule, made if inner else {**made, "spec": wrong})


def _of_conditions(count: Iterator[int]) -> Iterator[Example]:
    for rule, (kept, broken) in CONDITIONS.items():
        for spec in kept:
            yield Example(rule, resource(rule.kind, f"t-{next(count)}", **spec))
        for spec in broken:
            made = resource(rule.kind, f"r-{next(count)}", **spec)
            yield Example(rule, made, (f"{rule.place}: ", rule.what))


def _of_names() -> Iterator[Example]:
    kept, broken = NAMES
    for kind in (COLLECTIONS, TENANTS):
        rule = Rule(kind, "", _NAMED)
        yield from (Example(rule, resource(kind, name)) for name in kept)
        yield from (Example(rule, resource(kind, name), (_NAMED,)) for name in broken)


def _without_spec() -> Iterator[Example]:
    for kind in (COLLECTIONS, TENANTS):
        made = resource(kind, "bare")
        del made["spec"]
        yield _refusal(Rule(kind, "spec", "required"), made)


def _refusal(rule: Rule, made: Mapping[str, Any]) -> Example:
    told = rule.place.replace("[]", "[0]")
    return Example(rule, made, (f"{told}: ", WORDS[rule.what]))


def _with(kind: str, name: str, place: str, value: Any) -> dict[str, Any]:
    """A resource in whose spec the value stands at a place."""
    made = resource(kind, name)
    node, above = made["spec"], ""
    *parts, last = place.split(".")
    for part in parts:
        above = f"{above}.{part}" if above else part
        inner = copy.deepcopy(_AROUND.get(above, {}))
        node[part.removesuffix("[]")] = [inner] if part.endswith("[]") else inner
        node = inner
    if value is _MISSING:
        node.pop(last, None)
    else:
        node[last.removesuffix("[]")] = [value] if last.endswith("[]") else value
    return made
