"""Ids, spans, vectors, access and digests: small values on which everything stands."""

from __future__ import annotations

import time
import uuid
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragmesh.core.callers import ADMIN, ADMINS_ONLY, OPEN, Access, Caller, Machine, Principal
from ragmesh.core.documents import DefaultAccess, JobState, Upload, resolved_access, total_bytes
from ragmesh.core.ids import chunk_id, new_uid
from ragmesh.core.index import chunks_digest
from ragmesh.core.reading import (
    ChunkPlan,
    Confinement,
    Extraction,
    Heading,
    MissingWall,
    Sandbox,
)
from ragmesh.core.spans import Span
from ragmesh.core.vectors import Fingerprint, SentenceKind, SentenceVectors, Vector, made_for

INDEX_VERSION = "018f4e5a-0000-7000-8000-000000000001"


def test_a_uid_is_a_uuid_of_version_7_and_its_variant() -> None:
    for _ in range(200):
        made = uuid.UUID(new_uid())
        assert made.version == 7
        assert made.variant == uuid.RFC_4122


def test_a_uid_begins_with_the_moment_of_its_making() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid.UUID(new_uid()).int >> 80
    assert before <= made <= time.time_ns() // 1_000_000


def test_uids_of_later_moments_sort_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for milliseconds in (1, 2, 1_000, 1_800_000_000_000, (1 << 48) - 1):
        monkeypatch.setattr(time, "time_ns", lambda at=milliseconds: at * 1_000_000)
        made.append(new_uid())
    assert made == sorted(made)


def test_uids_never_repeat() -> None:
    assert len({new_uid() for _ in range(10_000)}) == 10_000


def test_a_chunk_id_follows_from_what_it_names_alone() -> None:
    first = chunk_id(INDEX_VERSION, "d1", 1, 0)
    assert first == chunk_id(INDEX_VERSION, "d1", 1, 0)
    assert uuid.UUID(first).version == 5
    others = {
        chunk_id(new_uid(), "d1", 1, 0),
        chunk_id(INDEX_VERSION, "d2", 1, 0),
        chunk_id(INDEX_VERSION, "d1", 2, 0),
        chunk_id(INDEX_VERSION, "d1", 1, 1),
        chunk_id(INDEX_VERSION, "d1", 11, 0),
        chunk_id(INDEX_VERSION, "d1", 1, 10),
    }
    assert len(others | {first}) == 7


def test_a_span_counts_code_points() -> None:
    text = "Grüße 🚢 an Bord"
    assert Span(6, 7).of(text) == "🚢"
    assert Span(0, len(text)).of(text) == text
    assert Span(3, 3).of(text) == ""


@given(st.text(), st.text(), st.text())
def test_a_shifted_span_names_the_same_text_behind_a_prefix(
    prefix: str, word: str, suffix: str
) -> None:
    span = Span(0, len(word)).shifted(len(prefix))
    assert span.of(prefix + word + suffix) == word


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (3, 2), (-2, -1)])
def test_what_is_no_range_is_no_span(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="not a span"):
        Span(start, end)
    with pytest.raises(ValueError, match="not a span"):
        Span(1, 2).shifted(-2)


def test_spans_sort_by_their_start() -> None:
    assert sorted([Span(2, 3), Span(0, 9), Span(0, 1)]) == [Span(0, 1), Span(0, 9), Span(2, 3)]


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=20))
def test_a_vector_keeps_its_numbers(numbers: list[float]) -> None:
    vector = Vector.from_floats(numbers)
    assert vector.floats() == tuple(numbers)
    assert vector.dimension == len(numbers)


def test_a_vector_is_little_endian_everywhere() -> None:
    assert Vector.from_floats([1.0]).values == b"\x00\x00\x80\x3f"


@pytest.mark.parametrize("values", [b"", b"123", b"12345"])
def test_bytes_that_are_no_floats_are_no_vector(values: bytes) -> None:
    with pytest.raises(ValueError, match="float32"):
        Vector(values)


def test_sentence_vectors_are_whole_rows() -> None:
    assert SentenceVectors(3, b"123456").count == 2
    assert SentenceVectors(3, b"").count == 0
    for dimension, values in ((3, b"1234"), (0, b""), (-3, b"123")):
        with pytest.raises(ValueError, match="rows"):
            SentenceVectors(dimension, values)


FINGERPRINT = Fingerprint(
    model="m", weights_sha256="w", precision="fp32", dimension=3, normalised=True,
    query_prefix="q", passage_prefix="p", max_tokens=256, sentences=SentenceKind.POOLED,
)  # fmt: skip
OTHER: dict[str, Any] = {
    "model": "n", "weights_sha256": "v", "precision": "int8", "dimension": 4, "normalised": False,
    "query_prefix": "", "passage_prefix": "", "max_tokens": 512, "sentences": SentenceKind.NONE,
}  # fmt: skip


@pytest.mark.parametrize("field", [field.name for field in fields(Fingerprint)])
def test_everything_in_a_fingerprint_is_in_its_digest(field: str) -> None:
    assert replace(FINGERPRINT, **{field: OTHER[field]}).digest != FINGERPRINT.digest
    assert replace(FINGERPRINT).digest == FINGERPRINT.digest


def test_a_digest_of_chunks_sees_every_change_and_no_order() -> None:
    chunks = [(0, Span(0, 3), "one"), (1, Span(4, 7), "two")]
    digest = chunks_digest(chunks)
    assert chunks_digest(reversed(chunks)) == digest
    for other in (
        chunks[:1],
        [(0, Span(0, 3), "one"), (1, Span(4, 7), "twp")],
        [(0, Span(0, 3), "one"), (1, Span(4, 8), "two")],
        [(0, Span(0, 3), "one"), (2, Span(4, 7), "two")],
        [],
    ):
        assert chunks_digest(other) != digest


ALICE = Principal("t", "alice", frozenset({"crew", "office"}))
NOBODY = Principal("t", "nobody")
CHIEF = Principal("t", "chief", roles=frozenset({ADMIN}))


@pytest.mark.parametrize(
    ("access", "caller", "admitted"),
    [
        (OPEN, ALICE, True), (OPEN, NOBODY, True), (OPEN, CHIEF, True),
        (ADMINS_ONLY, ALICE, False), (ADMINS_ONLY, NOBODY, False), (ADMINS_ONLY, CHIEF, True),
        (Access(("crew",)), ALICE, True), (Access(("crew",)), NOBODY, False),
        (Access(("bridge",)), ALICE, False), (Access(("bridge",)), CHIEF, True),
        (Access(("crew", "bridge")), ALICE, True),
        (ADMINS_ONLY, Machine("indexer"), True),
    ],
)  # fmt: skip
def test_access_admits_whom_it_names(access: Access, caller: Caller, admitted: bool) -> None:
    assert access.admits(caller) is admitted


def test_a_group_named_admin_is_no_role() -> None:
    assert not ADMINS_ONLY.admits(Principal("t", "x", groups=frozenset({ADMIN})))


groups = st.one_of(st.none(), st.lists(st.sampled_from("abcd"), max_size=4).map(tuple))
callers = st.one_of(
    st.builds(
        Principal, st.just("t"), st.just("x"), st.frozensets(st.sampled_from("abcd")),
        st.frozensets(st.sampled_from([ADMIN, "reader"])),
    ),
    st.just(Machine("indexer")),
)  # fmt: skip


@given(groups.map(Access), groups.map(Access), callers)
def test_an_access_that_covers_another_admits_all_of_its_callers(
    one: Access, other: Access, caller: Caller
) -> None:
    if one.covers(other) and other.admits(caller):
        assert one.admits(caller)


@given(groups.map(Access), groups.map(Access))
def test_an_access_that_does_not_cover_another_shuts_somebody_out(
    one: Access, other: Access
) -> None:
    if one.covers(other):
        return
    witnesses = [Principal("t", "w", frozenset(g)) for g in ("", "a", "b", "c", "d")]
    assert any(other.admits(w) and not one.admits(w) for w in witnesses)


def test_equal_groups_are_equal_access_in_any_order() -> None:
    assert Access(("b", "a", "b")) == Access(("a", "b"))
    assert Access(()) != Access(None)


def test_a_document_that_says_nothing_has_the_collections_access() -> None:
    assert resolved_access(None, DefaultAccess.OPEN) == OPEN
    assert resolved_access(None, DefaultAccess.RESTRICTED) == ADMINS_ONLY
    assert resolved_access(ADMINS_ONLY, DefaultAccess.OPEN) == ADMINS_ONLY
    assert resolved_access(Access(("a",)), DefaultAccess.RESTRICTED) == Access(("a",))


def test_values_that_cross_ports_cannot_be_changed() -> None:
    for value, field in ((Span(0, 1), "end"), (ALICE, "groups"), (OPEN, "groups")):
        with pytest.raises(FrozenInstanceError):
            setattr(value, field, None)


def test_a_job_ends_in_three_ways() -> None:
    ended = {state for state in JobState if state.ended}
    assert ended == {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}


def test_uploads_weigh_what_their_contents_weigh() -> None:
    assert total_bytes([Upload(b"abc"), Upload(b""), Upload(b"de")]) == 5


EXTRACTION = Extraction(
    text="Title\n\nGrüße 🚢\nrow 1\nrow 2",
    title="Title",
    content_type="text/markdown",
    pages=(0, 7),
    headings=(Heading(Span(0, 5), 1, "Title"),),
    line_regions=(Span(15, 26),),
)


def test_an_extraction_is_stored_and_read_back_the_same() -> None:
    assert Extraction.from_json(EXTRACTION.to_json()) == EXTRACTION


@pytest.mark.parametrize(
    "stored",
    [b"", b"[]", b"{}", b'{"format":99}', b'{"format":1}', b"not json",
     EXTRACTION.to_json().replace(b'"pages":[0,7]', b'"pages":["0"]'),
     EXTRACTION.to_json().replace(b'"pages":[0,7]', b'"pages":[9,7]')],
)  # fmt: skip
def test_anything_else_is_no_stored_extraction(stored: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json's and our own are both ValueErrors
        Extraction.from_json(stored)


@pytest.mark.parametrize(
    "wrong",
    [
        {"pages": (99,)},
        {"pages": (7, 0)},
        {"headings": (Heading(Span(0, 5), 1, "a"), Heading(Span(3, 6), 1, "b"))},
        {"line_regions": (Span(0, 99),)},
    ],
)
def test_structure_outside_of_the_text_or_out_of_order_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"text|order"):
        replace(EXTRACTION, **wrong)


@pytest.mark.parametrize(("most", "overlap"), [(15, 0), (100, 51), (100, -1)])
def test_a_plan_for_chunks_that_hold_nothing_new_is_refused(most: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="chunk"):
        ChunkPlan(b"{}", most, overlap)


def test_confinement_is_sealed_when_no_wall_is_missing() -> None:
    assert Confinement(("rlimits", "seccomp"), ()).mode == "sealed"
    assert Confinement(("rlimits",), (MissingWall("seccomp", "why"),)).mode == "best-effort"


@pytest.mark.parametrize(
    ("platform", "default"),
    [("linux", Sandbox.REQUIRED), ("darwin", Sandbox.BEST_EFFORT), ("win32", Sandbox.BEST_EFFORT)],
)
def test_a_seal_is_required_where_it_can_be_had(
    monkeypatch: pytest.MonkeyPatch, platform: str, default: Sandbox
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    assert Sandbox.default() is default


@pytest.mark.parametrize(
    ("languages", "language", "known"),
    [(("en",), "en", True), (("en",), "de", False), (("pt",), "pt-BR", True), ((), "de", True)],
)
def test_an_encoder_knows_the_languages_that_it_names_or_all(
    languages: tuple[str, ...], language: str, known: bool
) -> None:
    assert made_for(languages, language) is known
