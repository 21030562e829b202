"""Schemas of Kubernetes' kinds for kubeconform, made offline from what its makers publish in Go.

An API server would say the same at /openapi/v3, but only of its own version, and only when one
runs. The module of Kubernetes holds it for every version, and modules of others their resources.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tools.example_clients import find_go
from tools.generate_protos import ROOT, ToolError
from tools.programs.fetching import made_once

MODULES = ROOT / "tools" / "programs" / "schemas" / "modules.yaml"
LOCATION = "{{.Group}}_{{.ResourceKind}}_{{.ResourceAPIVersion}}.json"
"""How kubeconform finds the schema of a kind in a folder of a version."""
KINDS = frozenset(
    {
        *("ConfigMap", "Namespace", "PersistentVolumeClaim", "Pod", "ResourceQuota", "Secret"),
        *("Service", "ServiceAccount"),
        *("DaemonSet", "Deployment", "StatefulSet", "CronJob", "Job"),
        *("HorizontalPodAutoscaler", "PodDisruptionBudget", "Ingress", "NetworkPolicy"),
        *("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"),
        "CustomResourceDefinition",
    }
)
"""Of Kubernetes itself, those that charts may have."""
_DEFINITIONS = "#/definitions/"
_MEANT = frozenset(
    {
        *("$ref", "additionalProperties", "allOf", "anyOf", "description", "enum", "items"),
        *("maxItems", "maxLength", "maximum", "minItems", "minLength", "minimum", "not", "oneOf"),
        *("pattern", "properties", "required", "type"),
    }
)
"""What JSON schema understands of OpenAPI."""
_BY_NAME = frozenset({"properties"})
_OWN_SHAPES = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": ["string", "integer"]},
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": ["string", "number"]},
}


def supported_versions() -> list[str]:
    """Of Kubernetes, the oldest first."""
    return [pin["version"].removeprefix("v") for pin in _pins()["kubernetes"]]


def make_schemas(made: Path) -> None:
    """Write a folder for each version, with a file for each kind."""
    pins = _pins()
    resources = [
        resource
        for pin in pins["resources"]
        for file in pin["files"]
        for resource in _of_resources((_downloaded(pin) / file).read_text(encoding="utf-8"))
    ]
    for pin in pins["kubernetes"]:
        folder = made / pin["version"].removeprefix("v")
        folder.mkdir()
        swagger = _downloaded(pin) / "api" / "openapi-spec" / "swagger.json"
        own = of_swagger(json.loads(swagger.read_text(encoding="utf-8")))
        for name, schema in (*own, *resources):
            (folder / name).write_text(json.dumps(schema), encoding="utf-8")


def fetch_definition(name: str) -> str:
    """The manifest of others' custom resource, by the name of its file, as they publish it."""
    for pin in _pins()["resources"]:
        for file in pin["files"]:
            if Path(file).name == name:
                manifest: Path = _downloaded(pin) / file
                return manifest.read_text(encoding="utf-8")
    raise ToolError(f"{MODULES.name} names no {name}")


def _pins() -> Any:
    return yaml.safe_load(MODULES.read_text(encoding="utf-8"))


def _downloaded(pin: Mapping[str, str]) -> Path:
    """The folder of a module, after a look at its sum."""
    module = f"{pin['module']}@{pin['version']}"
    command: list[str | Path] = [find_go(), "mod", "download", "-json", module]
    ran = subprocess.run(command, cwd=os.path.sep, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise ToolError(f"{pin['module']} cannot be had: {ran.stdout}{ran.stderr}")
    found = json.loads(ran.stdout)
    if found["Sum"] != pin["sum"]:
        raise ToolError(f"{pin['module']} {pin['version']} is not what {MODULES.name} pins")
    return Path(found["Dir"])


def of_swagger(swagger: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """File names and schemas of the kinds that Kubernetes itself has."""
    definitions = {
        name: _OWN_SHAPES.get(name) or strict(one) for name, one in swagger["definitions"].items()
    }
    for name, one in swagger["definitions"].items():
        for kind in one.get("x-kubernetes-group-version-kind", ()):
            if kind["kind"] in KINDS and name.endswith(f".{kind['version']}.{kind['kind']}"):
                needed = _needed(name, definitions)
                yield (
                    _file_name(kind["group"], kind["version"], kind["kind"]),
                    {"$ref": _DEFINITIONS + name, "definitions": needed},
                )


def _of_resources(manifest: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The same of a manifest of custom resources."""
    for resource in yaml.load_all(manifest, Loader=yaml.CSafeLoader):
        spec = resource["spec"]
        for version in spec["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            yield _file_name(spec["group"], version["name"], spec["names"]["kind"]), schema


def _file_name(group: str, version: str, kind: str) -> str:
    return f"{group or version}_{kind.lower()}_{version}.json"


def strict(part: Mapping[str, Any]) -> dict[str, Any]:
    """An OpenAPI schema as a JSON schema that refuses what it does not name."""
    schema: dict[str, Any] = {}
    for key in _MEANT & part.keys():
        schema[key] = _strict_value(key, part[key])
    if part.get("x-kubernetes-int-or-string"):
        schema.pop("type", None)
        schema.pop("anyOf", None)
        schema["type"] = ["string", "integer"]
    open_to_more = part.get("x-kubernetes-preserve-unknown-fields", False)
    if "properties" in schema and "additionalProperties" not in schema and not open_to_more:
        schema["additionalProperties"] = False
    if part.get("nullable") and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    return schema


def _strict_value(key: str, value: Any) -> Any:
    if key in _BY_NAME:
        return {name: strict(one) for name, one in value.items()}
    if isinstance(value, Mapping):
        return strict(value)
    if isinstance(value, list) and key in {"allOf", "anyOf", "oneOf"}:
        # What is demanded beside properties names some of them, and closes nothing.
        return [{inner: one[inner] for inner in one if inner in _MEANT} for one in value]
    return value


def _needed(name: str, definitions: Mapping[str, Any]) -> dict[str, Any]:
    """A definition with all that it refers to."""
    needed: dict[str, Any] = {}
    waiting = [name]
    while waiting:
        one = waiting.pop()
        if one not in needed:
            needed[one] = definitions[one]
            waiting += [found.removeprefix(_DEFINITIONS) for found in _references(needed[one])]
    return needed


def _references(part: Any) -> Iterable[str]:
    if isinstance(part, Mapping):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for inner in part.values():
            yield from _references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _references(inner)


def fetch_schemas() -> Path:
    """Have the schemas, unless they are here already; their folder."""
    return made_once("kubernetes-schemas", MODULES.parent, make_schemas)
