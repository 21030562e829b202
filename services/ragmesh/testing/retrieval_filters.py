"""Filters mean in every store what they mean in `core.filters`: strategies and a suite."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragmesh.core.errors import (
    FieldNotSortableError,
    RevisionNotFoundError,
)
from ragmesh.core.filters import And, Eq, Exists, Filter, In, Not, Or, Range, matches
from ragmesh.core.index import AttributesWrite
from ragmesh.core.metadata import Metadata
from ragmesh.retrieval.ports import VectorIndex
from ragmesh.testing.retrieval import (
    attributes,
    document_write,
    uid_of,
)
from ragmesh.testing.retrieval_finding import (
    SORTABLE,
    created,
    find,
    found,
    publish,
)

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
        spec, publisher = await created(index, SORTABLE)
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
        spec, publisher = await created(index)
        for document_id, value in (("yes", True), ("one", 1)):
            one = attributes(document_id, metadata=Metadata.parse({"flag": value}))
            await publish(index, document_write(spec, document_id, "cat", given=one), publisher)
        assert await found(index, spec, node=Eq("flag", True)) == {("yes", 1)}
        assert await found(index, spec, node=Eq("flag", 1)) == {("one", 1)}

    async def test_a_range_over_a_field_that_is_not_sortable_is_refused(
        self, index: VectorIndex
    ) -> None:
        spec, publisher = await created(index, SORTABLE)
        await publish(index, document_write(spec, "a", "cat"), publisher)
        with pytest.raises(FieldNotSortableError):
            await find(index, spec, node=Range("lang", (("gt", 1),)))

    async def test_new_attributes_change_what_is_found_and_shown(self, index: VectorIndex) -> None:
        spec, publisher = await created(index)
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
        spec, publisher = await created(index)
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
        spec, _ = await created(index)
        with pytest.raises(RevisionNotFoundError):
            await index.update_attributes(
                AttributesWrite(spec.index_version_uid, uid_of("a"), 1, attributes("a"))
            )
