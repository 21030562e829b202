"""An engine without a model: it quotes the best sentences, or says that there are none."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from types import MappingProxyType

from ragmesh.core.answers import (
    AnswerStatus,
    Citation,
    Delta,
    EngineDescription,
    Generated,
    GenerateQuery,
    GenerationEvent,
    Usage,
)
from ragmesh.core.search import Hit
from ragmesh.core.spans import Span
from ragmesh.generation.adapters.evidence import Evidence, Scored, weigh

NAME = "extractive"
RULES_VERSION = 2
"""Counts up whenever the same evidence gives another answer."""
QUOTES = 2
"""Sentences in an answer."""
WORTH_A_SECOND = 0.5
"""A sentence that scores below this share of the best one's is noise beside it."""
MAX_QUOTE_CHARACTERS = 600
"""A longer sentence (a table without full stops, say) is quoted up to the word before."""

NO_CONTEXT_SENTENCES = MappingProxyType(
    {
        "en": "The documents do not seem to answer this question.",
        "de": "Die Dokumente scheinen diese Frage nicht zu beantworten.",
    }
)
_SPACES = re.compile(r"\s+")
_MARKER = re.compile(r"\[(\d+)\]")
_IMAGE = re.compile(r"!+(?=\[)")
_LOADING_TAG = re.compile(
    r"<(?=/?(?:audio|base|body|embed|form|frame|iframe|image|img|input|link|meta|object|picture"
    r"|script|source|style|svg|table|track|video)\b)",
    re.IGNORECASE,
)
"""Elements that fetch something by themselves where an answer is shown as Markdown or HTML."""


@dataclass(frozen=True, slots=True)
class ExtractiveEngine:
    """Answers with at most two quotes, each with its citation, the best one first."""

    min_confidence: float
    """Below it the answer is that there is none."""

    async def generate(self, query: GenerateQuery) -> AsyncGenerator[GenerationEvent, None]:
        """Stream quote, marker and citation one after the other; some 0.2 ms of work, no model."""
        evidence = weigh(query.retrieval, query.language)
        if not evidence.sentences or evidence.confidence < self.min_confidence:
            yield Delta(no_context_sentence(query.language))
            yield _ended(AnswerStatus.NO_CONTEXT, evidence.confidence)
            return
        for number, quote in enumerate(_quotes(evidence, query.retrieval.hits), start=1):
            marker = f"[{number}]"
            yield Delta(f"{' ' if number > 1 else ''}{_prose(quote.text)} {marker}")
            yield quote.citation(marker)
        yield _ended(AnswerStatus.ANSWERED, evidence.confidence)

    def describe(self) -> EngineDescription:
        """The rules are the prompt, and the threshold is one of them."""
        return EngineDescription(NAME, NAME, f"{RULES_VERSION}/{self.min_confidence:g}")


def no_context_sentence(language: str) -> str:
    """What is said instead of guessing, in the language of the collection where it is known."""
    code = language.casefold().split("-")[0]
    return NO_CONTEXT_SENTENCES.get(code, NO_CONTEXT_SENTENCES["en"])


@dataclass(frozen=True, slots=True)
class _Quote:
    """A run of a hit's text."""

    hit: Hit
    span: Span
    """Within the hit's text."""

    @property
    def text(self) -> str:
        return self.span.of(self.hit.text)

    @property
    def place(self) -> Span:
        """Within the document's text."""
        return self.span.shifted(self.hit.span.start)

    def citation(self, marker: str) -> Citation:
        hit = self.hit
        return Citation(
            marker=marker,
            document_uid=hit.document_uid,
            document_id=hit.document_id,
            revision=hit.revision,
            title=hit.title,
            chunk_id=hit.chunk_id,
            quote=self.text,
            span=self.place,
            page=hit.page,
            headings=hit.headings,
        )

    def repeats(self, other: _Quote) -> bool:
        """Whether it says what the other one says: the same place, or the same words."""
        here, there = self.place, other.place
        same_document = self.hit.document_uid == other.hit.document_uid
        if same_document and here.start < there.end and there.start < here.end:
            return True
        return _prose(self.text).casefold() == _prose(other.text).casefold()


def _quotes(evidence: Evidence, hits: tuple[Hit, ...]) -> list[_Quote]:
    """The best sentences that say different things; neighbours become one quote."""
    chosen: list[tuple[Scored, _Quote]] = []
    least = WORTH_A_SECOND * evidence.sentences[0].score
    for sentence in evidence.sentences:
        if chosen and sentence.score < least:
            break
        quote = _quote(hits[sentence.rank], sentence)
        if not any(quote.repeats(other) for _, other in chosen):
            chosen.append((sentence, quote))
        if len(chosen) == QUOTES:
            break
    quotes = [quote for _, quote in chosen]
    if len(chosen) == QUOTES and _adjacent(chosen[0], chosen[1]):
        first, second = sorted(quotes, key=lambda quote: quote.span)
        return [_Quote(first.hit, Span(first.span.start, second.span.end))]
    return quotes


def _adjacent(one: tuple[Scored, _Quote], other: tuple[Scored, _Quote]) -> bool:
    (a, first), (b, second) = sorted((one, other), key=lambda pair: pair[1].span)
    if a.rank != b.rank:
        return False
    between = first.hit.text[first.span.end : second.span.start]
    # Another sentence, a heading or the rest of a shortened quote may stand between them.
    return not between.strip() and second.span.end - first.span.start <= MAX_QUOTE_CHARACTERS


def _quote(hit: Hit, sentence: Scored) -> _Quote:
    """The sentence without the white space around it, cut at a word when it is too long."""
    span = hit.sentences[sentence.position].span
    text = span.of(hit.text)
    start = span.start + len(text) - len(text.lstrip())
    text = text.strip()
    if len(text) > MAX_QUOTE_CHARACTERS:
        head = text[: MAX_QUOTE_CHARACTERS + 1]
        words = _SPACES.split(head)
        text = head[: len(head) - len(words[-1])].rstrip() if len(words) > 1 else head[:-1]
    return _Quote(hit, Span(start, start + len(text)))


def _prose(quote: str) -> str:
    """The quote as it reads in an answer: one line, without what could be taken for our markers.

    The citation keeps it letter for letter. A planted image, as Markdown or as an element, loses
    what makes it load.
    """
    line = _SPACES.sub(" ", quote).strip()
    line = _IMAGE.sub("", _MARKER.sub(r"(\1)", line))
    return _LOADING_TAG.sub("\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}", line)


def _ended(status: AnswerStatus, confidence: float) -> Generated:
    grounded = 1.0 if status is AnswerStatus.ANSWERED else 0.0
    return Generated(status, confidence, grounded, NAME, Usage())
