"""The promises of the catalog's stores about lists; see `ledger_contract` for the fixture."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragmesh.core.documents import NewCollection, Upload
from ragmesh.core.errors import FieldNotSortableError, InvalidPageTokenError
from ragmesh.core.filters import Filter, matches, parse_filter
from ragmesh.core.metadata import Metadata, declare_sortable
from ragmesh.core.pages import PageRequest
from ragmesh.testing.indexing_world import ADMIN, EVERYBODY
from ragmesh.testing.ledger_contract import OpenWorld

SORTABLE = declare_sortable({"year": "number", "day": "datetime"})
FIELDS = ("lang", "tags", "n", "odd name")
SCALARS: list[Any] = ["en", "de", "", "x" * 300, 1, 2.5, -0.0, True, False, 10**20]
METADATA: list[dict[str, Any]] = [
    {},
    {"lang": "en", "year": 2019},
    {"lang": "de", "year": 2020, "tags": ["en", 1, True]},
    {"lang": None, "tags": [], "odd name": {"deep": 1}},
    {"n": 1, "year": 2020.5, "day": "2020-01-01"},
    {"n": True, "day": "2021-06-01T12:00:00+02:00", "odd name": "de"},
    {"lang": "x" * 300, "n": 10**20, "year": -1},
    {"tags": ["de", "en", 2.5], "n": 0},
]

leaves = st.one_of(
    st.builds(lambda f, v: {"eq": [f, v]}, st.sampled_from(FIELDS), st.sampled_from(SCALARS)),
    st.builds(
        lambda f, v: {"in": [f, v]},
        st.sampled_from(FIELDS),
        st.lists(st.sampled_from(SCALARS), max_size=3),
    ),
    st.builds(lambda f: {"exists": f}, st.sampled_from((*FIELDS, "year", "missing"))),
    st.builds(
        lambda o, v: {"range": ["year", {o: v}]},
        st.sampled_from(["gt", "gte", "lt", "lte"]),
        st.sampled_from([2019, 2020, 2020.5, -1]),
    ),
    st.builds(lambda o: {"range": ["day", {o: "2021-01-01"}]}, st.sampled_from(["gt", "lte"])),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(lambda parts: {"and": parts}, st.lists(inner, max_size=3)),
        st.builds(lambda parts: {"or": parts}, st.lists(inner, max_size=3)),
        st.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=6,
)


class ListingContract:
    """A filter means in the store what it means in `core.filters`, and pages lose nothing."""

    async def test_a_filter_finds_what_the_reference_finds(self, opener: OpenWorld) -> None:
        async with opener() as made:
            kept = {f"d{n}": Metadata.parse(fields) for n, fields in enumerate(METADATA)}
            uploads = [Upload(b"x", name, metadata=metadata) for name, metadata in kept.items()]
            await made.service.create_collection(ADMIN, NewCollection("papers", sortable=SORTABLE))
            await made.service.create_documents(ADMIN, "papers", uploads)
            asked: list[Filter] = []

            @settings(
                max_examples=150,
                database=None,
                suppress_health_check=list(HealthCheck),
            )
            @given(trees)
            def collect(tree: Any) -> None:
                node = parse_filter(tree)
                assert node is not None
                asked.append(node)

            collect()
            for node in asked:
                page = await made.service.list_documents(
                    ADMIN, "papers", filter=node, page=EVERYBODY
                )
                expected = [
                    name
                    for name, metadata in kept.items()
                    if matches(node, metadata.tokens(), dict(metadata.slots(SORTABLE)), SORTABLE)
                ]
                assert [document.document_id for document in page.items] == expected, node

    async def test_a_filter_sees_changed_metadata_only(self, opener: OpenWorld) -> None:
        async with opener() as made:
            await made.upload("a", metadata=Metadata.parse({"lang": "en"}))
            await made.upload("a", metadata=Metadata.parse({"lang": "de"}))
            for lang, found in (("en", 0), ("de", 1)):
                node = parse_filter({"eq": ["lang", lang]})
                page = await made.service.list_documents(ADMIN, "docs", filter=node, page=EVERYBODY)
                assert len(page.items) == found

    async def test_a_range_of_an_undeclared_field_is_refused(self, opener: OpenWorld) -> None:
        async with opener() as made:
            node = parse_filter({"range": ["year", {"gt": 1}]})
            with pytest.raises(FieldNotSortableError):
                await made.service.list_documents(ADMIN, "docs", filter=node, page=EVERYBODY)

    async def test_a_token_serves_the_listing_that_made_it_only(self, opener: OpenWorld) -> None:
        async with opener() as made:
            for name in ("a", "b"):
                await made.upload(name)
            first = await made.service.list_documents(
                ADMIN, "docs", filter=None, page=PageRequest(1)
            )
            page = PageRequest(1, first.next_token)
            with pytest.raises(InvalidPageTokenError):
                await made.service.list_documents(
                    ADMIN, "docs", filter=parse_filter({"exists": "x"}), page=page
                )
            with pytest.raises(InvalidPageTokenError):
                await made.service.list_collections(ADMIN, page)
            with pytest.raises(InvalidPageTokenError):
                await made.service.list_jobs(ADMIN, state=None, page=page)

    async def test_collections_and_jobs_come_in_pages_too(self, opener: OpenWorld) -> None:
        async with opener() as made:
            for name in ("a", "b", "c"):
                await made.service.create_collection(ADMIN, NewCollection(name))
                await made.upload(name)
            first = await made.service.list_collections(ADMIN, PageRequest(3))
            rest = await made.service.list_collections(ADMIN, PageRequest(3, first.next_token))
            assert [c.name for c in (*first.items, *rest.items)] == ["a", "b", "c", "docs"]
            newest = await made.service.list_jobs(ADMIN, state=None, page=PageRequest(2))
            oldest = await made.service.list_jobs(
                ADMIN, state=None, page=PageRequest(2, newest.next_token)
            )
            listed = [job.job_id for job in (*newest.items, *oldest.items)]
            assert len(listed) == 3
            assert listed == sorted(listed, reverse=True)
            assert oldest.next_token == ""
