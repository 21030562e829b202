"""The trace of the current work, as W3C trace context."""

from __future__ import annotations

import pytest

from ragmesh.chassis.telemetry.current import (
    TraceContext,
    current_trace,
    current_traceparent,
    parse_traceparent,
    within_trace,
)

HEADER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_header_is_read_and_written_as_it_came() -> None:
    trace = parse_traceparent(HEADER, "vendor=1")
    assert trace is not None
    assert trace.traceparent == HEADER
    assert (trace.trace_hex, trace.span_hex) == (HEADER[3:35], HEADER[36:52])
    assert trace.sampled
    assert trace.state == "vendor=1"


def test_other_flags_than_sampled_are_not_taken_for_it() -> None:
    trace = parse_traceparent(HEADER[:-2] + "02")
    assert trace is not None
    assert not trace.sampled


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    trace = parse_traceparent("cc" + HEADER[2:] + "-what-the-future-adds")
    assert trace is not None
    assert trace.traceparent == HEADER


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "nonsense",
        HEADER + "-00",
        HEADER.upper(),
        "ff" + HEADER[2:],
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
        HEADER[:-1],
    ],
)
def test_a_malformed_header_is_no_trace(header: str | None) -> None:
    assert parse_traceparent(header) is None


def test_a_state_too_long_to_carry_is_left_behind() -> None:
    trace = parse_traceparent(HEADER, "x" * 513)
    assert trace is not None
    assert trace.state == ""


def test_a_block_belongs_to_its_trace_and_to_none_after_it() -> None:
    trace = TraceContext(1, 2, sampled=True)
    assert current_traceparent() == ""
    with within_trace(trace):
        assert current_trace() is trace
        with within_trace(None):
            assert current_trace() is None
        assert current_traceparent() == trace.traceparent
    assert current_trace() is None
