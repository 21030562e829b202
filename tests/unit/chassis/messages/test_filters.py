"""A filter means the same at both ends of a call."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragmesh.api.types.v1 import filter_pb2 as pb
from ragmesh.chassis.messages.filters import filter_from_message, filter_to_message
from ragmesh.core.errors import InvalidFilterError
from ragmesh.core.filters import And, Eq, Exists, Filter, In, Not, Or, Range

LETTERS = 'abcäß \n"=€'  # composed already: filters are kept in NFC
VALUES = (
    st.text(LETTERS, max_size=5)
    | st.integers()
    | st.integers(10**18, 10**300)
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
)
FIELDS = st.text(LETTERS, min_size=1, max_size=5)
LEAVES: st.SearchStrategy[Filter] = (
    st.builds(Eq, FIELDS, VALUES)
    | st.builds(In, FIELDS, st.lists(VALUES, max_size=3).map(tuple))
    | st.builds(Exists, FIELDS)
    | st.builds(
        Range,
        FIELDS,
        st.dictionaries(st.sampled_from(["gt", "gte", "lt", "lte"]), VALUES, min_size=1).map(
            lambda bounds: tuple(sorted(bounds.items()))
        ),
    )
)
FILTERS = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(And, st.lists(inner, max_size=2).map(tuple))
        | st.builds(Or, st.lists(inner, max_size=2).map(tuple))
        | st.builds(Not, inner)
    ),
    max_leaves=5,
)


@given(FILTERS)
def test_a_filter_arrives_as_it_was(node: Filter) -> None:
    sent = pb.Filter.FromString(filter_to_message(node).SerializeToString())
    assert repr(filter_from_message(sent)) == repr(node)  # 1 is neither 1.0 nor True


def equals(value: pb.FilterValue) -> pb.Filter:
    return pb.Filter(equals=pb.EqualsFilter(field="f", value=value))


@pytest.mark.parametrize(
    ("message", "field"),
    [
        pytest.param(pb.Filter(), "filter", id="no condition"),
        pytest.param(equals(pb.FilterValue()), "filter.eq", id="no value"),
        pytest.param(equals(pb.FilterValue(number=float("nan"))), "filter.eq", id="NaN"),
        pytest.param(equals(pb.FilterValue(digits="12")), "filter.eq", id="digits of an int64"),
        pytest.param(equals(pb.FilterValue(digits="1e30")), "filter.eq", id="digits that are none"),
        pytest.param(
            equals(pb.FilterValue(digits="9" * 5_000)), "filter.eq", id="digits without end"
        ),
        pytest.param(
            pb.Filter(range=pb.RangeFilter(field="f")), "filter.range", id="range without bounds"
        ),
        pytest.param(
            pb.Filter(
                all_of=pb.AllOfFilter(parts=[equals(pb.FilterValue(flag=True)), pb.Filter()])
            ),
            "filter.and[1]",
            id="a part without condition",
        ),
        pytest.param(pb.Filter(exists=pb.ExistsFilter(field="")), "filter.exists", id="no field"),
    ],
)
def test_what_no_filter_is_made_of_is_refused_with_its_place(
    message: pb.Filter, field: str
) -> None:
    with pytest.raises(InvalidFilterError) as caught:
        filter_from_message(message)
    assert [violation.field for violation in caught.value.violations] == [field]


def test_a_tree_that_is_too_deep_is_refused() -> None:
    node: Filter = Exists("f")
    for _ in range(8):
        node = Not(node)
    with pytest.raises(InvalidFilterError):
        filter_from_message(filter_to_message(node))
