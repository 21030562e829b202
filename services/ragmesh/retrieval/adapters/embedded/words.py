"""The keyword index: tantivy, derived from the truth and built anew whenever in doubt.

It remembers in a mark how far it has applied the truth's log. Applying twice is harmless, so the
mark may lag; a mark that is missing, unreadable or of another analysis means: from the start.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import tantivy

from ragmesh.chassis.files import storage_errors
from ragmesh.core.errors import InternalError, StorageFullError
from ragmesh.retrieval.adapters.analysis import Analyzer
from ragmesh.retrieval.adapters.embedded.truth import Truth
from ragmesh.retrieval.adapters.keyword_queries import WEIGHTS, KeywordQuery, Phrase
from ragmesh.retrieval.wording import Field

WORDS_VERSION = 2
"""Counts up with every change of the fields."""
HEAP_BYTES = 15_000_000
"""What one writing thread of tantivy may buffer; the least that it accepts."""
WRITER_BYTES = 3_500_000
"""What it takes between small writes, as measured."""
_MOST_DELETED = 0.2
_FEW_DELETED = 256
_MARK = "applied.json"
_NO_SPACE = "No space left"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeywordHit:
    """A row and its BM25 score."""

    row: int
    score: float


class Words:
    """Keeps terms of chunks by row; one thread writes, searchers are taken for any other."""

    def __init__(self, folder: Path, analyzer: Analyzer) -> None:
        self._folder = folder
        self._analyzer = analyzer
        self._schema = _schema()
        self._writer: tantivy.IndexWriter | None = None
        self._index = self._open()
        self.applied = self._read_mark()
        """Version of the truth up to which the log is applied; -1 = nothing is known."""

    @property
    def schema(self) -> tantivy.Schema:
        """The fields, for queries."""
        return self._schema

    @property
    def is_written(self) -> bool:
        """Whether there is a writer, which takes more memory than all the rest."""
        return self._writer is not None

    def searcher(self) -> tantivy.Searcher:
        """What is searchable at this moment, for as long as it is held."""
        return self._index.searcher()

    def catch_up(self, truth: Truth) -> int:
        """Apply what the truth's log holds beyond the mark; how many writes were looked at.

        When this returns, everything is searchable by a new searcher.
        """
        version = truth.version()
        changed = truth.changed_since(self.applied) if self.applied <= version else None
        if self.applied < 0 or changed is None:
            return self.rebuild(truth)
        if changed:
            self._write(truth, changed, version)
            if self.searcher().num_docs != truth.count_chunks():
                _log.warning("the keyword index does not fit the truth and is built anew")
                return self.rebuild(truth)
        if self._is_littered():
            return self.rebuild(truth)
        return len(changed)

    def check(self, truth: Truth) -> None:
        """Build anew when the number of chunks is not the truth's."""
        if self.searcher().num_docs != truth.count_chunks():
            _log.warning("the keyword index does not fit the truth and is built anew")
            self.rebuild(truth)

    def rebuild(self, truth: Truth) -> int:
        """Throw everything away and index what is in force; how many writes there are."""
        version, keys = truth.version(), truth.keys_in_force()
        self.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._index = self._open()
        self.applied = -1
        self._write(truth, keys, version)
        return len(keys)

    def close(self) -> None:
        """Let go of the writer; merges under way are waited for."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.wait_merging_threads()

    def _write(self, truth: Truth, keys: Iterable[int], version: int) -> None:
        try:
            writer = self._begin()
            for key in keys:
                self._replace(writer, truth, key)
            writer.commit()
            self._index.reload()
        except (ValueError, OSError) as error:
            self._writer = None  # whatever it buffered is not to be committed later
            self._refuse_full(error)
            raise InternalError(f"the keyword index in {self._folder} cannot be written") from error
        self.applied = version
        self._write_mark()

    def _replace(self, writer: tantivy.IndexWriter, truth: Truth, key: int) -> None:
        # A text field: deleting by an integer term finds nothing and says nothing.
        writer.delete_documents_by_term("key", str(key))
        found = truth.keyword_rows(key)
        if found is None:
            return
        title, rows = found
        title_words = " ".join(self._analyzer.terms(title))
        for row in rows:
            document = tantivy.Document()
            document.add_unsigned("row", row.row)
            document.add_text("key", str(key))
            document.add_text("every", "1")
            document.add_text(Field.TEXT.value, row.words)
            document.add_text(Field.TITLE.value, title_words)
            document.add_text(Field.HEADINGS.value, row.heading_words)
            writer.add_document(document)

    def _begin(self) -> tantivy.IndexWriter:
        if self._writer is None:
            self._writer = self._index.writer(heap_size=HEAP_BYTES, num_threads=1)
        return self._writer

    def _is_littered(self) -> bool:
        searcher = self.searcher()
        # A document frequency counts deleted documents until their segment is merged.
        kept = searcher.doc_freq("every", "1")
        deleted = kept - searcher.num_docs
        return deleted > max(_FEW_DELETED, _MOST_DELETED * kept)

    def _open(self) -> tantivy.Index:
        try:
            return self._opened()
        except (ValueError, OSError) as error:
            self._refuse_full(error)
        # Damaged, or written with other fields: it is only derived.
        _log.warning("the keyword index cannot be read and is built anew")
        shutil.rmtree(self._folder)
        try:
            return self._opened()
        except (ValueError, OSError) as error:
            self._refuse_full(error)
            raise InternalError(f"the keyword index in {self._folder} cannot be made") from error

    def _refuse_full(self, error: Exception) -> None:
        """StorageFullError when that is what the error says."""
        if _NO_SPACE in str(error):
            raise StorageFullError(f"the disk of {self._folder} has no room left") from error

    def _opened(self) -> tantivy.Index:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        index = tantivy.Index(self._schema, path=str(self._folder), reuse=True)
        index.config_reader(reload_policy="manual")  # the default polls the disk from a thread
        index.reload()
        return index

    def _read_mark(self) -> int:
        try:
            mark = json.loads((self._folder / _MARK).read_text("utf-8"))
            if mark["format"] == WORDS_VERSION and mark["analysis"] == self._analyzer.name:
                return int(mark["version"])
        except (OSError, ValueError, KeyError, TypeError):
            return -1
        return -1

    def _write_mark(self) -> None:
        mark = {
            "format": WORDS_VERSION,
            "analysis": self._analyzer.name,
            "version": self.applied,
        }
        draft = self._folder / f"{_MARK}.new"
        with storage_errors(draft):
            draft.write_text(json.dumps(mark), "utf-8")
            draft.replace(self._folder / _MARK)


def search(
    searcher: tantivy.Searcher, schema: tantivy.Schema, query: KeywordQuery, limit: int
) -> list[KeywordHit]:
    """The best rows for the query, whether visible or not."""
    return _run(searcher, _query(schema, query), limit)


def search_among(
    searcher: tantivy.Searcher,
    schema: tantivy.Schema,
    query: KeywordQuery,
    rows: Sequence[int],
    limit: int,
) -> list[KeywordHit]:
    """The best of these rows for the query."""
    among = tantivy.Query.const_score_query(
        tantivy.Query.term_set_query(schema, "row", list(rows)), 0.0
    )
    both = tantivy.Query.boolean_query(
        [(tantivy.Occur.Must, _query(schema, query)), (tantivy.Occur.Must, among)]
    )
    return _run(searcher, both, limit)


def _run(searcher: tantivy.Searcher, query: tantivy.Query, limit: int) -> list[KeywordHit]:
    hits = searcher.search(query, limit, count=False).hits
    rows = searcher.fast_field_values("row", [address for _, address in hits])
    return [
        KeywordHit(int(row), float(score))
        for row, (score, _) in zip(rows, hits, strict=True)
        if row is not None
    ]


def _query(schema: tantivy.Schema, query: KeywordQuery) -> tantivy.Query:
    """Every phrase must be found, the terms add to the score."""
    parts = [(tantivy.Occur.Must, _phrase_query(schema, phrase)) for phrase in query.phrases]
    for term in query.terms:
        for field, weight in WEIGHTS.items():
            found = tantivy.Query.term_query(schema, field.value, term, "freq")
            parts.append((tantivy.Occur.Should, _weighted(found, weight)))
    return tantivy.Query.boolean_query(parts)


def _phrase_query(schema: tantivy.Schema, phrase: Phrase) -> tantivy.Query:
    """The phrase in one of its fields."""
    found = []
    for field in phrase.fields:
        # A phrase of one word is refused there.
        query = (
            tantivy.Query.phrase_query(schema, field.value, list(phrase.terms))
            if len(phrase.terms) > 1
            else tantivy.Query.term_query(schema, field.value, phrase.terms[0], "freq")
        )
        found.append((tantivy.Occur.Should, _weighted(query, WEIGHTS[field])))
    return tantivy.Query.boolean_query(found)


def _weighted(query: tantivy.Query, weight: float) -> tantivy.Query:
    return query if weight == 1 else tantivy.Query.boost_query(query, weight)


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field("row", indexed=True, fast=True)
    builder.add_text_field("key", tokenizer_name="raw", index_option="basic")
    builder.add_text_field("every", tokenizer_name="raw", index_option="basic")
    for field in Field:  # with positions, for phrases
        builder.add_text_field(field.value, tokenizer_name="whitespace", index_option="position")
    return builder.build()
