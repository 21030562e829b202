"""Whoever is not proven, or reaches too far, is refused on every internal method and audited."""

from __future__ import annotations

import logging

import pytest

from ragmesh.chassis.callers import CALLER_HEADER, Metadata
from ragmesh.chassis.identity.guard import MeshGuard
from ragmesh.chassis.identity.methods import METHODS, may_call
from ragmesh.chassis.identity.refusals import AUDIT_LOGGER, Refusals
from ragmesh.chassis.identity.tokens import TokenVerifier
from ragmesh.chassis.telemetry.metering import Meter
from ragmesh.chassis.telemetry.signals import CALLS_REFUSED
from ragmesh.core.callers import Caller, Machine, Principal
from ragmesh.core.errors import (
    CallerMalformedError,
    MethodDeniedError,
    RagmeshError,
    UnauthenticatedError,
)
from ragmesh.testing.callers import MeshKeys
from ragmesh.testing.clocks import ManualClock
from tests.unit.chassis.identity.tampering import REFUSED, Tampering

ANNA = Principal("tenant-1", "anna")
RETRIEVE = "/ragmesh.api.retrieval.v1.RetrievalService/Retrieve"
WRITE = "/ragmesh.api.retrieval.v1.RetrievalService/WriteChunks"
TABLE = [f"/{service}/{name}" for service, methods in METHODS.items() for name in methods]


@pytest.fixture
def tampering() -> Tampering:
    return Tampering(ManualClock())


@pytest.fixture
def guard(tampering: Tampering) -> MeshGuard:
    return tampering.keys.guard


def records(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == AUDIT_LOGGER]


def answer(guard: MeshGuard, method: str, metadata: Metadata) -> Caller | str | None:
    """Who was let through, or the reason of the refusal."""
    try:
        return guard.admit(method, metadata)
    except RagmeshError as error:
        return error.reason


@pytest.mark.parametrize("kind", REFUSED)
def test_who_is_not_proven_is_refused_on_every_method_with_the_reason(
    tampering: Tampering, guard: MeshGuard, kind: str
) -> None:
    metadata = tampering.metadata(kind)
    answers = {method: answer(guard, method, metadata) for method in TABLE}
    assert answers == dict.fromkeys(TABLE, REFUSED[kind])
    assert guard.refusals.counts == {REFUSED[kind]: len(TABLE)}


@pytest.mark.parametrize(
    "caller",
    [ANNA, *map(Machine, ("gateway", "embedding", "retrieval", "generation", "cache", "indexer"))],
    ids=str,
)
def test_who_is_proven_is_let_through_exactly_where_the_table_says(
    tampering: Tampering, guard: MeshGuard, caller: Caller
) -> None:
    metadata = tampering.keys.universal_signer("tester").metadata(caller)
    expected = {method: caller if may_call(caller, method) else "METHOD_DENIED" for method in TABLE}
    assert {method: answer(guard, method, metadata) for method in TABLE} == expected
    refused = sum(said == "METHOD_DENIED" for said in expected.values())
    assert guard.refusals.counts == {"METHOD_DENIED": refused}


def test_probes_need_no_token(guard: MeshGuard) -> None:
    assert guard.admit("/grpc.health.v1.Health/Check", ()) is None
    assert guard.admit("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", ()) is None


def test_two_tokens_are_as_bad_as_a_false_one(guard: MeshGuard, tampering: Tampering) -> None:
    token = tampering.keys.signer("gateway").metadata(ANNA)
    with pytest.raises(CallerMalformedError):
        guard.admit(RETRIEVE, (*token, *token))


def test_a_token_as_text_is_none(guard: MeshGuard) -> None:
    with pytest.raises(CallerMalformedError):
        guard.admit(RETRIEVE, ((CALLER_HEADER, "indexer"),))


@pytest.mark.parametrize("kind", REFUSED)
def test_an_audit_record_says_what_is_known_and_nothing_that_the_token_claims(
    caplog: pytest.LogCaptureFixture, tampering: Tampering, guard: MeshGuard, kind: str
) -> None:
    metadata = tampering.metadata(kind)
    with pytest.raises(UnauthenticatedError):
        guard.admit(RETRIEVE, metadata, peer="ipv4:10.0.0.9:4711")
    (record,) = records(caplog)
    assert record.getMessage() == "caller refused"
    assert record.levelno == logging.WARNING
    assert record.__dict__["reason"] == REFUSED[kind]
    assert record.__dict__["method"] == RETRIEVE
    assert record.__dict__["peer"] == "ipv4:10.0.0.9:4711"
    written = repr(record.__dict__)
    assert "anna" not in written
    assert "tenant-1" not in written
    assert "actor" not in record.__dict__
    for _, token in metadata:
        assert str(token) not in written


def test_an_audit_record_of_a_denied_call_names_who_was_proven(
    caplog: pytest.LogCaptureFixture, tampering: Tampering, guard: MeshGuard
) -> None:
    for metadata in (
        tampering.keys.signer("gateway").metadata(ANNA),
        tampering.keys.signer("cache").metadata(),
    ):
        with pytest.raises(MethodDeniedError):
            guard.admit(WRITE, metadata)
    user, machine = records(caplog)
    assert user.__dict__["actor"] == "user:anna"
    assert user.__dict__["tenant_uid"] == "tenant-1"
    assert machine.__dict__["actor"] == "machine:cache"


async def test_a_storm_of_refusals_is_counted_whole_and_recorded_in_part(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = ManualClock()
    guard = MeshKeys(clock).guard

    def knock(times: int, metadata: Metadata = ()) -> None:
        for _ in range(times):
            with pytest.raises(RagmeshError):
                guard.admit(RETRIEVE, metadata)

    knock(1_000)
    assert len(records(caplog)) == 10
    await clock.advance(9.9)
    knock(1)
    assert len(records(caplog)) == 10
    await clock.advance(0.1)
    knock(1)
    assert [record.__dict__["unrecorded"] for record in records(caplog)] == [0] * 10 + [991]
    knock(1, ((CALLER_HEADER, b"noise"),))  # another reason is not drowned
    assert records(caplog)[-1].__dict__["reason"] == "CALLER_MALFORMED"
    await clock.advance(3_600)
    knock(1_000)
    assert len(records(caplog)) == 22
    assert guard.refusals.counts == {"CALLER_MISSING": 2_002, "CALLER_MALFORMED": 1}


def test_refusals_are_counted_by_reason_for_whoever_scrapes() -> None:
    keys, meter = MeshKeys(ManualClock()), Meter()
    guard = MeshGuard(TokenVerifier(keys.ring, keys.clock), Refusals(keys.clock, meter))
    for metadata in ((), (), keys.signer("cache").metadata()):
        with pytest.raises(RagmeshError):
            guard.admit(RETRIEVE, metadata)
    (counted,) = [found for found in meter.read() if found.metric is CALLS_REFUSED]
    assert {series.attributes[0][1]: series.value for series in counted.series} == {
        "CALLER_MISSING": 2,
        "METHOD_DENIED": 1,
    }
