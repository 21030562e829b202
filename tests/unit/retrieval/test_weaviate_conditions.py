"""Filters become messages of Weaviate; what needs no store is decided before."""

from __future__ import annotations

import pytest
from weaviate.proto.v1 import base_pb2

from ragmesh.core.callers import ADMINS_ONLY, OPEN, Access, Machine, Principal
from ragmesh.core.filters import And, Eq, Filter, In, Not, Or, Range
from ragmesh.retrieval.adapters.weaviate.conditions import (
    Always,
    access_tokens,
    permitted,
    pushed,
)
from ragmesh.testing.retrieval import TENANT
from ragmesh.testing.retrieval_finding import BOSS, INDEXER, SALES, SORTABLE

NOTHING, EVERYTHING = Always(False), Always(True)


@pytest.mark.parametrize(
    ("node", "decided"),
    [
        pytest.param(And(()), EVERYTHING, id="no condition at all"),
        pytest.param(Or(()), NOTHING, id="none of none"),
        pytest.param(Not(Or(())), EVERYTHING, id="not none of none"),
        pytest.param(In("lang", ()), NOTHING, id="one of no values"),
        pytest.param(And((Eq("lang", "de"), Or(()))), NOTHING, id="and nothing"),
        pytest.param(Or((Eq("lang", "de"), And(()))), EVERYTHING, id="or everything"),
    ],
)
def test_what_is_always_or_never_true_is_not_asked_of_the_store(
    node: Filter, decided: Always
) -> None:
    assert pushed(node, SORTABLE) == decided


def test_a_range_without_bounds_still_wants_the_field_to_be_there() -> None:
    condition = pushed(Range("year", ()), SORTABLE)
    assert isinstance(condition, base_pb2.Filters)
    assert condition.target.property == "slot_0"
    assert condition.operator == base_pb2.Filters.OPERATOR_GREATER_THAN_EQUAL


@pytest.mark.parametrize(
    ("access", "tokens"),
    [
        (OPEN, ["open"]),
        (ADMINS_ONLY, ["admins"]),
        (Access(("b", "a ")), ['group:"a "', 'group:"b"']),
        (Access(("open",)), ['group:"open"']),
    ],
)
def test_no_group_is_taken_for_another_or_for_everybody(access: Access, tokens: list[str]) -> None:
    assert access_tokens(access) == tokens


@pytest.mark.parametrize("caller", [BOSS, INDEXER, Machine("gateway")])
def test_admins_and_machines_are_not_narrowed(caller: Principal | Machine) -> None:
    assert permitted(caller, None, SORTABLE) == EVERYTHING


def test_a_user_sees_what_is_open_and_what_is_of_their_groups() -> None:
    condition = permitted(SALES, Eq("lang", "de"), SORTABLE)
    assert isinstance(condition, base_pb2.Filters)
    access, wanted = condition.filters
    assert list(access.value_text_array.values) == ["open", 'group:"sales"']
    assert list(wanted.value_text_array.values) == ['lang="de"']
    assert permitted(Principal(TENANT, "nobody"), Or(()), SORTABLE) == NOTHING
