from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragmesh.core.errors import FieldNotSortableError, InvalidMetadataError
from ragmesh.core.metadata import (
    MAX_METADATA_BYTES,
    MAX_SORTABLE,
    MAX_TOKEN_BYTES,
    MAX_TOKENS,
    NO_METADATA,
    Metadata,
    SortableField,
    SortKind,
    declare_sortable,
    exists_token,
    slot_value,
    sortable_named,
    value_token,
)

plain = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=400)
YEAR = SortableField("year", SortKind.NUMBER, 0)
SEEN = SortableField("seen", SortKind.DATETIME, 1)


@pytest.mark.parametrize(
    ("field", "value", "token"),
    [
        ("lang", "de", 'lang="de"'),
        ("year", 2020, "year=2020"),
        ("year", 2020.0, "year=2020"),
        ("year", -0.0, "year=0"),
        ("year", 1.5, "year=1.5"),
        ("year", 0.1, "year=0.1"),
        ("year", 1e22, "year=10000000000000000000000"),
        ("draft", True, "draft=true"),
        ("draft", False, "draft=false"),
        ("name", 'say "hi"', 'name="say \\"hi\\""'),
        ("name", "Cafe\u0301", 'name="Café"'),
        ("odd name", 1, '"odd name"=1'),
        ("a=b", 1, '"a=b"=1'),
        ("grüße", 1, '"grüße"=1'),
    ],
)
def test_a_token_is_the_field_and_its_canonical_value(field: str, value: Any, token: str) -> None:
    assert value_token(field, value) == token


@given(plain, plain)
def test_no_token_is_longer_than_a_store_takes(field: str, value: str) -> None:
    assert len(value_token(field, value).encode()) <= MAX_TOKEN_BYTES
    assert len(exists_token(field).encode()) <= MAX_TOKEN_BYTES


def test_long_values_and_long_names_still_differ() -> None:
    assert value_token("a", "x" * 500) != value_token("a", "x" * 499 + "y")
    assert value_token("a", "x" * 500) != value_token("b", "x" * 500)
    assert exists_token("n" * 500) != exists_token("n" * 501)
    assert value_token("n" * 500, 1) != value_token("n" * 501, 1)


@given(st.tuples(plain, plain), st.tuples(plain, plain))
def test_equal_tokens_mean_equal_fields_and_values(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    import unicodedata

    def canonical(pair: tuple[str, str]) -> tuple[str, ...]:
        return tuple(unicodedata.normalize("NFC", part) for part in pair)

    equal = value_token(*one) == value_token(*other)
    assert equal == (canonical(one) == canonical(other))


def test_every_scalar_of_a_field_gives_a_token_and_objects_only_exist() -> None:
    metadata = Metadata.parse(
        {"tags": ["a", "b", "a", None, {"k": 1}, ["c"]], "who": {"name": "x"}, "no": None}
    )
    assert metadata.tokens() == {'tags="a"', 'tags="b"', "tags", "who"}


json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(10**20), 10**20), plain.map(lambda t: t[:20]),
        st.floats(allow_nan=False, allow_infinity=False),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("abc", max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)  # fmt: skip


@given(st.dictionaries(st.text("abcdef", max_size=4), json_values, max_size=5))
def test_any_json_object_is_kept_and_its_form_is_canonical(value: dict[str, Any]) -> None:
    metadata = Metadata.parse(value)
    again = Metadata.parse(json.loads(metadata.canonical))
    assert again == metadata == Metadata.parse(dict(reversed(value.items())))
    assert set(metadata.fields()) == set(value)


def test_strings_and_names_are_kept_in_nfc() -> None:
    assert Metadata.parse({"Cafe\u0301": ["Cafe\u0301"]}).fields() == {"Café": ["Café"]}


def test_nothing_is_the_empty_object() -> None:
    assert Metadata.parse(None) == Metadata.parse({}) == NO_METADATA
    assert NO_METADATA.fields() == {}
    assert NO_METADATA.tokens() == frozenset()


def test_the_object_that_is_handed_out_is_a_copy() -> None:
    metadata = Metadata.parse({"a": [1]})
    metadata.fields()["a"].append(2)
    assert metadata.fields() == {"a": [1]}


def nested(levels: int) -> Any:
    return 1 if levels == 0 else [nested(levels - 1)]


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": float("nan")}, "metadata.a"),
        ({"a": [1, float("inf")]}, "metadata.a[1]"),
        ({"a": "\ud800"}, "metadata.a"),
        ({"\ud800": 1}, "metadata"),
        ({"a": "x\x00"}, "metadata.a"),
        ({"a": object()}, "metadata.a"),
        ({"a": {1: 2}}, "metadata.a"),
        ({"a": b"bytes"}, "metadata.a"),
        ({"a": nested(20)}, "metadata.a[0]"),
        ({"a": 10**5_000}, "metadata.a"),
        ({"Café": 1, "Cafe\u0301": 2}, "metadata"),
        ({"a": "x" * MAX_METADATA_BYTES}, "metadata"),
        ({f"f{i}": {} for i in range(MAX_TOKENS + 1)}, "metadata"),
        ({"a": list(range(MAX_TOKENS + 1))}, "metadata"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_kept_or_found_is_refused_with_its_place(value: Any, place: str) -> None:
    with pytest.raises(InvalidMetadataError) as caught:
        Metadata.parse(value)
    assert caught.value.violations[0].field.startswith(place)


def test_as_many_values_as_a_store_takes_are_taken() -> None:
    assert len(Metadata.parse({"a": list(range(MAX_TOKENS))}).tokens()) == MAX_TOKENS + 1


def test_sortable_fields_fill_their_slots() -> None:
    metadata = Metadata.parse({"year": 2020, "seen": "1970-01-01T00:01:00+00:00", "lang": "de"})
    assert metadata.slots((YEAR, SEEN)) == ((0, 2020.0), (1, 60.0))
    assert Metadata.parse({"year": None}).slots((YEAR, SEEN)) == ()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0.0),
        ("1970-01-01T01:00:00+01:00", 0.0),
        ("1970-01-01", 0.0),
        ("1970-01-01T00:00:00.5", 0.5),
        ("1969-12-31T23:59:59Z", -1.0),
    ],
)
def test_a_datetime_becomes_seconds_and_means_utc_without_a_zone(text: str, seconds: float) -> None:
    assert slot_value(SEEN, text) == seconds


@pytest.mark.parametrize(
    ("field", "value"),
    [(YEAR, "2020"), (YEAR, True), (YEAR, [1]), (YEAR, 10**400), (YEAR, float("inf")),
     (SEEN, 0), (SEEN, "yesterday"), (SEEN, "2024-13-01"), (SEEN, "")],
    ids=lambda value: getattr(value, "name", "value"),
)  # fmt: skip
def test_a_sortable_field_of_the_wrong_type_is_refused(field: SortableField, value: Any) -> None:
    with pytest.raises(InvalidMetadataError) as caught:
        slot_value(field, value)
    assert caught.value.violations[0].field == f"metadata.{field.name}"


def test_declared_fields_get_slots_in_their_order() -> None:
    declared = declare_sortable({"year": "number", "seen": "datetime"})
    assert declared == (YEAR, SEEN)
    assert sortable_named("seen", declared) is declared[1]
    with pytest.raises(FieldNotSortableError):
        sortable_named("lang", declared)


@pytest.mark.parametrize(
    "kinds", [{"a": "text"}, {f"f{i}": "number" for i in range(MAX_SORTABLE + 1)}]
)
def test_other_declarations_are_refused(kinds: dict[str, str]) -> None:
    with pytest.raises(InvalidMetadataError, match="sortable"):
        declare_sortable(kinds)


@pytest.mark.parametrize("name", ["", "n" * 201, "a\x00", "\ud800"])
def test_a_sortable_field_has_a_name_that_a_filter_can_say(name: str) -> None:
    with pytest.raises(InvalidMetadataError) as raised:
        declare_sortable({name: "number"})
    assert raised.value.violations[0].field == "sortable"


def test_a_sortable_field_is_not_declared_in_two_spellings() -> None:
    with pytest.raises(InvalidMetadataError):
        declare_sortable({"caf\u00e9": "number", "cafe\u0301": "number"})
