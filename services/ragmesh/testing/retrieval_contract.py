"""The promises that every VectorIndex keeps, as tests: subclass, and give the two fixtures.

`index` is an empty store. `reopen` closes it and opens it again on the same files or server;
stores that forget at the end of the process leave it out and skip what needs it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragmesh.core.callers import ADMIN, ADMINS_ONLY, OPEN, Access, Caller, Machine, Principal
from ragmesh.core.errors import (
    AlreadyExistsError,
    FieldNotSortableError,
    IndexVersionGoneError,
    RevisionNotFoundError,
)
from ragmesh.core.filters import And, Eq, Exists, Filter, In, Not, Or, Range, matches
from ragmesh.core.index import AttributesWrite, DocumentDigest, DocumentWrite, HeadBatch, IndexSpec
from ragmesh.core.metadata import Metadata, SortableField, SortKind
from ragmesh.core.pages import PageRequest
from ragmesh.retrieval.ports import RankRequest, StoredChunk, VectorIndex
from ragmesh.testing.embedding import hashed_vector
from ragmesh.testing.retrieval import (
    TENANT,
    Publisher,
    attributes,
    document_write,
    index_spec,
    uid_of,
)

Reopen = Callable[[], Awaitable[VectorIndex]]

EVERYBODY = Principal(TENANT, "somebody")
SALES = Principal(TENANT, "seller", groups=frozenset({"sales"}))
BOSS = Principal(TENANT, "boss", roles=frozenset({ADMIN}))
INDEXER = Machine("indexer")
SORTABLE = (SortableField("year", SortKind.NUMBER, 0), SortableField("at", SortKind.DATETIME, 1))


async def find(
    index: VectorIndex,
    spec: IndexSpec,
    question: str = "cat",
    *,
    caller: Caller = EVERYBODY,
    node: Filter | None = None,
    keyword: bool = False,
) -> list[StoredChunk]:
    """Everything that one ranking finds, best first."""
    request = RankRequest(
        caller=caller,
        question=question,
        vector=None if keyword else hashed_vector(question),
        keyword=keyword,
        filter=node,
        candidates=1_000,
    )
    async with index.read(spec.index_version_uid) as view:
        ranked = await view.rank(request)
        places = [place for ranking in ranked.rankings for place in ranking.places]
        return list(await view.load(places, ranked.terms))


async def found(index: VectorIndex, spec: IndexSpec, **asked: Any) -> set[tuple[str, int]]:
    """(document id, revision) of everything that both rankings find; they must agree."""
    by_likeness = await find(index, spec, **asked)
    by_words = await find(index, spec, keyword=True, **asked)
    pairs = {(chunk.document_id, chunk.revision) for chunk in by_likeness}
    assert pairs == {(chunk.document_id, chunk.revision) for chunk in by_words}
    return pairs


async def publish(
    index: VectorIndex, write: DocumentWrite, publisher: Publisher, access: Access = OPEN
) -> None:
    """Write a revision and make it the published one."""
    await index.write(write)
    await index.apply_heads(
        publisher.publish(write.attributes.document_id, revision=write.revision, access=access)
    )


class VisibilityContract:
    """A search sees exactly the published revision, and only who may sees it."""

    async def test_what_is_written_is_invisible_until_a_head_names_it(
        self, index: VectorIndex
    ) -> None:
        spec, publisher = await _created(index)
        await index.write(document_write(spec, "a", "the cat sat"))
        assert await found(index, spec) == set()
        await index.apply_heads(publisher.publish("a"))
        assert await found(index, spec) == {("a", 1)}

    async def test_a_head_that_comes_before_its_chunks_shows_them_once_they_are_there(
        self, index: VectorIndex
    ) -> None:
        spec, publisher = await _created(index)
        await index.apply_heads(publisher.publish("a"))
        assert await found(index, spec) == set()
        await index.write(document_write(spec, "a", "the cat sat"))
        assert await found(index, spec) == {("a", 1)}

    async def test_of_two_revisions_only_the_published_one_is_found(
        self, index: VectorIndex
    ) -> None:
        spec, publisher = await _created(index)
        await publish(index, document_write(spec, "a", "old cat", "one more cat"), publisher)
        await index.write(document_write(spec, "a", "new cat", revision=2))
        assert await found(index, spec) == {("a", 1)}
        await index.apply_heads(publisher.publish("a", revision=2))
        assert await found(index, spec) == {("a", 2)}

    async def test_a_revision_written_again_replaces_what_was_written(
        self, index: VectorIndex
    ) -> None:
        spec, publisher = await _created(index)
        await publish(index, document_write(spec, "a", "cat one", "cat two"), publisher)
        await index.write(document_write(spec, "a", "cat three"))
        assert [chunk.text for chunk in await find(index, spec)] == ["cat three"]
        assert [chunk.text for chunk in await find(index, spec, keyword=True)] == ["cat three"]

    async def test_a_deleted_document_is_not_found_again(self, index: VectorIndex) -> None:
        spec, publisher = await _created(index)
        await publish(index, document_write(spec, "a", "the cat sat"), publisher)
        await index.apply_heads(publisher.delete("a"))
        assert await found(index, spec) == set()
        await index.write(document_write(spec, "a", "a late cat"))  # by a worker that slept
        assert await found(index, spec) == set()

    async def test_heads_already_seen_change_nothing(self, index: VectorIndex) -> None:
        spec, publisher = await _created(index)
        await index.write(document_write(spec, "a", "first cat"))
        await index.write(document_write(spec, "a", "second cat", revision=2))
        first, second = publisher.publish("a"), publisher.publish("a", revision=2)
        for batch in (first, second, first, second, first):
            await index.apply_heads(batch)
        assert await found(index, spec) == {("a", 2)}

    async def test_a_view_stays_what_it_was_while_documents_change(
        self, index: VectorIndex
    ) -> None:
        spec, publisher = await _created(index)
        await publish(index, document_write(spec, "a", "old cat"), publisher)
        request = RankRequest(EVERYBODY, "cat", hashed_vector("cat"), True, None, 10)
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
        spec, publisher = await _created(index)
        await publish(index, document_write(spec, "a", "the cat sat"), publisher, access)
        finders = {
            caller
            for caller in (EVERYBODY, SALES, BOSS, INDEXER)
            if await found(index, spec, caller=caller)
        }
        assert finders == admitted

    async def test_a_tighter_access_needs_a_head_and_no_write(self, index: VectorIndex) -> None:
        spec, publisher = await _created(index)
        await publish(index, document_write(spec, "a", "the cat sat"), publisher)
        assert await found(index, spec, caller=EVERYBODY)
        await index.apply_heads(publisher.publish("a", generation=2, access=ADMINS_ONLY))
        assert not await found(index, spec, caller=EVERYBODY)
        assert await found(index, spec, caller=BOSS)

    async def test_documents_and_chunks_are_counted_as_far_as_they_are_visible(
        self, index: VectorIndex
    ) -> None:
        spec, publisher = await _created(index)
        await publish(index, document_write(spec, "a", "cat one", "cat two"), publisher)
        await index.write(document_write(spec, "b", "hidden cat"))
        description = await index.describe(spec.index_version_uid)
        assert (description.documents, description.chunks) == (1, 2)
        assert description.heads_sequence == publisher.sequence


_WORDS = st.sampled_from(["de", "en", "fr", "é", "a b", "true", "1"])
_SCALARS = st.one_of(
    _WORDS, st.integers(-3, 3), st.booleans(), st.sampled_from([0.5, 1.0, -2.0, 2020, 2021])
)
_FIELDS = st.sampled_from(["lang", "tags", "year", "odd field", "none"])
_METADATA = st.fixed_dictionaries(
    {},
    optional={
        "lang": _SCALARS,
        "tags": st.lists(_SCALARS, max_size=3),
        "year": st.sampled_from([2019, 2020, 2020.5, 2021]),
        "at": st.sampled_from(["2020-01-01T00:00:00Z", "2021-06-01T12:00:00+02:00"]),
        "odd field": st.one_of(_WORDS, st.dictionaries(_WORDS, _WORDS, max_size=1)),
        "none": st.none(),
    },
)
_BOUNDS = st.lists(
    st.tuples(st.sampled_from(["gt", "gte", "lt", "lte"]), st.sampled_from([2019, 2020, 2021])),
    max_size=2,
    unique_by=lambda bound: bound[0],
)
_LEAVES = st.one_of(
    st.builds(Eq, _FIELDS, _SCALARS),
    st.builds(In, _FIELDS, st.lists(_SCALARS, max_size=3).map(tuple)),
    st.builds(Exists, _FIELDS),
    st.builds(Range, st.just("year"), _BOUNDS.map(tuple)),
    st.just(Range("at", (("gte", "2020-06-01T00:00:00Z"),))),
)
FILTERS: st.SearchStrategy[Filter] = st.recursive(
    _LEAVES,
    lambda parts: st.one_of(
        st.builds(And, st.lists(parts, max_size=3).map(tuple)),
        st.builds(Or, st.lists(parts, max_size=3).map(tuple)),
        st.builds(Not, parts),
    ),
    max_leaves=6,
)


class FilterContract:
    """A filter means in the store what it means in `core.filters`."""

    @given(
        metadata=st.lists(_METADATA, min_size=1, max_size=8),
        nodes=st.lists(FILTERS, min_size=3, max_size=3),
    )
    @settings(
        max_examples=20,
        deadline=None,
        database=None,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,  # every example makes its own index version
            HealthCheck.differing_executors,  # the suite runs once an adapter; nothing is replayed
            HealthCheck.too_slow,
        ],
    )
    async def test_every_filter_finds_what_the_reference_lets_pass(
        self, index: VectorIndex, metadata: list[dict[str, Any]], nodes: list[Filter]
    ) -> None:
        spec, publisher = await _created(index, SORTABLE)
        given_by_id = {
            f"d{number}": attributes(
                f"d{number}", metadata=Metadata.parse(fields), sortable=SORTABLE
            )
            for number, fields in enumerate(metadata)
        }
        await asyncio.gather(
            *(
                index.write(document_write(spec, document_id, "cat", given=one))
                for document_id, one in given_by_id.items()
            )
        )
        for document_id in given_by_id:
            await index.apply_heads(publisher.publish(document_id))
        for node in nodes:
            passing = {
                (document_id, 1)
                for document_id, one in given_by_id.items()
                if matches(node, one.tokens, dict(one.slots), SORTABLE)
            }
            assert await found(index, spec, node=node) == passing
        await index.drop(spec.index_version_uid)

    async def test_true_is_not_one(self, index: VectorIndex) -> None:
        spec, publisher = await _created(index)
        for document_id, value in (("yes", True), ("one", 1)):
            one = attributes(document_id, metadata=Metadata.parse({"flag": value}))
            await publish(index, document_write(spec, document_id, "cat", given=one), publisher)
        assert await found(index, spec, node=Eq("flag", True)) == {("yes", 1)}
        assert await found(index, spec, node=Eq("flag", 1)) == {("one", 1)}

    async def test_a_range_over_a_field_that_is_not_sortable_is_refused(
        self, index: VectorIndex
    ) -> None:
        spec, publisher = await _created(index, SORTABLE)
        await publish(index, document_write(spec, "a", "cat"), publisher)
        with pytest.raises(FieldNotSortableError):
            await find(index, spec, node=Range("lang", (("gt", 1),)))

    async def test_new_attributes_change_what_is_found_and_shown(self, index: VectorIndex) -> None:
        spec, publisher = await _created(index)
        await publish(index, document_write(spec, "a", "the cat sat"), publisher)
        assert not await found(index, spec, node=Eq("lang", "de"))
        metadata = Metadata.parse({"lang": "de"})
        await index.update_attributes(
            AttributesWrite(
                spec.index_version_uid,
                uid_of("a"),
                1,
                attributes("a", generation=2, title="Wörterbuch", metadata=metadata),
            )
        )
        (chunk,) = await find(index, spec, node=Eq("lang", "de"))
        assert (chunk.title, chunk.metadata) == ("Wörterbuch", '{"lang":"de"}')

    async def test_attributes_of_an_earlier_generation_change_nothing(
        self, index: VectorIndex
    ) -> None:
        spec, publisher = await _created(index)
        late = attributes("a", generation=3, title="late")
        await publish(index, document_write(spec, "a", "cat", given=late), publisher)
        early = attributes("a", generation=2, title="early")
        await index.update_attributes(
            AttributesWrite(spec.index_version_uid, uid_of("a"), 1, early)
        )
        await index.write(document_write(spec, "a", "same cat", given=early))
        (chunk,) = await find(index, spec)
        assert (chunk.title, chunk.text) == ("late", "same cat")

    async def test_attributes_of_a_revision_that_is_not_held_are_refused(
        self, index: VectorIndex
    ) -> None:
        spec, _ = await _created(index)
        with pytest.raises(RevisionNotFoundError):
            await index.update_attributes(
                AttributesWrite(spec.index_version_uid, uid_of("a"), 1, attributes("a"))
            )


class KeepingContract:
    """What an index is told to keep it keeps, and tells what it keeps."""

    async def test_digests_are_listed_in_pages_by_document_and_revision(
        self, index: VectorIndex
    ) -> None:
        spec, _ = await _created(index)
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
        spec, _ = await _created(index)
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
        spec, publisher = await _created(index)
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
        spec, _ = await _created(index)
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
        one, publisher = await _created(index)
        other, _ = await _created(index)
        await publish(index, document_write(one, "a", "cat"), publisher)
        assert await found(index, one) == {("a", 1)}
        assert await found(index, other) == set()

    async def test_equal_texts_rank_by_document_id_whatever_was_written_first(
        self, index: VectorIndex
    ) -> None:
        spec, publisher = await _created(index)
        for document_id in ("m", "z", "a", "k"):
            await publish(index, document_write(spec, document_id, "one cat"), publisher)
        for keyword in (False, True):
            chunks = await find(index, spec, keyword=keyword)
            assert [chunk.document_id for chunk in chunks] == ["a", "k", "m", "z"]

    async def test_a_chunk_comes_back_as_it_was_written(self, index: VectorIndex) -> None:
        spec, publisher = await _created(index)
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


class VectorIndexContract(VisibilityContract, FilterContract, KeepingContract):
    """All that needs no restart."""


class DurableIndexContract(VectorIndexContract):
    """All of it, for stores that outlive the process."""

    async def test_a_restart_keeps_everything_and_shows_it_once_heads_are_heard(
        self, index: VectorIndex, reopen: Reopen
    ) -> None:
        spec, publisher = await _created(index, SORTABLE)
        given = attributes("a", metadata=Metadata.parse({"year": 2020}), sortable=SORTABLE)
        await index.write(document_write(spec, "a", "the cat sat", given=given))
        await index.write(document_write(spec, "b", "a cat ran"))
        before = await index.list_digests(spec.index_version_uid, PageRequest())
        index = await reopen()
        assert await index.list_indexes() == (spec,)
        assert await index.list_digests(spec.index_version_uid, PageRequest()) == before
        assert await found(index, spec) == set()
        for document_id in ("a", "b"):
            await index.apply_heads(publisher.publish(document_id))
        assert await found(index, spec) == {("a", 1), ("b", 1)}
        assert await found(index, spec, node=Range("year", (("lt", 2021),))) == {("a", 1)}

    async def test_what_was_deleted_stays_deleted_after_a_restart(
        self, index: VectorIndex, reopen: Reopen
    ) -> None:
        spec, publisher = await _created(index)
        await index.write(document_write(spec, "a", "old cat"))
        await index.write(document_write(spec, "a", "new cat", revision=2))
        await index.delete(spec.index_version_uid, uid_of("a"), below_revision=2)
        index = await reopen()
        await index.apply_heads(publisher.publish("a", revision=1))
        assert await found(index, spec) == set()
        await index.apply_heads(publisher.publish("a", revision=2))
        assert await found(index, spec) == {("a", 2)}


async def _created(
    index: VectorIndex, sortable: tuple[SortableField, ...] = ()
) -> tuple[IndexSpec, Publisher]:
    spec = index_spec(sortable=sortable)
    await index.create(spec)
    return spec, Publisher(spec)
