from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragmesh.core.errors import FieldNotSortableError, InvalidFilterError
from ragmesh.core.filters import (
    MAX_DEPTH,
    MAX_NODES,
    And,
    Eq,
    Exists,
    Filter,
    In,
    Not,
    Or,
    Range,
    matches,
    parse_filter,
    tree_of,
    within,
)
from ragmesh.core.metadata import Metadata, SortableField, SortKind

SORTABLE = (SortableField("year", SortKind.NUMBER, 0), SortableField("seen", SortKind.DATETIME, 3))
FIELDS = ("lang", "year", "tags", "odd name", "größe")
DOCUMENT: dict[str, Any] = {
    "lang": "de",
    "year": 2020,
    "tags": ["a", "b", None, ["deep"], {"k": 1}],
    "draft": False,
    "ratio": 1.5,
    "author": None,
    "nested": {"k": 1},
    "empty": [],
    "seen": "2024-05-01T12:00:00+02:00",
}

texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20
).map(lambda text: unicodedata.normalize("NFC", text))
scalars = st.one_of(
    texts,
    st.booleans(),
    st.integers(-(10**18), 10**18),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["de", "a", "b", 2020]),
)
fields = st.one_of(st.sampled_from(FIELDS), texts.filter(bool))
bounds = st.dictionaries(
    st.sampled_from(["gt", "gte", "lt", "lte"]),
    st.integers(1990, 2030),
    min_size=1,
).map(lambda found: tuple(sorted(found.items())))
leaves: st.SearchStrategy[Filter] = st.one_of(
    st.builds(Eq, fields, scalars),
    st.builds(In, fields, st.lists(scalars, max_size=4).map(tuple)),
    st.builds(Range, st.just("year"), bounds),
    st.builds(Exists, fields),
)
trees: st.SearchStrategy[Filter] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(And, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Not, inner),
    ),
    max_leaves=12,
)
documents = st.dictionaries(
    st.sampled_from([name for name in FIELDS if name != "year"]),
    st.one_of(scalars, st.none(), st.lists(scalars, max_size=3)),
    max_size=4,
).flatmap(
    lambda fields: st.one_of(
        st.just(fields), st.integers(1990, 2030).map(lambda year: {**fields, "year": year})
    )
)


def passes(tree: Filter, document: dict[str, Any]) -> bool:
    metadata = Metadata.parse(document)
    return matches(tree, metadata.tokens(), dict(metadata.slots(SORTABLE)), SORTABLE)


def depth(node: Filter) -> int:
    match node:
        case And(parts) | Or(parts):
            return 1 + max((depth(part) for part in parts), default=0)
        case Not(part):
            return 1 + depth(part)
        case _:
            return 1


@given(trees.filter(lambda tree: depth(tree) <= MAX_DEPTH))
def test_a_filter_written_as_json_is_read_back_the_same(tree: Filter) -> None:
    assert parse_filter(json.loads(json.dumps(tree_of(tree)))) == tree


@given(trees, trees, documents)
def test_and_or_and_not_obey_de_morgan(
    one: Filter, other: Filter, document: dict[str, Any]
) -> None:
    def holds(tree: Filter) -> bool:
        return passes(tree, document)

    assert holds(Not(And((one, other)))) == holds(Or((Not(one), Not(other))))
    assert holds(Not(Or((one, other)))) == holds(And((Not(one), Not(other))))
    assert holds(Not(Not(one))) == holds(one)
    assert holds(And((one, other))) == holds(And((other, one)))


@given(fields.filter(lambda name: name != "year"), st.lists(scalars, max_size=4), documents)
def test_in_is_the_same_as_any_of_the_values(
    field: str, values: list[Any], document: dict[str, Any]
) -> None:
    alternatives = Or(tuple(Eq(field, value) for value in values))
    assert passes(In(field, tuple(values)), document) == passes(alternatives, document)


@given(fields.filter(lambda name: name != "year"), scalars)
def test_a_stored_value_is_found_by_itself_and_makes_its_field_exist(
    field: str, value: Any
) -> None:
    for document in ({field: value}, {field: ["other", value]}):
        assert passes(Eq(field, value), document)
        assert passes(Exists(field), document)


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ({"eq": ["lang", "de"]}, True),
        ({"eq": ["lang", "DE"]}, False),
        ({"eq": ["tags", "b"]}, True),
        ({"eq": ["tags", "deep"]}, False),
        ({"eq": ["year", 2020]}, True),
        ({"eq": ["year", 2020.0]}, True),
        ({"eq": ["year", "2020"]}, False),
        ({"eq": ["draft", False]}, True),
        ({"eq": ["draft", 0]}, False),
        ({"eq": ["draft", "false"]}, False),
        ({"eq": ["ratio", 1.5]}, True),
        ({"in": ["lang", ["en", "de"]]}, True),
        ({"in": ["lang", []]}, False),
        ({"exists": "author"}, False),
        ({"exists": "nested"}, True),
        ({"exists": "empty"}, True),
        ({"exists": "missing"}, False),
        ({"eq": ["nested", "k"]}, False),
        ({"range": ["year", {"gte": 2020, "lt": 2021}]}, True),
        ({"range": ["year", {"gt": 2020}]}, False),
        ({"range": ["year", {"lte": 2020}]}, True),
        ({"range": ["seen", {"gte": "2024-05-01T10:00:00Z"}]}, True),
        ({"range": ["seen", {"gt": "2024-05-01T10:00:00Z"}]}, False),
        ({"range": ["seen", {"gt": "2024-05-01"}]}, True),
        ({"and": []}, True),
        ({"or": []}, False),
        ({"not": {"exists": "missing"}}, True),
    ],
    ids=json.dumps,
)
def test_a_filter_means_what_it_says(tree: Any, expected: bool) -> None:
    parsed = parse_filter(tree)
    assert parsed is not None
    assert passes(parsed, DOCUMENT) is expected


def test_a_range_leaves_out_documents_without_the_field() -> None:
    assert not passes(Range("year", (("gte", 0),)), {})
    assert passes(Not(Range("year", (("gte", 0),))), {})


def test_null_is_no_filter() -> None:
    assert parse_filter(None) is None


@pytest.mark.parametrize(
    ("tree", "place"),
    [
        ([], "filter"),
        ("lang = de", "filter"),
        ({}, "filter"),
        ({"eq": ["a", 1], "exists": "b"}, "filter"),
        ({"like": ["a", "b"]}, "filter.like"),
        ({"eq": ["a"]}, "filter.eq"),
        ({"eq": {"a": 1}}, "filter.eq"),
        ({"eq": ["a", None]}, "filter.eq"),
        ({"eq": ["a", {}]}, "filter.eq"),
        ({"eq": ["", 1]}, "filter.eq"),
        ({"eq": [1, 1]}, "filter.eq"),
        ({"eq": ["a" * 201, 1]}, "filter.eq"),
        ({"eq": ["a", float("nan")]}, "filter.eq"),
        ({"eq": ["a", float("inf")]}, "filter.eq"),
        ({"eq": ["a", "\ud800"]}, "filter.eq"),
        ({"eq": ["a", "x\x00"]}, "filter.eq"),
        ({"exists": "\udfff"}, "filter.exists"),
        ({"exists": ["a"]}, "filter.exists"),
        ({"in": ["a", "b"]}, "filter.in"),
        ({"in": ["a", [[]]]}, "filter.in"),
        ({"in": ["a", ["x"] * (MAX_NODES + 1)]}, "filter.in"),
        ({"range": ["a", {}]}, "filter.range"),
        ({"range": ["a", {"eq": 1}]}, "filter.range"),
        ({"range": ["a", [1, 2]]}, "filter.range"),
        ({"and": {"exists": "a"}}, "filter.and"),
        ({"and": [{"exists": "a"}, {"no": 1}]}, "filter.and[1].no"),
        ({"not": None}, "filter.not"),
        ({"or": [{"exists": "a"}] * MAX_NODES}, "filter.or"),
        ({"x" * 10_000: 1}, "filter.xxx"),
    ],
    ids=lambda value: None if isinstance(value, str) else "",
)
def test_a_malformed_filter_is_refused_with_its_place(tree: Any, place: str) -> None:
    with pytest.raises(InvalidFilterError) as caught:
        parse_filter(tree)
    assert caught.value.violations[0].field.startswith(place)
    assert len(caught.value.message) < 400


def test_a_filter_is_refused_one_level_too_deep() -> None:
    def nested(levels: int) -> Any:
        return {"exists": "a"} if levels == 1 else {"not": nested(levels - 1)}

    assert parse_filter(nested(MAX_DEPTH)) is not None
    for levels in (MAX_DEPTH + 1, 500):
        with pytest.raises(InvalidFilterError, match="levels"):
            parse_filter(nested(levels))


def test_a_range_on_a_field_that_is_not_sortable_is_said() -> None:
    with pytest.raises(FieldNotSortableError) as caught:
        passes(Range("lang", (("gt", 1),)), DOCUMENT)
    assert caught.value.metadata == {"field": "lang"}


@pytest.mark.parametrize(
    ("field", "bound"),
    [("year", "2020"), ("year", True), ("year", 10**400), ("seen", 5), ("seen", "yesterday")],
    ids=str,
)
def test_a_bound_of_the_wrong_type_is_an_invalid_filter(field: str, bound: Any) -> None:
    with pytest.raises(InvalidFilterError) as caught:
        passes(Range(field, (("gt", bound),)), DOCUMENT)
    assert caught.value.violations[0].field == f"filter.range.{field}"
    assert caught.value.message.startswith(f"filter.range.{field} must be")


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_the_four_operators_agree_with_arithmetic(value: float, bound: float) -> None:
    assert within(value, "gt", bound) == (value > bound)
    assert within(value, "gte", bound) == (value >= bound)
    assert within(value, "lt", bound) == (value < bound)
    assert within(value, "lte", bound) == (value <= bound)
