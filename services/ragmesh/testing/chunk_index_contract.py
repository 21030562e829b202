"""The promises of whoever keeps chunks for indexing: retrieval itself, its client, and fakes.

Subclass, and give the fixture `chunk_index`: an empty ChunkIndex.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from ragmesh.core.callers import Machine
from ragmesh.core.errors import (
    AlreadyExistsError,
    FingerprintMismatchError,
    IndexVersionGoneError,
    InvalidError,
    InvalidPageTokenError,
    InvalidVectorError,
    RevisionNotFoundError,
)
from ragmesh.core.index import (
    AttributesWrite,
    DocumentDigest,
    IndexSpec,
    chunks_digest,
)
from ragmesh.core.metadata import Metadata, declare_sortable
from ragmesh.core.pages import PageRequest
from ragmesh.core.vectors import SentenceVectors, Vector
from ragmesh.indexing.ports import ChunkIndex, IndexRegistry
from ragmesh.testing.embedding import DIMENSION, fake_fingerprint
from ragmesh.testing.retrieval import attributes, document_write, index_spec, uid_of

INDEXER = Machine("indexer")
SORTABLE = declare_sortable({"day": "datetime", "year": "number"})


async def created(chunk_index: ChunkIndex) -> IndexSpec:
    """A new index version in it."""
    spec = index_spec(sortable=SORTABLE)
    await chunk_index.create_index(INDEXER, spec)
    return spec


async def held(chunk_index: ChunkIndex, spec: IndexSpec) -> tuple[DocumentDigest, ...]:
    """What it holds of an index version."""
    uid = spec.index_version_uid
    return (await chunk_index.list_document_digests(INDEXER, uid, PageRequest(1_000))).items


class IndexRegistryContract:
    """Index versions are made once and dropped for good."""

    async def test_an_equal_index_version_is_made_once(self, chunk_index: IndexRegistry) -> None:
        spec = index_spec(language="de", sortable=SORTABLE, default_restricted=True)
        await chunk_index.create_index(INDEXER, spec)
        await chunk_index.create_index(INDEXER, spec)

    @pytest.mark.parametrize(
        "other",
        [
            {"encoder": "another"},
            {"language": "fr"},
            {"sortable": SORTABLE[:1]},
            {"default_restricted": True},
            {"fingerprint": fake_fingerprint("another")},
            {"tenant_uid": "another"},
        ],
        ids=lambda other: next(iter(other)),
    )
    async def test_another_index_version_of_the_same_uid_is_refused(
        self, chunk_index: IndexRegistry, other: dict[str, object]
    ) -> None:
        spec = index_spec(language="de", sortable=SORTABLE)
        await chunk_index.create_index(INDEXER, spec)
        with pytest.raises(AlreadyExistsError):
            await chunk_index.create_index(INDEXER, replace(spec, **other))  # type: ignore[arg-type]

    async def test_dropping_what_is_not_there_is_no_error(self, chunk_index: IndexRegistry) -> None:
        spec = index_spec()
        await chunk_index.create_index(INDEXER, spec)
        for _ in range(2):
            await chunk_index.drop_index(INDEXER, spec.index_version_uid)


class ChunkIndexContract(IndexRegistryContract):
    """What is written is held whole, and what must not be held is refused."""

    async def test_a_write_is_answered_with_what_is_held(self, chunk_index: ChunkIndex) -> None:
        spec = await created(chunk_index)
        write = document_write(spec, "a", "One. Two.", "Grüße, 🐈!", revision=3)
        digest = await chunk_index.write_chunks(INDEXER, write)
        drafts = [chunk.draft for chunk in write.chunks]
        assert digest == DocumentDigest(
            uid_of("a"), 3, 1, 2, chunks_digest((d.ordinal, d.span, d.text) for d in drafts)
        )
        assert await held(chunk_index, spec) == (digest,)

    async def test_writing_again_replaces_the_revision(self, chunk_index: ChunkIndex) -> None:
        spec = await created(chunk_index)
        await chunk_index.write_chunks(INDEXER, document_write(spec, "a", "one", "two"))
        digest = await chunk_index.write_chunks(INDEXER, document_write(spec, "a", "three"))
        assert digest.chunk_count == 1
        assert await held(chunk_index, spec) == (digest,)

    async def test_a_document_larger_than_any_message_is_written_whole(
        self, chunk_index: ChunkIndex
    ) -> None:
        spec = await created(chunk_index)
        write = document_write(spec, "a", *[f"cat {n}" for n in range(17)])
        grown = [
            replace(chunk, draft=replace(chunk.draft, text=chunk.draft.text.ljust(1024**2)))
            for chunk in write.chunks
        ]
        digest = await chunk_index.write_chunks(INDEXER, replace(write, chunks=tuple(grown)))
        assert digest.chunk_count == 17
        assert await held(chunk_index, spec) == (digest,)

    async def test_a_document_without_chunks_is_held_too(self, chunk_index: ChunkIndex) -> None:
        spec = await created(chunk_index)
        digest = await chunk_index.write_chunks(INDEXER, document_write(spec, "a"))
        assert digest.chunk_count == 0

    async def test_digests_come_in_pages(self, chunk_index: ChunkIndex) -> None:
        spec = await created(chunk_index)
        uid = spec.index_version_uid
        for name in ("a", "b", "c"):
            await chunk_index.write_chunks(INDEXER, document_write(spec, name, "text"))
        first = await chunk_index.list_document_digests(INDEXER, uid, PageRequest(2))
        rest = await chunk_index.list_document_digests(
            INDEXER, uid, PageRequest(2, first.next_token)
        )
        assert (*first.items, *rest.items) == await held(chunk_index, spec)
        assert (len(first.items), rest.next_token) == (2, "")

    async def test_older_revisions_are_deleted_and_counted(self, chunk_index: ChunkIndex) -> None:
        spec = await created(chunk_index)
        uid = spec.index_version_uid
        await chunk_index.write_chunks(INDEXER, document_write(spec, "a", "one", "two"))
        kept = await chunk_index.write_chunks(INDEXER, document_write(spec, "a", "x", revision=2))
        for removed in (2, 0):
            count = await chunk_index.delete_chunks(INDEXER, uid, uid_of("a"), below_revision=2)
            assert count == removed
        assert await held(chunk_index, spec) == (kept,)

    async def test_attributes_of_a_later_generation_are_taken_and_others_are_not(
        self, chunk_index: ChunkIndex
    ) -> None:
        spec = await created(chunk_index)
        await chunk_index.write_chunks(INDEXER, document_write(spec, "a", "text"))
        year = Metadata.parse({"year": 2020, "day": "2020-01-01", "tags": ["x", True, 1]})
        for generation, in_force in ((3, 3), (2, 3)):
            given = attributes("a", generation=generation, metadata=year, sortable=SORTABLE)
            await chunk_index.update_attributes(
                INDEXER, AttributesWrite(spec.index_version_uid, uid_of("a"), 1, given)
            )
            (digest,) = await held(chunk_index, spec)
            assert digest.generation == in_force

    async def test_attributes_of_what_is_not_held_are_refused(
        self, chunk_index: ChunkIndex
    ) -> None:
        spec = await created(chunk_index)
        write = AttributesWrite(spec.index_version_uid, uid_of("a"), 1, attributes("a"))
        with pytest.raises(RevisionNotFoundError):
            await chunk_index.update_attributes(INDEXER, write)

    async def test_what_is_written_is_not_counted_before_a_head_shows_it(
        self, chunk_index: ChunkIndex
    ) -> None:
        spec = await created(chunk_index)
        await chunk_index.write_chunks(INDEXER, document_write(spec, "a", "text"))
        description = await chunk_index.describe_index(INDEXER, spec.index_version_uid)
        assert (description.documents, description.chunks, description.heads_sequence) == (0, 0, 0)
        assert description.index_version_uid == spec.index_version_uid
        assert description.fingerprint == spec.fingerprint

    async def test_vectors_of_another_encoder_are_refused(self, chunk_index: ChunkIndex) -> None:
        spec = await created(chunk_index)
        foreign = fake_fingerprint("another")
        write = replace(document_write(spec, "a", "text"), fingerprint=foreign)
        with pytest.raises(FingerprintMismatchError) as caught:
            await chunk_index.write_chunks(INDEXER, write)
        assert caught.value.metadata == {
            "expected": spec.fingerprint.digest,
            "offered": foreign.digest,
        }
        assert await held(chunk_index, spec) == ()

    @pytest.mark.parametrize(
        "vector",
        [
            pytest.param(Vector.from_floats([0.1] * (DIMENSION - 1)), id="too short"),
            pytest.param(Vector.from_floats([float("nan")] * DIMENSION), id="NaN"),
            pytest.param(
                Vector.from_floats([float("inf"), float("-inf")] + [0.1] * (DIMENSION - 2)),
                id="infinities that cancel out",
            ),
        ],
    )
    async def test_a_vector_that_is_none_is_refused_with_its_place(
        self, chunk_index: ChunkIndex, vector: Vector
    ) -> None:
        spec = await created(chunk_index)
        write = document_write(spec, "a", "fine", "spoiled")
        chunks = (write.chunks[0], replace(write.chunks[1], vector=vector))
        with pytest.raises(InvalidVectorError) as caught:
            await chunk_index.write_chunks(INDEXER, replace(write, chunks=chunks))
        assert [one.field for one in caught.value.violations] == ["chunks[1].vector"]
        assert await held(chunk_index, spec) == ()

    async def test_a_refusal_of_the_first_of_many_chunks_says_why(
        self, chunk_index: ChunkIndex
    ) -> None:
        spec = await created(chunk_index)
        write = document_write(spec, "a", *[f"cat {n}" for n in range(12)])
        grown = [
            replace(chunk, draft=replace(chunk.draft, text=chunk.draft.text.ljust(1024**2)))
            for chunk in write.chunks
        ]
        grown[0] = replace(grown[0], vector=Vector.from_floats([float("nan")] * DIMENSION))
        with pytest.raises(InvalidVectorError):
            await chunk_index.write_chunks(INDEXER, replace(write, chunks=tuple(grown)))
        assert await held(chunk_index, spec) == ()

    async def test_sentence_vectors_must_be_one_a_sentence(self, chunk_index: ChunkIndex) -> None:
        spec = await created(chunk_index)
        write = document_write(spec, "a", "One. Two.")
        one_row = SentenceVectors(DIMENSION, bytes(DIMENSION))
        chunk = replace(write.chunks[0], sentence_vectors=one_row)
        with pytest.raises(InvalidVectorError) as caught:
            await chunk_index.write_chunks(INDEXER, replace(write, chunks=(chunk,)))
        assert [one.field for one in caught.value.violations] == ["chunks[0].sentence_vectors"]

    async def test_ordinals_must_count_up_from_zero(self, chunk_index: ChunkIndex) -> None:
        spec = await created(chunk_index)
        write = document_write(spec, "a", "one", "two")
        with pytest.raises(InvalidError) as caught:
            await chunk_index.write_chunks(INDEXER, replace(write, chunks=write.chunks[1:]))
        assert [one.field for one in caught.value.violations] == ["chunks[0].ordinal"]

    async def test_a_forged_page_token_is_refused(self, chunk_index: ChunkIndex) -> None:
        spec = await created(chunk_index)
        with pytest.raises(InvalidPageTokenError):
            await chunk_index.list_document_digests(
                INDEXER, spec.index_version_uid, PageRequest(2, "forged")
            )

    async def test_what_is_gone_is_gone_for_every_method(self, chunk_index: ChunkIndex) -> None:
        spec = await created(chunk_index)
        uid = spec.index_version_uid
        await chunk_index.drop_index(INDEXER, uid)
        for call in (
            chunk_index.write_chunks(INDEXER, document_write(spec, "a", "text")),
            chunk_index.update_attributes(
                INDEXER, AttributesWrite(uid, uid_of("a"), 1, attributes("a"))
            ),
            chunk_index.delete_chunks(INDEXER, uid, uid_of("a"), below_revision=2),
            chunk_index.list_document_digests(INDEXER, uid, PageRequest()),
            chunk_index.describe_index(INDEXER, uid),
        ):
            with pytest.raises(IndexVersionGoneError):
                await call
