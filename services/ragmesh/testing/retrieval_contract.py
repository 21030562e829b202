"""The promises that every VectorIndex keeps, as tests: subclass, and give the two fixtures.

`index` is an empty store. `reopen` closes it and opens it again on the same files or server;
stores that forget at the end of the process leave it out and skip what needs it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from ragmesh.core.callers import ADMINS_ONLY, OPEN, Access, Caller
from ragmesh.core.errors import (
    AlreadyExistsError,
    IndexVersionGoneError,
)
from ragmesh.core.filters import Range
from ragmesh.core.index import DocumentDigest, HeadBatch
from ragmesh.core.metadata import Metadata
from ragmesh.core.pages import PageRequest
from ragmesh.retrieval.ports import RankRequest, VectorIndex
from ragmesh.retrieval.wording import Wording
from ragmesh.testing.embedding import hashed_vector
from ragmesh.testing.retrieval import (
    attributes,
    document_write,
    index_spec,
    uid_of,
)
from ragmesh.testing.retrieval_filters import FilterContract
from ragmesh.testing.retrieval_finding import (
    BOSS,
    EVERYBODY,
    INDEXER,
    SALES,
    SORTABLE,
    chunks_of,
    created,
    find,
    found,
    publish,
    rank_request,
)
from ragmesh.testing.retrieval_wording import WordingContract

Reopen = Callable[[], Awaitable[VectorIndex]]


class VisibilityContract:
    """A search sees exactly the published revision, and only who may sees it."""

    async def test_what_is_written_is_invisible_until_a_head_names_it(
        self, index: VectorIndex
    ) -> None:
        spec, publisher = await created(index)
        await index.write(document_write(spec, "a", "the cat sat"))
        assert await found(index, spec) == set()
        await index.apply_heads(publisher.publish("a"))
        assert await found(index, spec) == {("a", 1)}

    async def test_a_head_that_comes_before_its_chunks_shows_them_once_they_are_there(
        self, index: VectorIndex
    ) -> None:
        spec, publisher = await created(index)
        await index.apply_heads(publisher.publish("a"))
        assert await found(index, spec) == set()
        await index.write(document_write(spec, "a", "the cat sat"))
        assert await found(index, spec) == {("a", 1)}

    async def test_of_two_revisions_only_the_published_one_is_found(
        self, index: VectorIndex
    ) -> None:
        spec, publisher = await created(index)
        await publish(index, document_write(spec, "a", "old cat", "one more cat"), publisher)
        await index.write(document_write(spec, "a", "new cat", revision=2))
        assert await found(index, spec) == {("a", 1)}
        await index.apply_heads(publisher.publish("a", revision=2))
        assert await found(index, spec) == {("a", 2)}

    async def test_a_revision_written_again_replaces_what_was_written(
        self, index: VectorIndex
    ) -> None:
        spec, publisher = await created(index)
        await publish(index, document_write(spec, "a", "cat one", "cat two"), publisher)
        await index.write(document_write(spec, "a", "cat three"))
        assert [chunk.text for chunk in await find(index, spec)] == ["cat three"]
        assert [chunk.text for chunk in await find(index, spec, keyword=True)] == ["cat three"]

    async def test_a_deleted_document_is_not_found_again(self, index: VectorIndex) -> None:
        spec, publisher = await created(index)
        await publish(index, document_write(spec, "a", "the cat sat"), publisher)
        await index.apply_heads(publisher.delete("a"))
        assert await found(index, spec) == set()
        await index.write(document_write(spec, "a", "a late cat"))  # by a worker that slept
        assert await found(index, spec) == set()

    async def test_published_documents_whose_chunks_are_not_there_are_counted(
        self, index: VectorIndex
    ) -> None:
        spec, publisher = await created(index)

        async def missing() -> int:
            async with index.read(spec.index_version_uid) as view:
                return view.missing_documents

        await index.write(document_write(spec, "a", "cat"))
        assert await missing() == 0  # nobody has promised it yet
        await index.apply_heads(publisher.publish("a"))
        await index.apply_heads(publisher.publish("b"))
        assert await missing() == 1
        await index.write(document_write(spec, "b", "cat"))
        assert await missing() == 0
        await index.apply_heads(publisher.publish("a", revision=2))
        assert await missing() == 1
        await index.write(document_write(spec, "a", "new cat", revision=2))
        await index.delete(spec.index_version_uid, uid_of("a"), below_revision=2)
        assert await missing() == 0

    async def test_heads_already_seen_change_nothing(self, index: VectorIndex) -> None:
        spec, publisher = await created(index)
        await index.write(document_write(spec, "a", "first cat"))
        await index.write(document_write(spec, "a", "second cat", revision=2))
        first, second = publisher.publish("a"), publisher.publish("a", revision=2)
        for batch in (first, second, first, second, first):
            await index.apply_heads(batch)
        assert await found(index, spec) == {("a", 2)}

    async def test_a_view_stays_what_it_was_while_documents_change(
        self, index: VectorIndex
    ) -> None:
        spec, publisher = await created(index)
        await publish(index, document_write(spec, "a", "old cat"), publisher)
        request = RankRequest(EVERYBODY, Wording("cat"), hashed_vector("cat"), True, None, 10)
        async with index.read(spec.index_version_uid) as view:
            before = view.heads_sequence
            await publish(index, document_write(spec, "a", "new cat", revision=2), publisher)
            await publish(index, document_write(spec, "b", "other cat"), publisher)
            await index.delete(spec.index_version_uid, uid_of("a"), below_revision=2)
            ranked = await view.rank(request)
            loaded = await view.load(ranked.rankings[0].places, ranked.terms)
            assert [(chunk.text, chunk.revision) for chunk in loaded] == [("old cat", 1)]
            assert ranked.rankings[1].places == ranked.rankings[0].places
            assert view.heads_sequence == before
        assert await found(index, spec) == {("a", 2), ("b", 1)}

    @pytest.mark.parametrize(
        ("access", "admitted"),
        [
            pytest.param(OPEN, {EVERYBODY, SALES, BOSS, INDEXER}, id="open"),
            pytest.param(Access(("sales", "hr")), {SALES, BOSS, INDEXER}, id="groups"),
            pytest.param(Access(("hr",)), {BOSS, INDEXER}, id="other groups"),
            pytest.param(ADMINS_ONLY, {BOSS, INDEXER}, id="admins only"),
        ],
    )
    async def test_the_heads_access_decides_who_finds_a_document(
        self, index: VectorIndex, access: Access, admitted: set[Caller]
    ) -> None:
        spec, publisher = await created(index)
        await publish(index, document_write(spec, "a", "the cat sat"), publisher, access)
        finders = {
            caller
            for caller in (EVERYBODY, SALES, BOSS, INDEXER)
            if await found(index, spec, caller=caller)
        }
        assert finders == admitted

    async def test_a_tighter_access_needs_a_head_and_no_write(self, index: VectorIndex) -> None:
        spec, publisher = await created(index)
        await publish(index, document_write(spec, "a", "the cat sat"), publisher)
        assert await found(index, spec, caller=EVERYBODY)
        await index.apply_heads(publisher.publish("a", generation=2, access=ADMINS_ONLY))
        assert not await found(index, spec, caller=EVERYBODY)
        assert await found(index, spec, caller=BOSS)

    async def test_documents_and_chunks_are_counted_as_far_as_they_are_visible(
        self, index: VectorIndex
    ) -> None:
        spec, publisher = await created(index)
        await publish(index, document_write(spec, "a", "cat one", "cat two"), publisher)
        await index.write(document_write(spec, "b", "hidden cat"))
        description = await index.describe(spec.index_version_uid)
        assert (description.documents, description.chunks) == (1, 2)
        assert description.heads_sequence == publisher.sequence


class KeepingContract:
    """What an index is told to keep it keeps, and tells what it keeps."""

    async def test_digests_are_listed_in_pages_by_document_and_revision(
        self, index: VectorIndex
    ) -> None:
        spec, _ = await created(index)
        digests = [
            await index.write(document_write(spec, document_id, "cat", revision=revision))
            for document_id in ("a", "b", "c")
            for revision in (1, 2)
        ]
        listed: list[DocumentDigest] = []
        token = ""
        while True:
            page = await index.list_digests(spec.index_version_uid, PageRequest(4, token))
            listed.extend(page.items)
            token = page.next_token
            if not token:
                break
        assert listed == digests
        assert {digest.chunk_count for digest in listed} == {1}

    async def test_deleting_removes_all_revisions_below_and_says_how_many_chunks(
        self, index: VectorIndex
    ) -> None:
        spec, _ = await created(index)
        uid = spec.index_version_uid
        await index.write(document_write(spec, "a", "one", "two"))
        await index.write(document_write(spec, "a", "three", revision=2))
        await index.write(document_write(spec, "b", "four"))
        assert await index.delete(uid, uid_of("a"), below_revision=2) == 2
        assert await index.delete(uid, uid_of("a"), below_revision=2) == 0
        left = (await index.list_digests(uid, PageRequest())).items
        assert [(one.document_uid, one.revision) for one in left] == [
            (uid_of("a"), 2),
            (uid_of("b"), 1),
        ]

    async def test_creating_again_changes_nothing_and_another_spec_is_refused(
        self, index: VectorIndex
    ) -> None:
        spec, publisher = await created(index)
        await publish(index, document_write(spec, "a", "cat"), publisher)
        await index.create(spec)
        assert await found(index, spec) == {("a", 1)}
        other = index_spec(language="de")
        with pytest.raises(AlreadyExistsError):
            await index.create(
                type(spec)(
                    spec.index_version_uid,
                    *(getattr(other, name) for name in type(spec).__slots__[1:]),
                )
            )

    async def test_a_dropped_index_version_is_gone_and_dropping_again_is_fine(
        self, index: VectorIndex
    ) -> None:
        spec, _ = await created(index)
        await index.drop(spec.index_version_uid)
        await index.drop(spec.index_version_uid)
        assert await index.list_indexes() == ()
        with pytest.raises(IndexVersionGoneError):
            await index.get_spec(spec.index_version_uid)
        with pytest.raises(IndexVersionGoneError):
            await index.write(document_write(spec, "a", "cat"))
        with pytest.raises(IndexVersionGoneError):
            await index.apply_heads(HeadBatch(spec.index_version_uid, (), 1, caught_up=True))

    async def test_index_versions_do_not_mix(self, index: VectorIndex) -> None:
        one, publisher = await created(index)
        other, _ = await created(index)
        await publish(index, document_write(one, "a", "cat"), publisher)
        assert await found(index, one) == {("a", 1)}
        assert await found(index, other) == set()

    async def test_equal_texts_rank_by_document_id_whatever_was_written_first(
        self, index: VectorIndex
    ) -> None:
        spec, publisher = await created(index)
        for document_id in ("m", "z", "a", "k"):
            await publish(index, document_write(spec, document_id, "one cat"), publisher)
        for keyword in (False, True):
            chunks = await find(index, spec, keyword=keyword)
            assert [chunk.document_id for chunk in chunks] == ["a", "k", "m", "z"]

    async def test_which_of_equal_texts_are_found_does_not_depend_on_what_was_written_first(
        self, index: VectorIndex
    ) -> None:
        spec, publisher = await created(index)
        ids = [f"d{number:02}" for number in range(40)]
        await publish(index, document_write(spec, "best", "cat"), publisher)
        for document_id in reversed(ids):
            await publish(index, document_write(spec, document_id, "one cat"), publisher)
        for keyword in (False, True):
            request = replace(rank_request(keyword=keyword), candidates=5)
            chunks = await chunks_of(index, spec, request)
            assert [chunk.document_id for chunk in chunks] == ["best", *ids[:4]]

    async def test_a_chunk_comes_back_as_it_was_written(self, index: VectorIndex) -> None:
        spec, publisher = await created(index)
        write = document_write(spec, "a", "A cat sat. It slept.", "Füße über Straßen 🐈.")
        await publish(index, write, publisher)
        chunks = await find(index, spec, "Füße cat")
        for chunk, written in zip(
            sorted(chunks, key=lambda one: one.span), write.chunks, strict=True
        ):
            draft = written.draft
            assert (chunk.text, chunk.span, chunk.page) == (draft.text, draft.span, draft.page)
            assert (chunk.headings, chunk.token_count) == (draft.headings, draft.token_count)
            assert tuple(one.span for one in chunk.sentences) == draft.sentences
            assert chunk.sentence_vectors == written.sentence_vectors


class VectorIndexContract(VisibilityContract, FilterContract, WordingContract, KeepingContract):
    """All that needs no restart."""


class DurableIndexContract(VectorIndexContract):
    """All of it, for stores that outlive the process."""

    async def test_a_restart_keeps_everything_and_shows_it_once_heads_are_heard(
        self, index: VectorIndex, reopen: Reopen
    ) -> None:
        spec, publisher = await created(index, SORTABLE)
        given = attributes("a", metadata=Metadata.parse({"year": 2020}), sortable=SORTABLE)
        await index.write(document_write(spec, "a", "the cat sat", given=given))
        await index.write(document_write(spec, "b", "a cat ran"))
        before = await index.list_digests(spec.index_version_uid, PageRequest())
        index = await reopen()
        assert await index.list_indexes() == (spec.index_version_uid,)
        assert await index.list_digests(spec.index_version_uid, PageRequest()) == before
        assert await found(index, spec) == set()
        for document_id in ("a", "b"):
            await index.apply_heads(publisher.publish(document_id))
        assert await found(index, spec) == {("a", 1), ("b", 1)}
        assert await found(index, spec, node=Range("year", (("lt", 2021),))) == {("a", 1)}

    async def test_what_was_deleted_stays_deleted_after_a_restart(
        self, index: VectorIndex, reopen: Reopen
    ) -> None:
        spec, publisher = await created(index)
        await index.write(document_write(spec, "a", "old cat"))
        await index.write(document_write(spec, "a", "new cat", revision=2))
        await index.delete(spec.index_version_uid, uid_of("a"), below_revision=2)
        index = await reopen()
        # Who heard of the first revision only may see it for a while, but it is not held.
        listed = (await index.list_digests(spec.index_version_uid, PageRequest())).items
        assert [(one.document_uid, one.revision) for one in listed] == [(uid_of("a"), 2)]
        await index.apply_heads(publisher.publish("a", revision=1))
        await index.apply_heads(publisher.publish("a", revision=2))
        assert await found(index, spec) == {("a", 2)}
