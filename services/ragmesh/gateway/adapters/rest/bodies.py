"""Bodies of requests: closed, strict, described; JSON of the wrong type is refused, not bent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ragmesh.core.answers import AskQuery, CacheMode
from ragmesh.core.callers import Access
from ragmesh.core.documents import (
    DocumentChange,
    Upload,
)
from ragmesh.core.errors import ControlCharactersError, InvalidError, Violation
from ragmesh.core.filters import parse_filter
from ragmesh.core.metadata import Metadata
from ragmesh.core.names import collection_name
from ragmesh.core.questions import Question
from ragmesh.core.search import SearchMode, SearchQuery
from ragmesh.gateway.adapters.rest.shapes import (
    CONTENT_TYPE,
    DOCUMENT_ID,
    GROUPS,
    LIMIT,
    METADATA,
    QUESTION,
    ROLE,
    SHARE,
    TEXT,
    TITLE,
    TURN_TEXT,
    TURNS,
    UPLOADS,
)
from ragmesh.gateway.parsing import (
    DEFAULT_SEARCH_LIMIT,
    parse_ask,
)

TEXT_TYPE = "text/plain; charset=utf-8"
FILTER_TEXT = (
    'Condition on metadata: `{"eq": ["lang", "de"]}`, `{"in": ["lang", ["en", "de"]]}`, '
    '`{"range": ["year", {"gte": 2020}]}`, `{"exists": "author"}`, `{"and": […]}`, '
    '`{"or": […]}`, `{"not": …}`.'
)


def example(*, least: int = 0, **fields: Any) -> ConfigDict:
    """A closed body that may look like this, with at least so many fields."""
    extra: dict[str, Any] = {"example": fields} | ({"minProperties": least} if least else {})
    return ConfigDict(extra="forbid", strict=True, frozen=True, json_schema_extra=extra)


class Body(BaseModel):
    """A body that holds nothing unknown."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class TurnBody(Body):
    """One earlier message of the conversation."""

    role: str = Field(description="Who said it: `user` or `assistant`.", json_schema_extra=ROLE)
    text: str = Field(description="What was said.", json_schema_extra=TURN_TEXT)


class EvidenceBody(Body):
    """What an answer may be made from."""

    filter: Any = Field(None, description=FILTER_TEXT)
    limit: int | None = Field(
        None,
        description="Most chunks that the answer is made from, in [1, 200]; 8 by default.",
        json_schema_extra=LIMIT,
    )
    cache: Literal["use", "bypass", "refresh"] = Field(
        "use",
        description="`bypass`: neither read nor kept; `refresh`: made anew and kept.",
    )

    def query_of(
        self, collection: str, question: str, history: Sequence[tuple[str, str]]
    ) -> AskQuery:
        """The question to be answered from it."""
        return parse_ask(
            collection,
            question,
            history=history,
            filter=parse_filter(self.filter),
            limit=self.limit,
            cache=CacheMode(self.cache),
        )


class AskBody(EvidenceBody):
    """A question."""

    model_config = example(question="How many days of leave does a new colleague have?")

    question: str = Field(
        description="The question: not blank, at most 8000 characters.", json_schema_extra=QUESTION
    )
    history: list[TurnBody] = Field(
        [], description="What was said before, the oldest first.", json_schema_extra=TURNS
    )

    def query(self, collection: str) -> AskQuery:
        """The question as the use case takes it."""
        history = [(turn.role, turn.text) for turn in self.history]
        return self.query_of(collection, self.question, history)


class SearchBody(Body):
    """A search."""

    model_config = example(query="days of leave", limit=5, mode="hybrid")

    query: str = Field(
        description="What to find: not blank, at most 8000 characters.", json_schema_extra=QUESTION
    )
    limit: int | None = Field(
        None, description="Most hits, in [1, 200]; 10 by default.", json_schema_extra=LIMIT
    )
    mode: Literal["hybrid", "dense", "keyword"] = Field(
        "hybrid", description="By meaning and by words, or by one of them."
    )
    filter: Any = Field(None, description=FILTER_TEXT)
    score_threshold: float | None = Field(
        None,
        description="Hits with a score below this, in [0, 1], are left out.",
        json_schema_extra=SHARE,
    )
    explain: bool = Field(False, description="Whether hits say how each ranking saw them.")

    def parsed(self, collection: str) -> SearchQuery:
        """The search as the use case takes it."""
        return SearchQuery(
            collection=collection_name(collection),
            question=Question.parse(self.query, field="query"),
            limit=DEFAULT_SEARCH_LIMIT if self.limit is None else self.limit,
            mode=SearchMode(self.mode),
            filter=parse_filter(self.filter),
            score_threshold=self.score_threshold,
            explain=self.explain,
        )


class DocumentBody(Body):
    """A document as text."""

    model_config = example(
        document_id="leave.md",
        title="Leave",
        text="# Leave\n\nA new colleague has 28 days of leave.",
        content_type="text/markdown",
        metadata={"lang": "en", "year": 2024},
    )

    document_id: str | None = Field(
        None,
        description="Id: `[A-Za-z0-9][A-Za-z0-9._:@-]{0,199}`; one is made when missing.",
        json_schema_extra=DOCUMENT_ID,
    )
    title: str = Field(
        "", description="Title; empty for one found in the text.", json_schema_extra=TITLE
    )
    text: str = Field(description="The text; not empty.", json_schema_extra=TEXT)
    content_type: str = Field(
        TEXT_TYPE, description="Media type of the text.", json_schema_extra=CONTENT_TYPE
    )
    metadata: dict[str, Any] = Field({}, description="Any JSON object.", json_schema_extra=METADATA)
    access: list[str] | None = Field(
        None,
        description="Groups that may see it; `[]` for administrators only, "
        "null for the collection's default.",
        json_schema_extra=GROUPS,
    )

    def upload(self) -> Upload:
        """The document as the catalog takes it."""
        return Upload(
            content=_encoded(self.text),
            document_id=self.document_id,
            content_type=self.content_type,
            title=self.title,
            metadata=Metadata.parse(self.metadata),
            access=None if self.access is None else Access(tuple(self.access)),
        )


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        message = f"must not hold lone surrogates (U+{ord(text[error.start]):04X} at {error.start})"
        raise ControlCharactersError(
            f"text {message}", violations=[Violation("text", message)]
        ) from None


class DocumentsBody(Body):
    """Many documents as text; each is accepted or refused by itself."""

    model_config = example(
        documents=[
            {"document_id": "leave.md", "text": "A new colleague has 28 days of leave."},
            {"document_id": "hours.md", "text": "The office is open from 8 to 18."},
        ]
    )

    documents: list[Any] = Field(
        description="The documents, in [1, 1000].", json_schema_extra=UPLOADS
    )


class DocumentPatch(Body):
    """A change of a document that embeds nothing; what is missing stays."""

    model_config = example(
        least=1, title="Leave and holidays", metadata={"lang": "en", "year": 2025}
    )

    title: str = Field("", description="New title.", json_schema_extra=TITLE)
    metadata: dict[str, Any] = Field(
        {}, description="New metadata, as a whole.", json_schema_extra=METADATA
    )
    access: list[str] | None = Field(
        None, description="New access; null for the collection's default.", json_schema_extra=GROUPS
    )

    def change(self) -> DocumentChange:
        """The change as the catalog takes it."""
        given = given_fields(self)
        access = None if self.access is None else Access(tuple(self.access))
        return DocumentChange(
            title=self.title if "title" in given else None,
            metadata=Metadata.parse(self.metadata) if "metadata" in given else None,
            access=access,
            reset_access="access" in given and access is None,
        )


def given_fields(body: Body) -> set[str]:
    """The fields that somebody named; InvalidError for none."""
    if not body.model_fields_set:
        raise InvalidError.of("body", "must name what changes")
    return body.model_fields_set


class ReleaseBody(Body):
    """Why no custom resource is to keep a collection or tenant any more."""

    reason: str = Field(
        "",
        max_length=1_000,
        description="Goes into the audit.",
        examples=["its cluster is gone"],
    )
