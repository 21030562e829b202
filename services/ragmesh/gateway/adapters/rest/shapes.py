"""What strings and numbers of requests look like, for the description.

They are judged further in, where both doors are the same and the reason is their own; here they
are only said.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from pydantic import ConfigDict

from ragmesh.core.documents import MAX_UPLOADS
from ragmesh.core.metadata import MAX_SORTABLE, MAX_TOKENS
from ragmesh.core.pages import MAX_PAGE_SIZE
from ragmesh.core.questions import MAX_LIMIT, MAX_QUESTION_CHARACTERS
from ragmesh.core.turns import MAX_TURN_CHARACTERS, MAX_TURNS, ROLES

Shape = dict[str, Any]

COLLECTION_NAME: Shape = {"pattern": "^[a-z][a-z0-9-]{0,62}$"}
DOCUMENT_ID: Shape = {"pattern": "^[A-Za-z0-9][A-Za-z0-9._:@-]{0,199}$"}
LANGUAGE: Shape = {"pattern": "^([a-z]{2,3}(-[A-Za-z0-9]{2,8})*)?$"}
QUESTION: Shape = {"minLength": 1, "maxLength": MAX_QUESTION_CHARACTERS}
LIMIT: Shape = {"minimum": 1, "maximum": MAX_LIMIT}
PAGE_SIZE: Shape = {"minimum": 0, "maximum": MAX_PAGE_SIZE}
TURNS: Shape = {"maxItems": MAX_TURNS}
TURN_TEXT: Shape = {"maxLength": MAX_TURN_CHARACTERS}
ROLE: Shape = {"enum": list(ROLES)}
SHARE: Shape = {"minimum": 0, "maximum": 1}
TEXT: Shape = {"minLength": 1}
TITLE: Shape = {"maxLength": 1_000}
DESCRIPTION: Shape = {"maxLength": 2_000}
CONTENT_TYPE: Shape = {"maxLength": 200}
GROUPS: Shape = {
    "maxItems": 64,
    "items": {"type": "string", "minLength": 1, "maxLength": 200},
}
UPLOADS: Shape = {"minItems": 1, "maxItems": MAX_UPLOADS}
PERCENT: Shape = {"minimum": 0, "maximum": 100}
COUNT: Shape = {"minimum": 0}
NUMBER: Shape = {"minimum": 1}
METADATA: Shape = {"maxProperties": MAX_TOKENS}
SORTABLE: Shape = {
    "maxProperties": MAX_SORTABLE,
    "additionalProperties": {"type": "string", "enum": ["number", "datetime"]},
}


def one_of(choices: type[Enum], *others: str) -> Shape:
    """The values of an enumeration, and words beside them."""
    return {"enum": [*(choice.value for choice in choices), *others]}


def shown(example: Shape) -> ConfigDict:
    """What an answer of this kind may look like."""
    return ConfigDict(json_schema_extra={"example": example})
