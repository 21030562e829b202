"""Makes the definitions that a cluster is given out of the classes of `resources.py`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from ragmesh_operator.resources import GROUP, NAME, VERSION, CollectionSpec, Part, Rule, TenantSpec
from ragmesh_operator.statuses import CollectionStatus, TenantStatus

_DROPPED = frozenset({"title", "additionalProperties", "$defs"})
NAME_RULE = Rule(
    f"self.metadata.name.matches('{NAME}')",
    "the name must begin with a letter and hold lower-case letters, digits and hyphens only",
)


@dataclass(frozen=True, slots=True)
class Column:
    """What `kubectl get` shows of a resource."""

    name: str
    path: str
    type: str = "string"


@dataclass(frozen=True, slots=True)
class Kind:
    """A custom resource as a whole."""

    kind: str
    plural: str
    short: str
    description: str
    spec: type[Part]
    status: type[Part]
    columns: tuple[Column, ...]


_READY = Column("Ready", '.status.conditions[?(@.type=="Ready")].status')
_AGE = Column("Age", ".metadata.creationTimestamp", "date")
COLLECTION = Kind(
    kind="RAGCollection",
    plural="ragcollections",
    short="ragc",
    description="A collection of documents: how it is indexed, judged and scaled.",
    spec=CollectionSpec,
    status=CollectionStatus,
    columns=(
        Column("Active", ".status.activeVersion"),
        Column("Candidate", ".status.candidateVersion"),
        Column("Weight", ".status.weights[0].weight", "integer"),
        Column("Phase", ".status.migration.phase"),
        Column("Documents", ".status.documents.accepted", "integer"),
        Column("Backlog", ".status.ingestion.backlog", "integer"),
        _READY,
        _AGE,
    ),
)
TENANT = Kind(
    kind="RAGTenant",
    plural="ragtenants",
    short="ragt",
    description="An owner of collections: what it may use and spend. The mesh refuses everybody "
    "else who would change or delete the tenant, until the resource is deleted. The tenant stays.",
    spec=TenantSpec,
    status=TenantStatus,
    columns=(Column("Name", ".spec.displayName"), _READY, _AGE),
)
KINDS = (COLLECTION, TENANT)


def definition(kind: Kind) -> dict[str, Any]:
    """The CustomResourceDefinition of a kind."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "singular": kind.kind.lower(),
                "shortNames": [kind.short],
                "categories": ["ragmesh"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        {"name": one.name, "type": one.type, "jsonPath": one.path}
                        for one in kind.columns
                    ],
                    "schema": {"openAPIV3Schema": _root(kind)},
                }
            ],
        },
    }


def _root(kind: Kind) -> dict[str, Any]:
    return {
        "type": "object",
        "description": kind.description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": schema_of(kind.spec),
            "status": _without_defaults(schema_of(kind.status)),
        },
        "x-kubernetes-validations": _rules((NAME_RULE,)),
    }


def schema_of(part: type[Part]) -> dict[str, Any]:
    """A class as a structural schema: nothing referred to, nothing said twice."""
    whole = part.model_json_schema(by_alias=True, mode="validation")
    models = {model.__name__: model for model in parts_of(part)}
    found: dict[str, Any] = _structural(whole, whole.get("$defs", {}), models)
    return found | _validations(part)


def parts_of(part: type[Part]) -> Iterator[type[Part]]:
    """The class and every class that it is made of."""
    yield part
    for field in part.model_fields.values():
        for nested in _models_in(field.annotation):
            yield from parts_of(nested)


def _models_in(annotation: Any) -> Iterator[type[Part]]:
    if isinstance(annotation, type) and issubclass(annotation, Part):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _structural(node: Any, shared: Mapping[str, Any], models: Mapping[str, type[Part]]) -> Any:
    if isinstance(node, list):
        return [_structural(one, shared, models) for one in node]
    if not isinstance(node, dict):
        return node
    if "anyOf" in node:  # a field that may be missing; null is no value of ours
        (real,) = [one for one in node["anyOf"] if one.get("type") != "null"]
        rest = {key: value for key, value in node.items() if key != "anyOf"}
        return _structural(rest | real, shared, models)
    merged: dict[str, Any] = {}
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        merged |= _structural(shared[name], shared, models) | _validations(models[name])
    for key, value in node.items():
        if key in _DROPPED or key == "$ref" or (key == "default" and value is None):
            continue
        if key == "properties":
            merged[key] = {name: _structural(one, shared, models) for name, one in value.items()}
        elif key == "const":
            merged["enum"] = [value]
        elif key == "default":
            merged[key] = _without_nulls(value)  # whole: rules read it before parts have defaults
        else:
            merged[key] = _structural(value, shared, models)
    return merged


def _without_nulls(node: Any) -> Any:
    if isinstance(node, list):
        return [_without_nulls(one) for one in node]
    if not isinstance(node, dict):
        return node
    return {key: _without_nulls(value) for key, value in node.items() if value is not None}


def _without_defaults(node: Any) -> Any:
    """A status holds what was found and nothing else."""
    if isinstance(node, list):
        return [_without_defaults(one) for one in node]
    if not isinstance(node, dict):
        return node
    return {key: _without_defaults(value) for key, value in node.items() if key != "default"}


def _validations(part: type[Part]) -> dict[str, Any]:
    return {"x-kubernetes-validations": _rules(part.rules)} if part.rules else {}


def _rules(rules: tuple[Rule, ...]) -> list[dict[str, str]]:
    return [{"rule": one.rule, "message": one.message} for one in rules]
