"""Filters as Weaviate takes them: typed messages, never a string that it interprets."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from weaviate.proto.v1 import base_pb2

from ragmesh.core.callers import Access, Caller, Principal
from ragmesh.core.filters import And, Eq, Exists, Filter, In, Not, Or, Range, slot_bounds, tokens_of
from ragmesh.core.metadata import SortableField
from ragmesh.retrieval.adapters.keyword_queries import Phrase
from ragmesh.retrieval.adapters.weaviate.schema import WORDS, slot_name

Condition = base_pb2.Filters
_OPEN, _GROUP, _ADMINS = "open", "group:", "admins"
_LEAST = -sys.float_info.max
_BOUNDS = {
    "gt": base_pb2.Filters.OPERATOR_GREATER_THAN,
    "gte": base_pb2.Filters.OPERATOR_GREATER_THAN_EQUAL,
    "lt": base_pb2.Filters.OPERATOR_LESS_THAN,
    "lte": base_pb2.Filters.OPERATOR_LESS_THAN_EQUAL,
}


@dataclass(frozen=True, slots=True)
class Always:
    """Every chunk passes, or none does: no store need be asked."""

    passes: bool


Pushed = Condition | Always
_EVERYTHING, _NOTHING = Always(True), Always(False)


def permitted(caller: Caller, node: Filter | None, sortable: Sequence[SortableField]) -> Pushed:
    """What the store lets pass: the chunks that the caller may see and that the filter wants."""
    wanted = _EVERYTHING if node is None else pushed(node, sortable)
    return _all_of([_seen_by(caller), wanted])


def access_tokens(access: Access) -> list[str]:
    """How a chunk says who may see it."""
    if access.groups is None:
        return [_OPEN]
    return [_group(name) for name in access.groups] or [_ADMINS]


def pushed(node: Filter, sortable: Sequence[SortableField]) -> Pushed:
    """The filter as the store's query, which means what `core.filters.matches` means."""
    match node:
        case Eq() | In() | Exists():
            return any_token("tokens", sorted(tokens_of(node)))
        case Range():
            return _range(node, sortable)
        case And(parts):
            return _all_of([pushed(part, sortable) for part in parts])
        case Or(parts):
            return _any_of([pushed(part, sortable) for part in parts])
        case Not(part):
            return _inverse(pushed(part, sortable))


def any_token(name: str, tokens: Sequence[str]) -> Pushed:
    """Chunks of which the property holds at least one of these."""
    if not tokens:
        return _NOTHING
    return base_pb2.Filters(
        operator=base_pb2.Filters.OPERATOR_CONTAINS_ANY,
        target=base_pb2.FilterTarget(property=name),
        value_text_array=base_pb2.TextArray(values=tokens),
    )


def with_ids(ids: Iterable[str]) -> Condition:
    """Objects with one of these ids."""
    return base_pb2.Filters(
        operator=base_pb2.Filters.OPERATOR_CONTAINS_ANY,
        target=base_pb2.FilterTarget(property="_id"),
        value_text_array=base_pb2.TextArray(values=ids),
    )


def of_revision(document_uid: str, revision: int) -> Condition:
    """The chunks of one revision."""
    return both(
        base_pb2.Filters(
            operator=base_pb2.Filters.OPERATOR_EQUAL,
            target=base_pb2.FilterTarget(property="document_uid"),
            value_text=document_uid,
        ),
        base_pb2.Filters(
            operator=base_pb2.Filters.OPERATOR_EQUAL,
            target=base_pb2.FilterTarget(property="revision"),
            value_int=revision,
        ),
    )


def both(*conditions: Condition) -> Condition:
    """What passes all of the conditions."""
    return base_pb2.Filters(operator=base_pb2.Filters.OPERATOR_AND, filters=conditions)


def holding_word(word: str) -> Condition:
    """Chunks whose text holds an analysed word."""
    return _words("words", [word])


def holding_phrases(phrases: Sequence[Phrase]) -> Pushed:
    """Chunks that hold every word of each phrase in one field; their order is for us to check."""
    every: list[Pushed] = []
    for phrase in phrases:
        fields = [_words(WORDS[field], phrase.terms) for field in phrase.fields]
        every.append(_any_of(fields))
    return _all_of(every)


def narrowed(permission: Pushed, more: Pushed) -> Pushed:
    """What passes both."""
    return _all_of([permission, more])


def _words(name: str, words: Sequence[str]) -> Condition:
    parts = [
        base_pb2.Filters(
            operator=base_pb2.Filters.OPERATOR_EQUAL,
            target=base_pb2.FilterTarget(property=name),
            value_text=word,
        )
        for word in dict.fromkeys(words)
    ]
    return parts[0] if len(parts) == 1 else both(*parts)


def _seen_by(caller: Caller) -> Pushed:
    if not isinstance(caller, Principal) or caller.is_admin:
        return _EVERYTHING
    return any_token("groups", [_OPEN, *sorted(map(_group, caller.groups))])


def _group(name: str) -> str:
    """In quotes: the store trims white space, and `a ` is not the group `a`."""
    return _GROUP + json.dumps(name, ensure_ascii=False)


def _range(node: Range, sortable: Sequence[SortableField]) -> Pushed:
    slot, bounds = slot_bounds(node, sortable)
    # Without bounds the field must still be there.
    parts = bounds or (("gte", _LEAST),)
    return _all_of(
        [
            base_pb2.Filters(
                operator=_BOUNDS[name],
                target=base_pb2.FilterTarget(property=slot_name(slot)),
                value_number=bound,
            )
            for name, bound in parts
        ]
    )


def _all_of(parts: Sequence[Pushed]) -> Pushed:
    if _NOTHING in parts:
        return _NOTHING
    asked = [part for part in parts if not isinstance(part, Always)]
    if len(asked) < 2:
        return asked[0] if asked else _EVERYTHING
    return both(*asked)


def _any_of(parts: Sequence[Pushed]) -> Pushed:
    if _EVERYTHING in parts:
        return _EVERYTHING
    asked = [part for part in parts if not isinstance(part, Always)]
    if len(asked) < 2:
        return asked[0] if asked else _NOTHING
    return base_pb2.Filters(operator=base_pb2.Filters.OPERATOR_OR, filters=asked)


def _inverse(part: Pushed) -> Pushed:
    if isinstance(part, Always):
        return Always(not part.passes)
    return base_pb2.Filters(operator=base_pb2.Filters.OPERATOR_NOT, filters=[part])
