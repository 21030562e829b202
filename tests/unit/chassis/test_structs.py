"""JSON objects as Structs."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ragmesh.chassis.structs import fields_of, struct_of

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
OBJECTS = st.dictionaries(
    st.text(),
    st.recursive(
        SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10
    ),
    max_size=5,
)


@given(OBJECTS)
def test_an_object_comes_back_as_it_was(fields: dict[str, Any]) -> None:
    assert fields_of(struct_of(fields)) == fields


def test_whole_numbers_come_back_as_integers() -> None:
    back = fields_of(struct_of({"year": 2024, "half": 0.5, "yes": True}))
    assert json.dumps(back, sort_keys=True) == '{"half": 0.5, "year": 2024, "yes": true}'


def test_a_number_beyond_every_double_is_kept_as_its_digits() -> None:
    assert fields_of(struct_of({"n": 10**400})) == {"n": str(10**400)}
