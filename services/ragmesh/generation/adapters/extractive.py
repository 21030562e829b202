"""An engine without a model: it quotes the best sentences, or says that there are none."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from ragmesh.core.answers import (
    AnswerStatus,
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
from ragmesh.generation.adapters.invisible import visible
from ragmesh.generation.adapters.languages import language_of, no_context_sentence
from ragmesh.generation.adapters.quoting import MAX_QUOTE_CHARACTERS, Quote, one_line, quote_of

NAME = "extractive"
RULES_VERSION = 4
"""Counts up whenever the same evidence gives another answer."""
QUOTES = 2
"""Sentences in an answer."""
WORTH_A_SECOND = 0.5
"""A sentence that scores below this share of the best one's is noise beside it."""

_MARKER = re.compile(r"\[(\d+)\]")
_IMAGE = re.compile(r"!+(?=\[)")
_ELEMENT = re.compile(
    r"<(?=/?(?:audio|base|body|embed|form|frame|iframe|image|img|input|link|meta|object|picture"
    r"|script|source|style|svg|table|track|video)\b|[!?]|/?[a-z][\w.-]*(?:\s+[^\s>]|/[^>]))",
    re.IGNORECASE,
)
"""What fetches something by itself where an answer is shown as Markdown or HTML: some elements
always, any of them by an attribute."""


@dataclass(frozen=True, slots=True)
class ExtractiveEngine:
    """Answers with at most two quotes, each with its citation, the best one first."""

    min_confidence: float
    """Below it the answer is that there is none."""
    name: str = NAME

    async def generate(self, query: GenerateQuery) -> AsyncGenerator[GenerationEvent, None]:
        """Stream quote, marker and citation one after the other; some 0.2 ms of work, no model."""
        language = language_of(query.question.text, query.language)
        evidence = weigh(query.retrieval, language)
        if not evidence.sentences or evidence.confidence < self.min_confidence:
            yield Delta(no_context_sentence(language))
            yield _ended(AnswerStatus.NO_CONTEXT, evidence.confidence)
            return
        for number, quote in enumerate(_quotes(evidence, query.retrieval.hits), start=1):
            marker = f"[{number}]"
            yield Delta(f"{' ' if number > 1 else ''}{_prose(quote.text)} {marker}")
            yield quote.citation(marker)
        yield _ended(AnswerStatus.ANSWERED, evidence.confidence)

    def describe(self) -> EngineDescription:
        """The rules are the prompt, and the threshold is one of them."""
        return EngineDescription(self.name, NAME, f"{RULES_VERSION}/{self.min_confidence:g}")


def _quotes(evidence: Evidence, hits: tuple[Hit, ...]) -> list[Quote]:
    """The best sentences that say different things; neighbours become one quote."""
    chosen: list[tuple[Scored, Quote]] = []
    least = WORTH_A_SECOND * evidence.sentences[0].score
    for sentence in evidence.sentences:
        if chosen and sentence.score < least:
            break
        hit = hits[sentence.rank]
        quote = quote_of(hit, hit.sentences[sentence.position].span)
        if not any(quote.repeats(other) for _, other in chosen):
            chosen.append((sentence, quote))
        if len(chosen) == QUOTES:
            break
    quotes = [quote for _, quote in chosen]
    if len(chosen) == QUOTES and _adjacent(chosen[0], chosen[1]):
        first, second = sorted(quotes, key=lambda quote: quote.span)
        return [Quote(first.hit, Span(first.span.start, second.span.end))]
    return quotes


def _adjacent(one: tuple[Scored, Quote], other: tuple[Scored, Quote]) -> bool:
    (a, first), (b, second) = sorted((one, other), key=lambda pair: pair[1].span)
    if a.rank != b.rank:
        return False
    between = first.hit.text[first.span.end : second.span.start]
    # Another sentence, a heading or the rest of a shortened quote may stand between them.
    return not between.strip() and second.span.end - first.span.start <= MAX_QUOTE_CHARACTERS


def _prose(quote: str) -> str:
    """The quote as it reads in an answer: one line, without what nobody sees or what could be
    taken for our markers.

    The citation keeps it letter for letter. A planted image, as Markdown or as an element, loses
    what makes it load.
    """
    line = one_line(visible(quote))
    line = _IMAGE.sub("", _MARKER.sub(r"(\1)", line))
    return _ELEMENT.sub("\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}", line)


def _ended(status: AnswerStatus, confidence: float) -> Generated:
    grounded = 1.0 if status is AnswerStatus.ANSWERED else 0.0
    return Generated(status, confidence, grounded, NAME, Usage())
