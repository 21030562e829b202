"""The pure rules: what an upload is, whom a head may still admit, what settings allow."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ragmesh.core.callers import OPEN, Access, Machine, Principal
from ragmesh.core.documents import DocumentState, Failure
from ragmesh.core.errors import DeniedError, UnauthenticatedError
from ragmesh.core.metadata import NO_METADATA
from ragmesh.indexing.acceptance import Verdict, decide, narrowed
from ragmesh.indexing.progress import JobBoard
from ragmesh.indexing.rows import Candidate, DocumentRow
from ragmesh.indexing.settings import IndexingSettings
from ragmesh.indexing.sharing import Alone
from ragmesh.indexing.tenancy import is_of_tenant, tenant_of
from ragmesh.testing.clocks import ManualClock

accesses = st.one_of(
    st.just(OPEN),
    st.builds(lambda groups: Access(tuple(groups)), st.lists(st.sampled_from("abc"), max_size=3)),
)
CANDIDATE = Candidate("a", "sha", 4, "", "", "T", NO_METADATA, None, None)
ROW = DocumentRow(
    uid="uid",
    document_id="a",
    revision=3,
    generation=5,
    state=DocumentState.INDEXED,
    deleted=False,
    title="T",
    extracted_title="",
    metadata=NO_METADATA,
    access=None,
    error=None,
    job_id="job",
    content_sha256="sha",
    source_blob="blob",
    text_blob=None,
    content_type="",
    filename="",
    size_bytes=4,
    chunks=1,
    updated_at=ManualClock().now(),
)


@pytest.mark.parametrize(
    ("current", "verdict", "revision", "generation", "known_blob"),
    [
        (None, Verdict.CONTENT, 1, 1, None),
        (ROW, Verdict.NOTHING_NEW, 3, 5, "blob"),
        (replace(ROW, title="U"), Verdict.ATTRIBUTES, 3, 6, "blob"),
        (replace(ROW, access=OPEN), Verdict.ATTRIBUTES, 3, 6, "blob"),
        (replace(ROW, content_sha256="other"), Verdict.CONTENT, 4, 5, None),
        (replace(ROW, content_sha256="other", title="U"), Verdict.CONTENT, 4, 6, None),
        (replace(ROW, state=DocumentState.FAILED), Verdict.CONTENT, 4, 5, "blob"),
        (
            replace(ROW, state=DocumentState.FAILED, error=Failure("STORE_DAMAGED", "lost")),
            Verdict.CONTENT,
            4,
            5,
            None,
        ),
        (replace(ROW, deleted=True), Verdict.CONTENT, 4, 6, None),
    ],
    ids=[
        "new",
        "nothing new",
        "another title",
        "explicitly open is not the default",
        "other content",
        "other content and title",
        "failed",
        "failed for its stored bytes",
        "deleted",
    ],
)
def test_an_upload_is_judged_by_content_attributes_and_state(
    current: DocumentRow | None,
    verdict: Verdict,
    revision: int,
    generation: int,
    known_blob: str | None,
) -> None:
    decision = decide(current, CANDIDATE)
    assert (decision.verdict, decision.revision, decision.generation, decision.known_blob) == (
        verdict,
        revision,
        generation,
        known_blob,
    )


@given(accesses, accesses, st.frozensets(st.sampled_from("abcd")))
def test_a_narrowed_head_admits_whom_both_admit_and_nobody_else(
    published: Access, wanted: Access, groups: frozenset[str]
) -> None:
    caller = Principal("t", "s", groups)
    both = published.admits(caller) and wanted.admits(caller)
    single = len(groups) <= 1
    admitted = narrowed(published, wanted).admits(caller)
    # Somebody in two groups may be in the one before and in the other after: then out for now.
    assert admitted == both if single else not admitted or both


def test_a_machine_has_no_tenant_and_a_nameless_user_is_nobody() -> None:
    with pytest.raises(DeniedError):
        tenant_of(Machine("indexer"))
    with pytest.raises(UnauthenticatedError):
        tenant_of(Principal("", "eve"))
    assert is_of_tenant(Machine("indexer"), "any")
    assert not is_of_tenant(Principal("one", "ada"), "two")


def test_the_board_keeps_a_bounded_number_of_jobs() -> None:
    from ragmesh.core.documents import Stage

    board = JobBoard(ManualClock(), Alone())
    for n in range(10_100):
        board.report(f"j{n}", Stage.EMBED, 1, ())
        board.cancelled(f"j{n}")
    assert not board.is_cancelled("j0")
    assert board.is_cancelled("j10099")


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_file_bytes": 0},
        {"max_batch_documents": 1_001},
        {"heads_heartbeat_seconds": 60},
        {"x": 1},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        IndexingSettings.model_validate(wrong)
