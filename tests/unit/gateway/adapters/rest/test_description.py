"""What the OpenAPI description promises about every route."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ragmesh.core.errors import error_classes
from ragmesh.gateway.adapters.rest.description import operations, reasons_of
from tests.unit.gateway.described import Described

IDEMPOTENCY = {"$ref": "#/components/parameters/IdempotencyKey"}
BETWEEN_SERVICES = {
    "CALLER_AUDIENCE_FOREIGN",
    "CALLER_EXPIRED",
    "CALLER_FORGED",
    "CALLER_KEY_NOT_ALLOWED",
    "CALLER_KEY_UNKNOWN",
    "CALLER_MALFORMED",
    "CALLER_MISSING",
    "CALLER_NOT_YET_VALID",
    "CALLER_TOO_LARGE",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_NAME_WRONG",
    "CERTIFICATE_NOT_YET_VALID",
    "CERTIFICATE_REFUSED",
    "CERTIFICATE_UNTRUSTED",
    "ENCRYPTION_MISMATCH",
    "METHOD_DENIED",
    "PEER_NAME_DENIED",
    "REQUESTER_OUTDATED",
    "TENANT_CHANGED",
}
"""What a user gets instead is PEER_UNAVAILABLE or INTERNAL."""
AT_THE_START = {
    "ADMIN_KEY_UNUSABLE",
    "CATALOG_NOT_MIGRATED",
    "CERTIFICATE_UNUSABLE",
    "CONSUMER_STUCK",
    "DATA_DIRECTORY_IN_USE",
    "DATA_DIRECTORY_UNUSABLE",
    "DATA_FROM_NEWER_VERSION",
    "INVALID_SETTINGS",
    "KEY_FILE_EXPOSED",
    "KEY_FILE_UNUSABLE",
    "KEY_NOT_LISTED",
    "LOOP_ENDED",
    "MODEL_CORRUPT",
    "MODEL_MISSING",
    "PARSERS_NOT_SEALED",
    "PORT_IN_USE",
    "PUBLIC_KEYS_UNUSABLE",
    "UNKNOWN_SETTING",
}
"""What keeps a process from starting, or ends it."""
ON_THE_COMMAND_LINE = {
    "BACKUP_DAMAGED",
    "BACKUP_NOT_FOUND",
    "BACKUP_UNSETTLED",
    "INCOMPARABLE_EVALUATIONS",
    "INVALID_EVALUATION",
    "PATH_UNREADABLE",
    "RESTORE_REFUSED",
    "TOPIC_WOULD_SHRINK",
}
BEHIND_AN_UPLOAD = {
    "EVENT_LOG_CREDENTIALS_REFUSED",
    "EVENT_LOG_DENIED",
    "EVENT_LOG_UNREACHABLE",
    "EVENT_LOG_VERSION_UNSUPPORTED",
    "TOPIC_MISSING",
}
"""What makes jobs wait; the log and readiness tell."""
OVER_GRPC_ONLY = {
    "READER_TOO_SLOW",
}
ELSEWHERE = (
    BETWEEN_SERVICES | AT_THE_START | ON_THE_COMMAND_LINE | BEHIND_AN_UPLOAD | OVER_GRPC_ONLY
)


@pytest.fixture(scope="module")
def description(described: Described) -> dict[str, Any]:
    return described.description


def test_every_reason_of_the_tree_is_documented_or_named_as_one_of_elsewhere(
    description: dict[str, Any],
) -> None:
    documented = set(description["components"]["examples"]) | set(
        description["components"]["schemas"]["ErrorReply"]["properties"]["reason"]["enum"]
    )
    shipped = {
        error.reason
        for error in error_classes().values()
        if error.__module__.startswith("ragmesh.")
    }
    assert documented - shipped == set()
    assert shipped - documented - ELSEWHERE == set(), (
        "say in gateway/adapters/rest/refusals.py which routes give them"
    )
    assert documented & ELSEWHERE == set()


def test_every_operation_names_its_errors_and_how_they_look(description: dict[str, Any]) -> None:
    examples = description["components"]["examples"]
    for path, method, operation in operations(description):
        where = f"{method} {path}"
        assert operation["summary"], where
        assert operation["description"], where
        assert "422" not in operation["responses"]
        assert {"INVALID_ARGUMENT", "FOREIGN_HOST", "INTERNAL"} <= reasons_of(operation), where
        assert reasons_of(operation) <= set(examples)


def test_the_examples_are_what_their_schemas_say(
    description: dict[str, Any], described: Described
) -> None:
    for name, schema in description["components"]["schemas"].items():
        if "example" in schema:
            described.validate(schema["example"], {"$ref": f"#/components/schemas/{name}"})
    for reason, example in description["components"]["examples"].items():
        described.validate(example["value"], {"$ref": "#/components/schemas/Problem"})
        assert example["value"]["reason"] == reason


def test_every_body_and_every_answer_has_an_example(description: dict[str, Any]) -> None:
    schemas = description["components"]["schemas"]
    for path, method, operation in operations(description):
        contents = [operation.get("requestBody", {}).get("content", {})]
        contents += [answer.get("content", {}) for answer in operation["responses"].values()]
        for content in contents:
            for kind, media in content.items():
                lone = media.get("schema", {})
                for one in lone.get("anyOf", [lone]):
                    named = schemas.get(one.get("$ref", "").rpartition("/")[2], one)
                    shown = {"example", "examples"} & (set(media) | set(named))
                    shown |= {
                        "examples"
                        for field in named.get("properties", {}).values()
                        if "examples" in field
                    }
                    assert shown, (method, path, kind)


def test_only_mutations_take_an_idempotency_key(description: dict[str, Any]) -> None:
    for path, method, operation in operations(description):
        unkeyed: tuple[str, ...] = ("/ask", "/search", ":estimate", ":replay", ":repair")
        unkeyed += (":release", "/chat/completions", "/embeddings")
        # What is put is the same however often.
        changes = method not in {"get", "put"} and not path.endswith(unkeyed)
        assert (IDEMPOTENCY in operation["parameters"]) == changes, path


def test_an_operation_is_named_once(description: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(description)]
    assert len(names) == len(set(names))
    assert {"answer_question", "list_documents", "show_job"} <= set(names)


def test_no_reference_leads_nowhere_and_nothing_is_of_any_shape(
    description: dict[str, Any],
) -> None:
    for reference in _references(description):
        found: Any = description
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        assert found
    shapeless = {"title", "description", "default", "examples"}
    for name, schema in description["components"]["schemas"].items():
        for field, shape in schema.get("properties", {}).items():
            assert set(shape) - shapeless, f"{name}.{field} may be anything"


def test_every_answer_has_the_id_of_its_request(description: dict[str, Any]) -> None:
    for path, method, operation in operations(description):
        for status, answer in operation["responses"].items():
            assert "X-Request-Id" in answer["headers"], (method, path, status)
            assert ("Retry-After" in answer["headers"]) == (status in ("429", "503"))


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for child in node.values():
            yield from _references(child)
    elif isinstance(node, list):
        for child in node:
            yield from _references(child)
