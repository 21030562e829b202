"""Asking and answering: the request, the events of a stream and the finished answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from ragmesh.core.filters import Filter
from ragmesh.core.questions import Question
from ragmesh.core.search import Retrieval, Timings
from ragmesh.core.spans import Span


class AnswerStatus(Enum):
    """How an answer ended."""

    ANSWERED = "ANSWERED"
    NO_CONTEXT = "NO_CONTEXT"
    """The evidence is too weak; nothing was guessed."""
    PARTIAL = "PARTIAL"
    """The provider died in mid-answer; what came before stands."""


class CacheMode(Enum):
    """What the answer cache may do for this question."""

    USE = "use"
    BYPASS = "bypass"
    """Neither read nor written."""
    REFRESH = "refresh"
    """Not read, but written."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One earlier message of a conversation."""

    role: str
    """`user` or `assistant`."""
    text: str


@dataclass(frozen=True, slots=True)
class AskQuery:
    """A question to one collection."""

    collection: str
    question: Question
    history: tuple[Turn, ...] = ()
    filter: Filter | None = None
    limit: int = 8
    """How many chunks the context may hold."""
    cache: CacheMode = CacheMode.USE


@dataclass(frozen=True, slots=True)
class GenerateQuery:
    """A question with the evidence an engine may use, and nothing else."""

    question: Question
    retrieval: Retrieval
    language: str
    history: tuple[Turn, ...] = ()
    free_only: bool = False
    """Only an engine without a price may answer."""


@dataclass(frozen=True, slots=True)
class RewriteQuery:
    """A question that may lean on what was said before it."""

    question: Question
    history: tuple[Turn, ...]
    language: str
    free_only: bool = False
    """Only what has no price may rewrite it."""


@dataclass(frozen=True, slots=True)
class Citation:
    """A quote that stands letter for letter in the document's text."""

    marker: str
    """How the answer refers to it, such as `[1]`."""
    document_uid: str
    document_id: str
    revision: int
    title: str
    chunk_id: str
    quote: str
    span: Span
    """Within the document's text: `text[start:end]` is the quote."""
    page: int | None
    headings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Usage:
    """What an answer cost."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_dollars: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        """What both cost together."""
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cost_dollars + other.cost_dollars,
        )


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A question that stands for itself, to search with; the asked one if it did so already."""

    question: Question
    usage: Usage = Usage()
    degraded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Delta:
    """The next piece of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class Generated:
    """How a generation ended; the last event of its stream."""

    status: AnswerStatus
    confidence: float
    groundedness: float
    model: str
    usage: Usage
    degraded: tuple[str, ...] = ()


GenerationEvent = Delta | Citation | Generated


@dataclass(frozen=True, slots=True)
class EngineDescription:
    """Everything besides the question that decides what an engine answers."""

    engine: str
    model: str
    prompt_version: str
    rewriter: str = ""
    """How follow-up questions are rewritten, with its version; empty when they are not."""
    prompt_dollars: float = 0.0
    """For a million tokens sent to the dearest engine that may answer; decides no answer."""
    completion_dollars: float = 0.0
    """For a million tokens that it writes."""

    @property
    def is_paid(self) -> bool:
        """Whether an answer may cost something."""
        return bool(self.prompt_dollars or self.completion_dollars)

    def usage_of(self, prompt_tokens: int, completion_tokens: int) -> Usage:
        """What so many tokens cost at most."""
        prompt = prompt_tokens * self.prompt_dollars
        dollars = (prompt + completion_tokens * self.completion_dollars) / 1_000_000
        return Usage(prompt_tokens, completion_tokens, dollars)


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer."""

    answer: str
    status: AnswerStatus
    citations: tuple[Citation, ...]
    confidence: float
    groundedness: float
    cached: bool
    model: str
    usage: Usage
    index_version: str
    heads_sequence: int
    request_id: str
    timings_ms: Timings = ()
    degraded: tuple[str, ...] = ()


AnswerEvent = Delta | Citation | Answer
"""What a streamed answer consists of; the Answer comes last and says everything once more."""


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """A complete grounded answer as the cache keeps it."""

    key: str
    collection_uid: str
    answer: Answer
    heads_sequence: int
    """The sequence its retrieval read at."""
    tags: tuple[str, ...]
    """Uids of every document in its context."""
    read_at: datetime
    """When its retrieval began (UTC); a cache refuses what it cannot judge any more."""


@dataclass(frozen=True, slots=True)
class ReadMark:
    """What a question read and when, so that somebody can say whether it still holds."""

    collection_uid: str
    heads_sequence: int
    tags: tuple[str, ...]
    """Uids of every document that was read."""
    read_at: datetime


@dataclass(frozen=True, slots=True)
class Invalidation:
    """A document changed: no answer that used an older state of it may be served or stored."""

    collection_uid: str
    document_uid: str
    """Empty: every document of the collection."""
    sequence: int


@dataclass(frozen=True, slots=True)
class EntryStats:
    """What a cache holds of one kind, and what it did since its process started."""

    entries: int
    size_bytes: int
    hits: int
    misses: int
    refusals: int = 0
    """Stores refused because a document had changed, or because the read was too old."""
    evictions: int = 0
    """Entries dropped for want of room."""


@dataclass(frozen=True, slots=True)
class CacheStats:
    """The counts of a cache by kind of entry."""

    answers: EntryStats
    hits: EntryStats
    vectors: EntryStats
