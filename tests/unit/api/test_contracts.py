"""Rules of the contracts that no linter knows."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from enum import Enum
from types import ModuleType

import pytest
from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    FileDescriptor,
    MethodDescriptor,
)
from google.protobuf.message import Message

from ragmesh import api
from ragmesh.api.embedding.v1 import embedding_service_pb2
from ragmesh.api.gateway.v1 import ask_service_pb2, document_pb2, document_service_pb2
from ragmesh.api.types.v1 import access_pb2, answer_pb2, job_pb2, search_pb2, vector_pb2
from ragmesh.api.types.v1 import document_pb2 as types_document_pb2
from ragmesh.core.answers import AnswerStatus, CacheMode
from ragmesh.core.documents import DefaultAccess, DocumentState, JobState, Stage
from ragmesh.core.metadata import SortKind
from ragmesh.core.search import SearchMode
from ragmesh.core.vectors import Lane, SentenceKind


def modules() -> dict[str, ModuleType]:
    """Every generated module, by its name."""
    found = pkgutil.walk_packages(api.__path__, f"{api.__name__}.")
    return {module.name: importlib.import_module(module.name) for module in found}


FILES: list[FileDescriptor] = [
    module.DESCRIPTOR for name, module in modules().items() if name.endswith("_pb2")
]


def messages(parents: list[Descriptor]) -> Iterator[Descriptor]:
    for message in parents:
        yield message
        yield from messages(list(message.nested_types))


MESSAGES = [m for file in FILES for m in messages(list(file.message_types_by_name.values()))]
METHODS: list[MethodDescriptor] = [
    method
    for file in FILES
    for service in file.services_by_name.values()
    for method in service.methods
]
LISTS = [method for method in METHODS if method.name.startswith("List")]


def area(file: FileDescriptor) -> str:
    package: str = file.package
    return package.removeprefix("ragmesh.api.").removesuffix(".v1")


@pytest.mark.parametrize("method", LISTS, ids=lambda method: method.full_name)
def test_every_list_comes_in_pages(method: MethodDescriptor) -> None:
    assert {"page_size", "page_token"} <= set(method.input_type.fields_by_name)
    assert "next_page_token" in method.output_type.fields_by_name


def test_no_request_says_who_calls() -> None:
    said = {
        f"{method.input_type.full_name}.{field.name}"
        for method in METHODS
        for field in method.input_type.fields
        if field.name in {"caller", "principal", "groups", "roles", "subject"}
    }
    # The keys of others are what an administrator's call is about.
    assert said == {
        "ragmesh.api.gateway.v1.CreateKeyRequest.subject",
        "ragmesh.api.gateway.v1.CreateKeyRequest.groups",
        "ragmesh.api.gateway.v1.CreateKeyRequest.roles",
        "ragmesh.api.gateway.v1.UpdateKeyRequest.groups",
        "ragmesh.api.gateway.v1.UpdateKeyRequest.roles",
        "ragmesh.api.indexing.v1.UpdateKeyRequest.groups",
        "ragmesh.api.indexing.v1.UpdateKeyRequest.roles",
    }


def test_the_public_contract_knows_nothing_of_internal_ones() -> None:
    known = {
        area(dependency)
        for file in FILES
        if area(file) in {"gateway", "types"}
        for dependency in file.dependencies
        if dependency.package.startswith("ragmesh.")
    }
    assert known <= {"types", "gateway"}


def test_the_areas_meet_in_types_only() -> None:
    crossings = {
        (area(file), area(dependency))
        for file in FILES
        for dependency in file.dependencies
        if dependency.package.startswith("ragmesh.") and dependency.package != file.package
    }
    assert {target for _, target in crossings} == {"types"}
    assert "types" not in {source for source, _ in crossings}


def test_vectors_travel_as_bytes() -> None:
    lists_of_floats = [
        field.full_name
        for message in MESSAGES
        for field in message.fields
        if field.is_repeated and field.type in {FieldDescriptor.TYPE_FLOAT}
    ]
    assert lists_of_floats == []
    assert vector_pb2.Vector.DESCRIPTOR.fields_by_name["values"].type == FieldDescriptor.TYPE_BYTES


def test_no_field_is_named_like_a_word_of_python() -> None:
    from keyword import iskeyword

    assert [f.full_name for m in MESSAGES for f in m.fields if iskeyword(f.name)] == []


@pytest.mark.parametrize(
    ("states", "contract"),
    [
        (AnswerStatus, answer_pb2.AnswerStatus.DESCRIPTOR),
        (CacheMode, ask_service_pb2.CacheMode.DESCRIPTOR),
        (DefaultAccess, access_pb2.DefaultAccess.DESCRIPTOR),
        (DocumentState, types_document_pb2.DocumentState.DESCRIPTOR),
        (JobState, job_pb2.JobState.DESCRIPTOR),
        (Stage, job_pb2.JobStage.DESCRIPTOR),
        (SortKind, types_document_pb2.SortKind.DESCRIPTOR),
        (SearchMode, search_pb2.SearchMode.DESCRIPTOR),
        (Lane, embedding_service_pb2.Lane.DESCRIPTOR),
        (SentenceKind, vector_pb2.SentenceKind.DESCRIPTOR),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_core_and_contract_know_the_same_states(
    states: type[Enum], contract: EnumDescriptor
) -> None:
    zero = contract.values_by_number[0].name
    prefix = zero.removesuffix("UNSPECIFIED")
    spoken = {value.name.removeprefix(prefix) for value in contract.values} - {"UNSPECIFIED"}
    assert spoken == {state.name for state in states}


REST: dict[type[Message], str] = {
    ask_service_pb2.AskRequest: "question history filter limit cache",
    ask_service_pb2.AskResponse: (
        "answer status citations confidence groundedness cached model usage timings_ms"
        " index_version degraded request_id"
    ),
    ask_service_pb2.Citation: "marker document_id revision title chunk_id quote page span",
    ask_service_pb2.SearchRequest: "query limit mode filter score_threshold explain",
    ask_service_pb2.SearchResponse: "hits index_version heads_sequence degraded timings_ms",
    ask_service_pb2.Hit: (
        "chunk_id document_id revision title text score scores page headings span metadata"
    ),
    document_pb2.Document: (
        "document_id revision state chunks title content_type metadata access error updated_at"
        " properties"
    ),
    document_service_pb2.GetDocumentTextResponse: "text revision",
    answer_pb2.Usage: "prompt_tokens completion_tokens cost_dollars",
    types_document_pb2.Accepted: "document_id revision job_id state",
    job_pb2.Job: "state stage percent error",
}


@pytest.mark.parametrize("message", REST, ids=lambda message: message.DESCRIPTOR.full_name)
def test_the_contract_has_every_name_that_rest_promises(message: type[Message]) -> None:
    assert set(REST[message].split()) <= set(message.DESCRIPTOR.fields_by_name)


def test_a_limit_of_nought_is_told_from_no_limit() -> None:
    nought = ask_service_pb2.AskRequest.FromString(
        ask_service_pb2.AskRequest(limit=0).SerializeToString()
    )
    assert nought.HasField("limit")
    assert not ask_service_pb2.AskRequest().HasField("limit")


def test_no_access_list_is_told_from_an_empty_one() -> None:
    admins_only = document_pb2.DocumentHeader(access=access_pb2.AccessList())
    assert document_pb2.DocumentHeader.FromString(admins_only.SerializeToString()).HasField(
        "access"
    )
    assert not document_pb2.DocumentHeader().HasField("access")


def test_access_that_says_nothing_lets_nobody_but_administrators_in() -> None:
    silent = access_pb2.Access()
    assert not silent.everyone
    assert list(silent.groups) == []
