"""What a listing of jobs asks for over gRPC."""

from __future__ import annotations

import pytest

from ragmesh.api.types.v1 import job_pb2
from ragmesh.core.documents import JobState
from ragmesh.core.errors import InvalidError
from ragmesh.gateway.server.writing import job_state


def test_no_state_means_jobs_in_any_state() -> None:
    assert job_state(job_pb2.JOB_STATE_UNSPECIFIED) is None


@pytest.mark.parametrize("state", JobState)
def test_every_state_can_be_asked_for(state: JobState) -> None:
    assert job_state(job_pb2.JobState.Value(f"JOB_STATE_{state.value}")) is state


def test_a_number_that_is_no_state_is_refused_and_does_not_mean_any() -> None:
    with pytest.raises(InvalidError) as raised:
        job_state(99)  # type: ignore[arg-type]
    assert raised.value.violations[0].field == "state"
