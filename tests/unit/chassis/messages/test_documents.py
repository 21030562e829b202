"""Collections, documents and jobs are the same at both ends of a call."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from ragmesh.api.indexing.v1 import catalog_pb2, catalog_service_pb2
from ragmesh.api.types.v1 import access_pb2, document_pb2, job_pb2
from ragmesh.chassis.messages import access, collections, documents, jobs, pages
from ragmesh.core.callers import ADMINS_ONLY, OPEN, Access
from ragmesh.core.documents import (
    Accepted,
    Chunking,
    Collection,
    CollectionChange,
    DefaultAccess,
    Document,
    DocumentChange,
    DocumentContent,
    DocumentState,
    Failure,
    Job,
    JobState,
    NewCollection,
    Revision,
    Route,
    Stage,
    Upload,
)
from ragmesh.core.errors import (
    ControlCharactersError,
    InvalidError,
    InvalidLimitError,
    InvalidMetadataError,
    InvalidNameError,
)
from ragmesh.core.metadata import Metadata, declare_sortable
from ragmesh.core.pages import PageRequest
from ragmesh.core.properties import FileProperties

TEXTS = st.text(max_size=20).filter(lambda text: text.isprintable())
NUMBERS = st.integers(0, 2**32 - 1)
MOMENTS = st.datetimes(
    min_value=datetime(1970, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    timezones=st.just(UTC),
)
ACCESSES = st.one_of(
    st.just(OPEN), st.just(ADMINS_ONLY), st.builds(Access, st.lists(TEXTS, max_size=3).map(tuple))
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**200), 2**200),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXTS,
)
METADATA = st.dictionaries(TEXTS, st.one_of(SCALARS, st.lists(SCALARS, max_size=3)), max_size=4)
FAILURES = st.one_of(st.none(), st.builds(Failure, TEXTS, TEXTS))
SORTABLE = st.sampled_from([(), declare_sortable({"year": "number", "day": "datetime"})])
CHUNKINGS = st.builds(Chunking, NUMBERS, NUMBERS)
JOBS = st.builds(
    Job,
    TEXTS,
    TEXTS,
    TEXTS,
    NUMBERS,
    st.sampled_from(JobState),
    st.sampled_from(Stage),
    st.integers(0, 100),
    FAILURES,
    MOMENTS,
    st.one_of(st.none(), MOMENTS),
    st.one_of(st.none(), MOMENTS),
    st.lists(st.sampled_from([stage.value for stage in Stage]), unique=True).map(
        lambda names: tuple((s.value, 0.5) for s in Stage if s.value in names)
    ),
)
DOCUMENTS = st.builds(
    Document,
    TEXTS,
    TEXTS,
    NUMBERS,
    NUMBERS,
    st.sampled_from(DocumentState),
    NUMBERS,
    TEXTS,
    TEXTS,
    st.dictionaries(TEXTS, TEXTS, max_size=2).map(Metadata.parse),
    st.one_of(st.none(), ACCESSES),
    FAILURES,
    MOMENTS,
    st.builds(
        FileProperties, TEXTS, TEXTS, TEXTS, TEXTS, st.integers(2, 9), st.tuples(TEXTS, TEXTS)
    ),
)
COLLECTIONS = st.builds(
    Collection,
    TEXTS,
    TEXTS,
    TEXTS,
    TEXTS,
    TEXTS,
    TEXTS,
    CHUNKINGS,
    st.sampled_from(DefaultAccess),
    SORTABLE,
    TEXTS,
    NUMBERS,
    NUMBERS,
    MOMENTS,
    MOMENTS,
)
REPLIES = st.one_of(
    JOBS.map(lambda v: (v, jobs.job_to_message, jobs.job_from_message)),
    DOCUMENTS.map(lambda v: (v, documents.document_to_message, documents.document_from_message)),
    COLLECTIONS.map(
        lambda v: (v, collections.collection_to_message, collections.collection_from_message)
    ),
    st.builds(Route, *[TEXTS] * 7, NUMBERS).map(
        lambda v: (v, collections.route_to_message, collections.route_from_message)
    ),
    st.builds(Accepted, TEXTS, NUMBERS, TEXTS, st.sampled_from(JobState)).map(
        lambda v: (v, documents.accepted_to_message, documents.accepted_from_message)
    ),
    st.builds(Revision, NUMBERS, TEXTS, NUMBERS, TEXTS, st.booleans(), MOMENTS).map(
        lambda v: (v, documents.revision_to_message, documents.revision_from_message)
    ),
    ACCESSES.map(lambda v: (v, access.access_to_message, access.access_from_message)),
)


def arrived(message: Message) -> Any:
    return type(message).FromString(message.SerializeToString())


@given(REPLIES)
def test_what_the_catalog_answers_arrives_as_it_was(
    sent: tuple[Any, Callable[[Any], Message], Callable[[Any], Any]],
) -> None:
    value, to_message, from_message = sent
    assert from_message(arrived(to_message(value))) == value


@given(
    st.builds(
        Upload,
        st.just(b"content"),
        st.one_of(st.none(), st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,20}", fullmatch=True)),
        TEXTS,
        TEXTS,
        TEXTS,
        METADATA.map(Metadata.parse),
        st.one_of(st.none(), ACCESSES),
    )
)
def test_an_upload_arrives_as_it_was(upload: Upload) -> None:
    header = arrived(documents.upload_header_to_message(upload))
    assert documents.upload_from_message(header, b"content") == upload


@given(
    st.builds(
        DocumentChange,
        st.one_of(st.none(), TEXTS),
        st.one_of(st.none(), METADATA.map(Metadata.parse)),
        st.one_of(st.none(), ACCESSES),
        st.booleans(),
    )
)
def test_a_change_of_a_document_arrives_as_it_was(change: DocumentChange) -> None:
    message = arrived(documents.document_change_to_message("c", "d", change))
    assert (message.collection, message.document_id) == ("c", "d")
    assert documents.document_change_from_message(message) == change


@given(
    st.builds(
        NewCollection,
        TEXTS,
        TEXTS,
        TEXTS,
        TEXTS,
        CHUNKINGS,
        st.sampled_from(DefaultAccess),
        SORTABLE,
    )
)
def test_a_new_collection_arrives_as_it_was(new: NewCollection) -> None:
    message = arrived(collections.new_collection_to_message(new))
    assert collections.new_collection_from_message(message) == new


@given(
    st.builds(
        CollectionChange,
        st.one_of(st.none(), TEXTS),
        st.one_of(st.none(), st.sampled_from(DefaultAccess)),
    )
)
def test_a_change_of_a_collection_arrives_as_it_was(change: CollectionChange) -> None:
    message = arrived(collections.collection_change_to_message("c", change))
    assert message.name == "c"
    assert collections.collection_change_from_message(message) == change


def test_a_collection_that_says_nothing_about_access_is_open() -> None:
    silent = catalog_service_pb2.CreateCollectionRequest(name="c")
    made = collections.new_collection_from_message(silent)
    assert made.default_access is DefaultAccess.OPEN


@pytest.mark.parametrize("size", [-1, -(2**40), 2**32, 2**70])
def test_a_chunk_size_that_has_no_place_on_the_wire_arrives_as_one_that_is_too_large(
    size: int,
) -> None:
    message = arrived(collections.chunking_to_message(Chunking(size, size)))
    assert collections.chunking_from_message(message) == Chunking(2**32 - 1, 2**32 - 1)


def job(**changed: Any) -> job_pb2.Job:
    fields = {"state": job_pb2.JOB_STATE_QUEUED, "stage": job_pb2.JOB_STAGE_QUEUED, **changed}
    return job_pb2.Job(**fields)


def header(**fields: Any) -> catalog_pb2.UploadHeader:
    return catalog_pb2.UploadHeader(**fields)


BOTH = access_pb2.Access(everyone=True, groups=["a"])
YEAR = document_pb2.SortableField(name="year", kind=document_pb2.SORT_KIND_NUMBER)
LATE = document_pb2.SortableField(name="day", kind=document_pb2.SORT_KIND_DATETIME, slot=7)


def new(**fields: Any) -> NewCollection:
    return collections.new_collection_from_message(
        catalog_service_pb2.CreateCollectionRequest(name="c", **fields)
    )


@pytest.mark.parametrize(
    ("read", "error", "field"),
    [
        pytest.param(
            lambda: jobs.job_from_message(job(state=0)), InvalidError, "job.state", id="no state"
        ),
        pytest.param(
            lambda: jobs.job_from_message(job(stage=99)),
            InvalidError,
            "job.stage",
            id="unknown stage",
        ),
        pytest.param(
            lambda: documents.document_from_message(catalog_pb2.Document()),
            InvalidError,
            "document.state",
            id="document without state",
        ),
        pytest.param(
            lambda: access.access_from_message(BOTH),
            InvalidError,
            "access",
            id="groups beside everyone",
        ),
        pytest.param(
            lambda: documents.upload_from_message(header(access=BOTH), b"", where="documents[3]."),
            InvalidError,
            "documents[3].access",
            id="the same in a batch",
        ),
        pytest.param(
            lambda: documents.upload_from_message(header(metadata_json="[1]"), b""),
            InvalidMetadataError,
            "metadata",
            id="metadata that is no object",
        ),
        pytest.param(
            lambda: documents.upload_from_message(header(metadata_json="{"), b""),
            InvalidMetadataError,
            "metadata",
            id="metadata that is no JSON",
        ),
        pytest.param(
            lambda: new(default_access=9), InvalidError, "default_access", id="unknown default"
        ),
        pytest.param(
            lambda: new(sortable=[LATE]), InvalidError, "sortable", id="a slot out of order"
        ),
        pytest.param(
            lambda: new(sortable=[YEAR, YEAR]), InvalidError, "sortable", id="a field twice"
        ),
        pytest.param(
            lambda: new(sortable=[document_pb2.SortableField(name="x")]),
            InvalidError,
            "sortable.x",
            id="a field of no kind",
        ),
        pytest.param(
            lambda: pages.page_request_from_message(
                catalog_service_pb2.ListJobsRequest(page_size=1_001)
            ),
            InvalidLimitError,
            "page_size",
            id="a page too large",
        ),
    ],
)
def test_what_no_peer_may_send_is_refused_with_its_field(
    read: Callable[[], Any], error: type[InvalidError], field: str
) -> None:
    with pytest.raises(error) as caught:
        read()
    assert [violation.field for violation in caught.value.violations] == [field]


@pytest.mark.parametrize(
    ("upload", "error", "field"),
    [
        (Upload(b"", title="a\ud800"), ControlCharactersError, "title"),
        (Upload(b"", filename="\udfff"), ControlCharactersError, "filename"),
        (Upload(b"", access=Access(("\ud800",))), ControlCharactersError, "access"),
        (Upload(b"", "\ud800"), InvalidNameError, "document_id"),
    ],
)
def test_what_no_message_can_carry_is_refused_as_the_catalog_would(
    upload: Upload, error: type[InvalidError], field: str
) -> None:
    with pytest.raises(error) as caught:
        documents.upload_header_to_message(upload)
    assert [violation.field for violation in caught.value.violations] == [field]


def test_content_that_ends_early_is_not_taken_for_the_whole() -> None:
    content = DocumentContent(
        "d", 1, b"hello", "text/plain", "d.txt", "of collection", "of document"
    )
    start = arrived(documents.content_start_to_message(content))
    assert documents.content_from_message(start, b"hello") == content
    with pytest.raises(InvalidError):
        documents.content_from_message(start, b"hell")


def test_a_page_is_asked_for_as_it_was() -> None:
    message = catalog_service_pb2.ListJobsRequest(page_size=7, page_token="t")
    assert pages.page_request_from_message(message) == PageRequest(7, "t")
