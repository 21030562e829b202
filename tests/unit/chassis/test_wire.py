from __future__ import annotations

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st

from ragmesh.chassis.wire import (
    CODES,
    DETAILS_KEY,
    HTTP_STATUSES,
    as_mesh_error,
    code_of,
    from_rpc_error,
    from_status,
    http_status,
    to_status,
)
from ragmesh.core import errors
from ragmesh.core.errors import Kind, RagmeshError, Violation, error_classes

CLASSES = sorted(
    (found for found in error_classes().values() if found.__module__.startswith("ragmesh.")),
    key=lambda found: found.reason,
)
EXPECTED = {
    Kind.INVALID: (grpc.StatusCode.INVALID_ARGUMENT, 400),
    Kind.NOT_FOUND: (grpc.StatusCode.NOT_FOUND, 404),
    Kind.ALREADY_EXISTS: (grpc.StatusCode.ALREADY_EXISTS, 409),
    Kind.PRECONDITION: (grpc.StatusCode.FAILED_PRECONDITION, 400),
    Kind.CONFLICT: (grpc.StatusCode.ABORTED, 409),
    Kind.EXHAUSTED: (grpc.StatusCode.RESOURCE_EXHAUSTED, 429),
    Kind.UNAVAILABLE: (grpc.StatusCode.UNAVAILABLE, 503),
    Kind.DEADLINE: (grpc.StatusCode.DEADLINE_EXCEEDED, 504),
    Kind.DENIED: (grpc.StatusCode.PERMISSION_DENIED, 403),
    Kind.UNAUTHENTICATED: (grpc.StatusCode.UNAUTHENTICATED, 401),
    Kind.UNSUPPORTED: (grpc.StatusCode.UNIMPLEMENTED, 501),
    Kind.INTERNAL: (grpc.StatusCode.INTERNAL, 500),
}


def rpc_error(
    code: grpc.StatusCode, *, details: str = "", trailing: tuple[tuple[str, str | bytes], ...] = ()
) -> grpc.aio.AioRpcError:
    metadata = grpc.aio.Metadata(*trailing)
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), metadata, details)


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_its_code_and_its_http_status(kind: Kind) -> None:
    assert (CODES[kind], HTTP_STATUSES[kind]) == EXPECTED[kind]


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_a_general_class_that_its_code_leads_to(kind: Kind) -> None:
    decoded = from_rpc_error(rpc_error(EXPECTED[kind][0], details="why"))
    assert type(decoded).kind is kind
    assert decoded.message == "why"


@pytest.mark.parametrize("code", list(grpc.StatusCode))
def test_every_code_of_a_peer_without_reasons_is_understood(code: grpc.StatusCode) -> None:
    assert isinstance(from_rpc_error(rpc_error(code)), RagmeshError)


@pytest.mark.parametrize(
    "code",
    [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL],
)
def test_a_dead_peer_is_named_without_its_address(code: grpc.StatusCode) -> None:
    got = from_rpc_error(rpc_error(code, details="ipv4:10.0.0.7:50061 refused"), peer="embedding")
    assert type(got) is errors.PeerUnavailableError
    assert got.metadata == {"peer": "embedding"}
    assert got.retry_after_seconds is not None
    assert "10.0.0.7" not in got.message


def test_a_peer_that_is_there_speaks_for_itself() -> None:
    raised = errors.HeadsStaleError("old")
    trailing = ((DETAILS_KEY, to_status(raised).SerializeToString()),)
    got = from_rpc_error(rpc_error(code_of(raised), trailing=trailing), peer="retrieval")
    assert type(got) is errors.HeadsStaleError
    defect = errors.InternalError("broken", metadata={"error_id": "1"})
    trailing = ((DETAILS_KEY, to_status(defect).SerializeToString()),)
    got = from_rpc_error(rpc_error(code_of(defect), trailing=trailing), peer="retrieval")
    assert type(got) is errors.InternalError
    late = from_rpc_error(rpc_error(grpc.StatusCode.DEADLINE_EXCEEDED), peer="retrieval")
    assert type(late) is errors.DeadlineError


@pytest.mark.parametrize("refusal", errors.REFUSED_CALLS)
def test_a_peer_that_refuses_this_process_is_as_good_as_dead(
    caplog: pytest.LogCaptureFixture, refusal: type[RagmeshError]
) -> None:
    said = refusal("our clock is behind")
    trailing = ((DETAILS_KEY, to_status(said).SerializeToString()),)
    refused = rpc_error(code_of(said), trailing=trailing)
    assert type(from_rpc_error(refused)) is refusal
    got = from_rpc_error(refused, peer="embedding")
    assert type(got) is errors.PeerUnavailableError
    assert got.metadata == {"peer": "embedding"}
    assert got.retry_after_seconds is not None
    assert "clock" not in got.message
    assert [getattr(record, "reason", None) for record in caplog.records] == [refusal.reason]


def test_a_peer_without_the_method_is_as_good_as_dead(caplog: pytest.LogCaptureFixture) -> None:
    strange = rpc_error(grpc.StatusCode.UNIMPLEMENTED, details="Method not found!")
    assert type(from_rpc_error(strange, peer="embedding")) is errors.PeerUnavailableError
    assert [getattr(record, "reason", None) for record in caplog.records] == ["METHOD_UNKNOWN"]
    said = errors.UnsupportedError("not here")
    trailing = ((DETAILS_KEY, to_status(said).SerializeToString()),)
    got = from_rpc_error(rpc_error(code_of(said), trailing=trailing), peer="embedding")
    assert type(got) is errors.UnsupportedError


@pytest.mark.parametrize("found", CLASSES, ids=lambda found: found.reason)
def test_every_error_crosses_the_wire_unchanged(found: type[RagmeshError]) -> None:
    sent = found(
        "what happened",
        metadata={"limit": "3"},
        violations=[Violation("a", "must be b"), Violation("c", "must be d")],
        retry_after_seconds=1.25,
    )
    status = Status.FromString(to_status(sent).SerializeToString())
    assert status.code == code_of(sent).value[0]
    trailing = ((DETAILS_KEY, status.SerializeToString()),)
    got = from_rpc_error(rpc_error(code_of(sent), trailing=trailing))
    assert type(got) is found
    assert (got.message, got.metadata, got.violations, got.retry_after_seconds) == (
        sent.message, sent.metadata, sent.violations, 1.25
    )  # fmt: skip


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (errors.FileTooLargeError, 413),
        (errors.BodyTooLargeError, 413),
        (errors.UnsupportedFormatError, 415),
        (errors.EmptyFileError, 400),
        (errors.HeadsStaleError, 503),
    ],
)
def test_sizes_and_formats_have_http_statuses_of_their_own(
    found: type[RagmeshError], status: int
) -> None:
    assert http_status(found("x")) == status


def test_a_reason_of_a_newer_server_is_read_by_its_code_and_kept() -> None:
    status = Status(code=grpc.StatusCode.NOT_FOUND.value[0], message="gone")
    status.details.add().Pack(ErrorInfo(reason="MOON_NOT_FOUND", domain="ragmesh.dev"))
    got = from_status(status)
    assert type(got) is errors.NotFoundError
    assert got.metadata["reason"] == "MOON_NOT_FOUND"


def test_a_reason_of_another_domain_is_not_ours() -> None:
    status = Status(code=grpc.StatusCode.UNAVAILABLE.value[0])
    status.details.add().Pack(ErrorInfo(reason="EMPTY_TEXT", domain="example.org"))
    assert type(from_status(status)) is errors.UnavailableError


@pytest.mark.parametrize("value", [b"\xff\xff\xff", "text"])
def test_details_that_cannot_be_read_are_passed_over(value: str | bytes) -> None:
    broken = rpc_error(grpc.StatusCode.NOT_FOUND, trailing=((DETAILS_KEY, value),))
    assert type(from_rpc_error(broken)) is errors.NotFoundError


def test_one_detail_that_cannot_be_read_does_not_hide_the_others() -> None:
    status = to_status(errors.EmptyTextError("x"))
    status.details.insert(
        0, AnyMessage(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\xff\xff")
    )
    assert type(from_status(status)) is errors.EmptyTextError


@given(
    message=st.text(max_size=20_000),
    violations=st.lists(st.tuples(st.text(max_size=3_000), st.text(max_size=3_000)), max_size=60),
    limit=st.text(max_size=9_000),
)
def test_a_status_of_any_error_fits_into_trailers_and_keeps_its_class(
    message: str, violations: list[tuple[str, str]], limit: str
) -> None:
    found = [Violation(field, what) for field, what in violations]
    error = errors.InvalidFilterError(message, violations=found, metadata={"limit": limit[:900]})
    status = to_status(error)
    assert status.ByteSize() <= 6_000
    assert type(from_status(status)) is errors.InvalidFilterError


def test_many_violations_are_cut_behind_the_first_ones() -> None:
    found = [Violation(f"documents[{i}].metadata", "must be " + "x" * 200) for i in range(1_000)]
    got = from_status(to_status(errors.InvalidMetadataError("bad", violations=found)))
    assert 5 < len(got.violations) < 1_000
    assert got.violations == tuple(found[: len(got.violations)])


def test_an_error_of_ours_stays_itself() -> None:
    error = errors.EmptyTextError("x")
    assert as_mesh_error(error) is error


def test_a_stranger_becomes_internal_and_only_the_log_knows_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    got = as_mesh_error(KeyError("the secret"))
    assert type(got) is errors.InternalError
    assert "secret" not in got.message
    assert got.metadata["error_id"] in got.message
    (record,) = caplog.records
    assert getattr(record, "error_id", None) == got.metadata["error_id"]
    assert record.exc_info is not None


@pytest.mark.parametrize("refusal", errors.REFUSED_CALLS)
def test_that_a_peer_refused_this_process_is_told_to_the_log_and_not_to_the_user(
    caplog: pytest.LogCaptureFixture, refusal: type[RagmeshError]
) -> None:
    got = as_mesh_error(refusal("our clock is behind"))
    assert type(got) is errors.InternalError
    assert "clock" not in got.message
    (record,) = caplog.records
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], refusal)


def test_a_defect_of_ours_is_logged_as_well(caplog: pytest.LogCaptureFixture) -> None:
    as_mesh_error(errors.StoreDamagedError("x"))
    assert [record.levelname for record in caplog.records] == ["ERROR"]
