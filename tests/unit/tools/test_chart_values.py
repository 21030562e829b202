"""What is made of a chart's commented values: a closed schema and a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from tools.charts.kinds import of_swagger, strict
from tools.charts.readme import readme_text
from tools.charts.schema import schema_of
from tools.charts.settings import settings_shape
from tools.charts.values import Value, read_values
from tools.generate_protos import ToolError

VALUES = """\
##@ First

# -- What to run.
# @schema enum: [embedded, distributed]
mode: embedded
# What every service takes.
defaults:
  # How many | pods.
  replicas: 1
  # What it is given.
  # @schema type: resources
  resources: {}

##@ Services

# The door.
# @schema ref: defaults
gateway:
  # Its kind.
  kind: ClusterIP
"""
CHART = {
    "name": "some",
    "description": "Some chart.",
    "version": "1.0.0",
    "kubeVersion": ">=1.31.0-0",
}


def values_of(folder: Path, text: str = VALUES) -> tuple[Value, ...]:
    path = folder / "values.yaml"
    path.write_text(text, encoding="utf-8")
    return read_values(path)


def refusal(folder: Path, values: Any) -> str:
    """The sentence with which the schema refuses; empty when it does not."""
    schema = schema_of(values_of(folder), ["a-library"])
    faults = jsonschema_rs.Draft7Validator(schema).iter_errors(values)
    return "; ".join(fault.message for fault in faults)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"mode": "distributed"},
        {"gateway": {"kind": "NodePort", "replicas": 3, "resources": {"limits": {"cpu": "2"}}}},
        {"global": {"any": 1}, "a-library": {"global": {}}},
    ],
)
def test_what_the_file_describes_is_taken(tmp_path: Path, values: dict[str, Any]) -> None:
    assert refusal(tmp_path, values) == ""


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"mod": "embedded"}, "'mod' was unexpected"),
        ({"mode": "both"}, '"both" is not one of'),
        ({"defaults": {"replicas": "1"}}, '"1" is not of type "integer"'),
        ({"gateway": {"replica": 1}}, "'replica' was unexpected"),
        ({"gateway": {"resources": {"limit": {}}}}, "'limit' was unexpected"),
        ({"gateway": {"resources": {"limits": {"cpu": "2 cores"}}}}, "does not match"),
    ],
)
def test_whatever_else_is_refused_by_name(
    tmp_path: Path, values: dict[str, Any], said: str
) -> None:
    assert said in refusal(tmp_path, values)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mode: embedded\n", "mode: a comment above it must say what it is for"),
        ("# A list.\nthings: []\n", "things: its default does not tell its type"),
        ("# Nothing.\nurl:\n", "url: its default does not tell its type"),
        ("# @shcema type: map\nmode: a\n", "@shcema means nothing here"),
        ("# Far away.\n\nmode: a\n", "mode: a comment above it"),
    ],
)
def test_a_value_that_is_not_explained_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ToolError, match=said):
        values_of(tmp_path, text)


def test_an_object_like_another_that_is_not_there_is_refused(tmp_path: Path) -> None:
    values = values_of(tmp_path, "# One.\n# @schema ref: none\none: {}\n")
    with pytest.raises(ToolError, match="ref: none: there is no such value"):
        schema_of(values, [])


def test_the_table_has_every_value_under_the_title_above_it(tmp_path: Path) -> None:
    first, services = readme_text(CHART, values_of(tmp_path)).split("## Services")
    assert "| `mode` | `embedded` \\| `distributed` | `embedded` | What to run. |" in first
    assert "| `defaults.replicas` | integer | `1` | How many \\| pods. |" in first
    assert "| `gateway` | object |  | The door. |" in services
    assert "Version 1.0.0, for Kubernetes >=1.31.0." in first


def test_a_kind_of_kubernetes_refuses_what_it_does_not_name() -> None:
    port = {"properties": {"port": {"$ref": "#/definitions/v1.IntOrString"}}, "type": "object"}
    swagger = {
        "definitions": {
            "io.k8s.api.core.v1.Service": {
                "type": "object",
                "properties": {"spec": {"$ref": "#/definitions/Spec"}},
                "x-kubernetes-group-version-kind": [
                    {"group": "", "version": "v1", "kind": "Service"}
                ],
            },
            "Spec": port,
            "v1.IntOrString": {"type": "string"},
            "Unused": {"type": "string"},
        }
    }
    ((name, schema),) = of_swagger(swagger)
    assert name == "v1_service_v1.json"
    assert "Unused" not in schema["definitions"]
    assert jsonschema_rs.is_valid(schema, {"spec": {"port": "http"}})
    assert not jsonschema_rs.is_valid(schema, {"spec": {"prot": "http"}})


@pytest.mark.parametrize(
    ("openapi", "taken"),
    [
        (
            {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {}},
            {"a": 1},
        ),
        ({"x-kubernetes-int-or-string": True, "anyOf": [{"type": "string"}]}, 5),
        ({"type": "string", "nullable": True}, None),
        ({"properties": {"type": {"type": "string"}}, "type": "object"}, {"type": "a"}),
    ],
)
def test_openapi_says_some_things_in_its_own_way(openapi: dict[str, Any], taken: object) -> None:
    assert jsonschema_rs.is_valid(strict(openapi), taken)


@pytest.mark.parametrize(
    "settings",
    [
        {"generation": {"min_confidence": 0.4}},
        {"generation": {"min_confidence": "0.4"}},  # as `helm --set` says it
        {"retrieval": {"reranker": {"timeout_seconds": 30}}},  # laid over one with a url
        {"embedding": {"encoders": [{"name": "fast", "kind": "fast"}]}},
        {"log": {"form": None}},
    ],
)
def test_settings_may_say_a_part_of_what_processes_take(settings: dict[str, Any]) -> None:
    assert jsonschema_rs.is_valid(settings_shape(), settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"gatway": {}}, "'gatway' was unexpected"),
        ({"gateway": {"tls": {"certificat_file": "x"}}}, "'certificat_file' was unexpected"),
        ({"embedding": {"encoders": [{"nme": "fast"}]}}, "'nme' was unexpected"),
        ({"gateway": {"in_flight": "many"}}, '"many" is not of type "integer"'),
        ({"generation": {"min_confidence": "some"}}, '"some" does not match'),
        ({"log": {"form": "xml"}}, '"xml" is not one of'),
    ],
)
def test_settings_that_no_process_takes_are_refused_by_name(
    settings: dict[str, Any], said: str
) -> None:
    faults = jsonschema_rs.Draft7Validator(settings_shape()).iter_errors(settings)
    assert said in "; ".join(fault.message for fault in faults)
