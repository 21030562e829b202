"""Any value that may cross the wire, as Hypothesis strategies."""

from __future__ import annotations

import unicodedata
from datetime import UTC

from hypothesis import strategies as st

from ragmesh.core.answers import (
    Answer,
    AnswerStatus,
    CacheStats,
    Citation,
    Delta,
    EngineDescription,
    EntryStats,
    Generated,
    GenerateQuery,
    Invalidation,
    ReadMark,
    RewriteQuery,
    Rewritten,
    StoredAnswer,
    Turn,
    Usage,
)
from ragmesh.core.documents import Chunking
from ragmesh.core.migrations import (
    RANKING_METRICS,
    Approval,
    CanaryStep,
    GateVerdict,
    Hold,
    MetricBound,
    MetricVerdict,
    Migration,
    MigrationPhase,
    MigrationPolicy,
    OnFailure,
    RouteShare,
)
from ragmesh.core.quality import Quality, QualityMetric, QualityVerdict
from ragmesh.core.questions import Question
from ragmesh.core.search import Hit, QueryTerm, Retrieval, Score, Sentence, StoredHits
from ragmesh.core.spans import Span
from ragmesh.core.vectors import (
    EncoderDescription,
    Fingerprint,
    Passage,
    PassageEmbedding,
    PassageEmbeddings,
    SentenceKind,
    SentenceVectors,
    TextEmbeddings,
    Vector,
)

texts = st.text(max_size=12)
names = st.lists(texts, max_size=3).map(tuple)
counts = st.integers(0, 2**32 - 1)
sequences = st.integers(0, 2**64 - 1)
numbers = st.floats(allow_nan=False, allow_infinity=False)
singles = st.floats(width=32, allow_nan=False, allow_infinity=False)
moments = st.datetimes(timezones=st.just(UTC))
pages = st.none() | st.integers(1, 2**32 - 1)
spans = st.lists(counts, min_size=2, max_size=2).map(lambda ends: Span(*sorted(ends)))
timings = st.lists(st.tuples(texts, numbers), max_size=3).map(tuple)
questions = (
    texts.map(lambda text: unicodedata.normalize("NFC", text))
    .filter(lambda text: text.strip())
    .map(Question)
)


def vectors(dimension: int) -> st.SearchStrategy[Vector]:
    return st.lists(singles, min_size=dimension, max_size=dimension).map(Vector.from_floats)


def sentence_vectors(count: int) -> st.SearchStrategy[SentenceVectors]:
    return st.integers(1, 4).flatmap(
        lambda dimension: st.binary(min_size=count * dimension, max_size=count * dimension).map(
            lambda rows: SentenceVectors(dimension, rows)
        )
    )


fingerprints = st.builds(
    Fingerprint,
    model=texts,
    weights_sha256=texts,
    precision=texts,
    dimension=st.integers(1, 6),
    normalised=st.booleans(),
    query_prefix=texts,
    passage_prefix=texts,
    max_tokens=counts,
    sentences=st.sampled_from(SentenceKind),
)
encoders = st.builds(
    EncoderDescription,
    name=texts,
    fingerprint=fingerprints,
    languages=names,
    content_tokens=counts,
    dollars_per_million_tokens=st.none() | st.floats(0, 1_000_000),
)
passages = st.builds(Passage, texts, st.lists(spans, max_size=3).map(tuple))


@st.composite
def text_embeddings(draw: st.DrawFn) -> TextEmbeddings:
    fingerprint = draw(fingerprints)
    made = draw(st.lists(st.tuples(vectors(fingerprint.dimension), counts), max_size=3))
    return TextEmbeddings(
        fingerprint,
        tuple(vector for vector, _ in made),
        tuple(cut for _, cut in made),
        draw(names),
    )


@st.composite
def passage_embeddings(draw: st.DrawFn) -> PassageEmbeddings:
    fingerprint = draw(fingerprints)
    of_sentences = st.none() | st.integers(0, 3).flatmap(sentence_vectors)
    made = st.builds(PassageEmbedding, vectors(fingerprint.dimension), of_sentences)
    return PassageEmbeddings(fingerprint, tuple(draw(st.lists(made, max_size=3))))


@st.composite
def hits(draw: st.DrawFn, terms: int) -> Hit:
    text = draw(texts)
    within = st.lists(st.integers(0, len(text)), min_size=2, max_size=2).map(
        lambda ends: Span(*sorted(ends))
    )
    held = st.lists(st.integers(0, terms - 1), max_size=3).map(tuple) if terms else st.just(())
    sentences = tuple(draw(st.lists(st.builds(Sentence, within, held), max_size=3)))
    return Hit(
        chunk_id=draw(texts),
        document_uid=draw(texts),
        document_id=draw(texts),
        revision=draw(counts),
        title=draw(texts),
        text=text,
        score=draw(numbers),
        similarity=draw(numbers),
        span=draw(spans),
        page=draw(pages),
        headings=draw(names),
        metadata=draw(texts),
        token_count=draw(counts),
        scores=tuple(draw(st.lists(st.builds(Score, texts, counts, numbers), max_size=2))),
        sentences=sentences,
        sentence_vectors=draw(st.none() | sentence_vectors(len(sentences))),
    )


@st.composite
def retrievals(draw: st.DrawFn) -> Retrieval:
    fingerprint = draw(fingerprints)
    terms = tuple(draw(st.lists(st.builds(QueryTerm, texts, numbers), max_size=3)))
    return Retrieval(
        hits=tuple(draw(st.lists(hits(len(terms)), max_size=3))),
        index_version_uid=draw(texts),
        heads_sequence=draw(sequences),
        query_vector=draw(st.none() | vectors(fingerprint.dimension)),
        fingerprint=fingerprint,
        terms=terms,
        degraded=draw(names),
        timings_ms=draw(timings),
    )


usages = st.builds(Usage, counts, counts, numbers)
citations = st.builds(
    Citation,
    marker=texts,
    document_uid=texts,
    document_id=texts,
    revision=counts,
    title=texts,
    chunk_id=texts,
    quote=texts,
    span=spans,
    page=pages,
    headings=names,
)
answers = st.builds(
    Answer,
    answer=texts,
    status=st.sampled_from(AnswerStatus),
    citations=st.lists(citations, max_size=2).map(tuple),
    confidence=numbers,
    groundedness=numbers,
    cached=st.booleans(),
    model=texts,
    usage=usages,
    index_version=texts,
    heads_sequence=sequences,
    request_id=texts,
    timings_ms=timings,
    degraded=names,
)
stored_answers = st.builds(
    StoredAnswer,
    key=texts,
    collection_uid=texts,
    answer=answers,
    heads_sequence=sequences,
    tags=names,
    read_at=moments,
)
invalidations = st.builds(Invalidation, texts, texts, sequences)
read_marks = st.builds(ReadMark, texts, sequences, names, moments)
stored_hits = st.builds(StoredHits, texts, texts, retrievals(), moments)
entry_stats = st.builds(EntryStats, *[sequences] * 6)
cache_stats = st.builds(CacheStats, *[entry_stats] * 3)
turns = st.builds(Turn, st.sampled_from(("user", "assistant")), texts)
generate_queries = st.builds(
    GenerateQuery,
    question=questions,
    retrieval=retrievals(),
    language=texts,
    history=st.lists(turns, max_size=2).map(tuple),
)
generation_events = st.one_of(
    st.builds(Delta, texts),
    citations,
    st.builds(
        Generated,
        status=st.sampled_from(AnswerStatus),
        confidence=numbers,
        groundedness=numbers,
        model=texts,
        usage=usages,
        degraded=names,
    ),
)
rewrite_queries = st.builds(
    RewriteQuery,
    question=questions,
    history=st.lists(turns, max_size=2).map(tuple),
    language=texts,
)
rewritten = st.builds(Rewritten, question=questions, usage=usages, degraded=names)
engines = st.builds(EngineDescription, texts, texts, texts, texts)


qualities = st.builds(
    Quality,
    index_version=texts,
    verdict=st.sampled_from(QualityVerdict),
    at=moments,
    metrics=st.lists(
        st.builds(
            QualityMetric,
            metric=texts,
            value=numbers,
            before=numbers,
            difference_low=numbers,
            difference_high=numbers,
            questions=st.integers(0, 100_000),
        ),
        max_size=3,
    ).map(tuple),
    message=texts,
)
metric_verdicts = st.builds(
    MetricVerdict,
    metric=texts,
    serving=numbers,
    candidate=numbers,
    difference_low=numbers,
    difference_high=numbers,
    questions=counts,
    verdict=st.sampled_from(GateVerdict),
    slice=texts,
)
parts = st.floats(0, 1)
seconds = st.floats(0, 1e9)
policies = st.builds(
    MigrationPolicy,
    canary=st.lists(st.builds(CanaryStep, st.integers(1, 100), seconds), max_size=1).map(tuple),
    approval=st.sampled_from(Approval),
    soak_seconds=seconds,
    retain_seconds=seconds,
    on_failure=st.sampled_from(OnFailure),
    max_regression=parts,
    max_regressions=st.lists(
        st.builds(MetricBound, st.sampled_from(RANKING_METRICS), parts),
        max_size=3,
        unique_by=lambda bound: bound.metric,
    ).map(tuple),
    min_questions=st.integers(1, 2**32 - 1),
)
migrations = st.builds(
    Migration,
    collection=texts,
    phase=st.sampled_from(MigrationPhase),
    serving=texts,
    candidate=texts,
    retained=texts,
    route_epoch=sequences,
    shares=st.lists(st.builds(RouteShare, texts, texts, counts), max_size=2).map(tuple),
    percent=counts,
    documents=counts,
    failed_documents=counts,
    reason=texts,
    message=texts,
    held=st.none() | st.builds(Hold, by=texts, reason=texts, since=moments),
    verdicts=st.lists(metric_verdicts, max_size=3).map(tuple),
    slice_verdicts=st.lists(metric_verdicts, max_size=3).map(tuple),
    verdict=st.none() | st.sampled_from(GateVerdict),
    flips=counts,
    started_at=st.none() | moments,
    phase_at=st.none() | moments,
    encoder=texts,
    chunking=st.builds(Chunking, counts, counts),
    language=texts,
    quality=st.none() | qualities,
    kept_by=st.none() | texts,
    policy=st.none() | policies,
)
