"""What the client says is what the server reads, and the other way round."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ragmesh.api.gateway.v1 import ask_service_pb2 as ask_pb
from ragmesh.api.gateway.v1 import collection_service_pb2 as collection_pb
from ragmesh.api.gateway.v1 import document_service_pb2 as documents_pb
from ragmesh.api.types.v1 import job_pb2
from ragmesh.clients.gateway import replies, requests
from ragmesh.core.answers import AnswerStatus, AskQuery, CacheMode, Turn
from ragmesh.core.callers import Access
from ragmesh.core.documents import (
    Accepted,
    Chunking,
    Collection,
    CollectionChange,
    DefaultAccess,
    Document,
    DocumentChange,
    DocumentState,
    Failure,
    Job,
    JobState,
    NewCollection,
    Revision,
    Stage,
    Upload,
)
from ragmesh.core.errors import (
    InvalidError,
    InvalidLimitError,
    UnsupportedError,
)
from ragmesh.core.filters import Eq, Exists
from ragmesh.core.metadata import Metadata, declare_sortable
from ragmesh.core.properties import FileProperties
from ragmesh.core.questions import Question
from ragmesh.core.search import FoundChunk, Score, SearchMode, SearchQuery, SearchResult
from ragmesh.core.spans import Span
from ragmesh.gateway.server import reading, writing
from ragmesh.testing.cache import stored_answer

NOW = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
WHY = Question.parse("Why?")


@pytest.mark.parametrize("cache", list(CacheMode))
def test_a_question_arrives_as_it_was(cache: CacheMode) -> None:
    query = AskQuery(
        "handbook",
        WHY,
        history=(Turn("user", "Hi."), Turn("assistant", "Hello.")),
        filter=Exists("year"),
        limit=3,
        cache=cache,
    )
    assert reading.ask_query(requests.ask_request(query)) == query


@pytest.mark.parametrize("mode", list(SearchMode))
def test_a_search_arrives_as_it_was(mode: SearchMode) -> None:
    query = SearchQuery("handbook", WHY, 5, mode, Eq("a", 1), 0.25, explain=True)
    assert reading.search_query(requests.search_request(query)) == query
    plain = SearchQuery("handbook", WHY)
    assert reading.search_query(requests.search_request(plain)) == plain


def test_a_new_collection_arrives_as_it_was() -> None:
    new = NewCollection(
        "papers",
        "All of them",
        "de",
        "fake",
        Chunking(100, 10),
        DefaultAccess.RESTRICTED,
        declare_sortable({"day": "datetime", "year": "number"}),
    )
    assert reading.new_collection(requests.create_collection_request(new)) == new
    assert reading.new_collection(
        requests.create_collection_request(NewCollection("a"))
    ) == NewCollection("a")


@pytest.mark.parametrize(
    "change",
    [
        CollectionChange(description=""),
        CollectionChange(default_access=DefaultAccess.RESTRICTED),
        CollectionChange("New", DefaultAccess.OPEN),
    ],
)
def test_a_change_of_a_collection_arrives_as_it_was(change: CollectionChange) -> None:
    assert reading.collection_change(requests.update_collection_request("a", change)) == change


@pytest.mark.parametrize(
    "change",
    [
        DocumentChange(title=""),
        DocumentChange(metadata=Metadata.parse({})),
        DocumentChange(access=Access(())),
        DocumentChange(access=Access(("b", "a"))),
        DocumentChange(reset_access=True),
        DocumentChange("T", Metadata.parse({"year": 2024, "x": [None, 0.5]}), Access(("a",))),
    ],
)
def test_a_change_of_a_document_arrives_as_it_was(change: DocumentChange) -> None:
    sent = requests.update_document_request("c", "d", change)
    assert reading.document_change(sent) == change


def test_a_change_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidError, match="update_mask"):
        reading.document_change(requests.update_document_request("c", "d", DocumentChange()))
    strange = documents_pb.UpdateDocumentRequest()
    strange.update_mask.paths.append("content")
    with pytest.raises(InvalidError, match="update_mask"):
        reading.document_change(strange)
    unsaid = collection_pb.UpdateCollectionRequest()
    unsaid.update_mask.paths.append("default_access")
    with pytest.raises(InvalidError, match="default_access"):
        reading.collection_change(unsaid)


@pytest.mark.parametrize("access", [None, Access(()), Access(("a", "b"))])
def test_an_upload_arrives_as_it_was(access: Access | None) -> None:
    upload = Upload(
        b"\x00\xff",
        document_id="a",
        filename="a.bin",
        content_type="application/pdf",
        title="T",
        metadata=Metadata.parse({"year": 2024, "nested": {"yes": True, "none": None}}),
        access=access,
    )
    assert reading.upload_of(requests.new_document(upload)) == upload
    assert reading.upload_of(requests.new_document(Upload(b"x"))) == Upload(b"x")


def test_text_over_grpc_is_text() -> None:
    message = requests.new_document(Upload(b""))
    message.text = "Grüße"
    upload = reading.upload_of(message)
    assert upload.content == "Grüße".encode()
    assert upload.content_type == "text/plain; charset=utf-8"


@pytest.mark.parametrize("status", list(AnswerStatus))
def test_an_answer_comes_back_without_what_never_leaves_the_mesh(status: AnswerStatus) -> None:
    answer = replace(
        stored_answer(status=status).answer,
        degraded=("STALE_HEADS",),
        timings_ms=(("a", 1.5), ("total", 2.0)),
    )
    (citation,) = answer.citations
    citation = replace(citation, page=3, headings=("A", "B"))
    back = replies.answer_of(writing.answer_message(replace(answer, citations=(citation,))))
    assert back == replace(
        answer, citations=(replace(citation, document_uid=""),), heads_sequence=0
    )


def test_hits_come_back_as_they_were() -> None:
    hit = FoundChunk(
        "c", "d", 2, "T", "text", 0.5, Span(3, 7), None, ("A",), '{"year":2024}',
        (Score("dense", 1, 0.9),),
    )  # fmt: skip
    result = SearchResult((hit,), "v1-00000000", 41, ("STALE_HEADS",), (("total", 1.0),))
    assert replies.search_result_of(writing.search_message(result)) == result


def test_documents_revisions_and_collections_come_back_as_they_were() -> None:
    document = Document(
        "a", "", 2, 0, DocumentState.FAILED, 3, "T", "text/plain", Metadata.parse({"y": 1}),
        Access(()), Failure("NO_TEXT", "no text"), NOW,
        FileProperties("Ada", "2024", "2024-05-01", "de", 2, ("A map",)),
    )  # fmt: skip
    assert replies.document_of(writing.document_message(document)) == document
    plain = replace(document, access=None, error=None, state=DocumentState.INDEXED)
    assert replies.document_of(writing.document_message(plain)) == plain
    revision = Revision(1, "ab", 3, "text/plain", True, NOW)
    assert replies.revision_of(writing.revision_message(revision)) == revision
    collection = Collection(
        "uid", "", "a", "b", "en", "fake", Chunking(1, 0), DefaultAccess.OPEN,
        declare_sortable({"day": "datetime", "year": "number"}), "v1-00000000", 5, 6, NOW, NOW,
        ("mind this",),
    )  # fmt: skip
    assert replies.collection_of(writing.collection_message(collection)) == collection


@pytest.mark.parametrize("state", list(JobState))
@pytest.mark.parametrize("stage", list(Stage))
def test_jobs_come_back_as_they_were(state: JobState, stage: Stage) -> None:
    job = Job(
        "j", "c", "d", 1, state, stage, 40, Failure("R", "m"), NOW, NOW, None, (("parse", 1.0),)
    )
    assert replies.job_of(writing.job_message(job)) == job
    accepted = Accepted("d", 1, "j", state)
    assert replies.accepted_of(writing.accepted_message(accepted)) == accepted
    assert writing.job_state(requests.job_state_number(state)) is state


def test_any_state_is_none() -> None:
    assert writing.job_state(requests.job_state_number(None)) is None


def test_a_word_of_a_newer_server_is_named_and_not_guessed() -> None:
    message = job_pb2.Job(state=99)  # type: ignore[arg-type]
    with pytest.raises(UnsupportedError, match="JobState"):
        replies.job_of(message)


def test_what_cannot_be_sent_is_refused_before_it_is() -> None:
    with pytest.raises(InvalidLimitError):
        requests.ask_request(AskQuery("a", WHY, limit=-1))
    with pytest.raises(InvalidError):
        requests.revision_number(2**32)
    with pytest.raises(InvalidError):
        requests.new_document(Upload(b"x", access=Access(None)))


def test_unknown_choices_are_refused() -> None:
    ask = ask_pb.AskRequest(collection="a", question="why", cache=9)  # type: ignore[arg-type]
    with pytest.raises(InvalidError, match="cache"):
        reading.ask_query(ask)
    search = ask_pb.SearchRequest(collection="a", query="why", mode=9)  # type: ignore[arg-type]
    with pytest.raises(InvalidError, match="mode"):
        reading.search_query(search)
    new = collection_pb.CreateCollectionRequest(name="a", default_access=9)  # type: ignore[arg-type]
    with pytest.raises(InvalidError, match="default_access"):
        reading.new_collection(new)
    turn = ask_pb.AskRequest(collection="a", question="why")
    turn.history.add(text="said by nobody")
    with pytest.raises(InvalidError, match="role"):
        reading.ask_query(turn)
