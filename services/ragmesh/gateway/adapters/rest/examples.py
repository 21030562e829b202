"""Answers as they may look, for the description; a test holds each against its own schema."""

from __future__ import annotations

from typing import Any

Example = dict[str, Any]

_MOMENT = "2026-03-01T08:30:00Z"
_UID = "0198c2a0-7d00-7000-8000-00000000000"
REQUEST_ID = f"{_UID}1"
JOB_ID = f"{_UID}2"
DEAD_LETTER_ID = f"{_UID}3"
SENTENCE = "A new colleague has 28 days of leave."
VERSION = "v1-ab12cd34"
FAILURE: Example = {"reason": "NO_TEXT", "message": "the file holds no text"}
COLLECTION: Example = {
    "name": "handbook",
    "uid": f"{_UID}4",
    "description": "What every colleague should know",
    "language": "en",
    "encoder": "all-MiniLM-L6-v2",
    "chunking": {"max_tokens": 0, "overlap_tokens": 0},
    "default_access": "open",
    "sortable": {"year": "number"},
    "index_version": VERSION,
    "documents": 1,
    "chunks": 1,
    "indexed_documents": 1,
    "pending_documents": 0,
    "failed_documents": 0,
    "dead_letters": 0,
    "created_at": _MOMENT,
    "updated_at": _MOMENT,
    "warnings": [],
}
KEY: Example = {
    "key_id": "3f2a9c0d1b4e5f60",
    "prefix": "rmk_3f2a9c0d1b4e5f60",
    "tenant": "acme",
    "subject": "search-page",
    "groups": ["staff"],
    "roles": ["read"],
    "created_at": _MOMENT,
}
TENANT: Example = {
    "name": "acme",
    "uid": f"{_UID}5",
    "display_name": "Acme Ltd",
    "quota": {
        "requests_per_minute": 600,
        "in_flight": 10,
        "documents": 0,
        "storage_bytes": 0,
    },
    "budget": {"monthly_dollars": 100.0, "on_exceeded": "refuse"},
    "retention_days": 0,
    "created_at": _MOMENT,
    "updated_at": _MOMENT,
    "kept_by": "",
}
MIGRATION: Example = {
    "collection": "handbook",
    "phase": "canary",
    "serving": VERSION,
    "candidate": "v2-9f8e7d6c",
    "retained": "",
    "route_epoch": 2,
    "weights": [
        {"index_version": VERSION, "weight": 90},
        {"index_version": "v2-9f8e7d6c", "weight": 10},
    ],
    "percent": 100,
    "documents": 1,
    "failed_documents": 0,
    "reason": "",
    "message": "",
    "verdict": "pass",
    "verdicts": [
        {
            "metric": "ndcg",
            "serving": 0.81,
            "candidate": 0.84,
            "difference_low": 0.01,
            "difference_high": 0.05,
            "questions": 40,
            "verdict": "pass",
        }
    ],
    "flips": 0,
    "started_at": _MOMENT,
    "phase_at": _MOMENT,
    "encoder": "all-MiniLM-L6-v2-int8",
    "language": "en",
    "quality": {
        "index_version": VERSION,
        "verdict": "kept",
        "at": _MOMENT,
        "metrics": [
            {
                "metric": "ndcg",
                "value": 0.81,
                "before": 0.81,
                "difference_low": 0.0,
                "difference_high": 0.0,
                "questions": 40,
            }
        ],
        "message": "",
    },
}
MIGRATIONS: Example = {"migrations": [MIGRATION], "next_page_token": ""}
INDEX_ESTIMATE: Example = {
    "index_version": "v2-9f8e7d6c",
    "encoder": "all-MiniLM-L6-v2-int8",
    "language": "en",
    "documents": 1,
    "chunks": 1,
    "vector_bytes": 4608,
    "seconds": 0.02,
    "reason": "",
    "tokens": 212,
}
GOLDEN: Example = {
    "content": "",
    "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "questions": 40,
    "changed_at": _MOMENT,
}
EVALUATION: Example = {
    "evaluation_id": f"{_UID}6",
    "occasion": "migration",
    "serving": VERSION,
    "candidate": "v2-9f8e7d6c",
    "golden_digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "verdict": "pass",
    "content": "{}",
    "at": _MOMENT,
}
EVALUATIONS: Example = {"evaluations": [EVALUATION], "next_page_token": ""}
COLLECTIONS: Example = {"collections": [COLLECTION], "next_page_token": ""}
ACCEPTED: Example = {
    "document_id": "leave.md",
    "revision": 1,
    "job_id": JOB_ID,
    "state": "QUEUED",
}
UPLOADED: Example = {
    "documents": [
        ACCEPTED,
        {
            "document_id": "empty.txt",
            "state": "REFUSED",
            "error": {"reason": "EMPTY_FILE", "message": "content must not be empty"},
        },
    ]
}
DOCUMENT: Example = {
    "document_id": "leave.md",
    "revision": 1,
    "state": "INDEXED",
    "chunks": 1,
    "title": "Leave",
    "content_type": "text/markdown",
    "metadata": {"lang": "en", "year": 2024},
    "access": ["people"],
    "updated_at": _MOMENT,
    "properties": {"language": "en"},
}
DOCUMENTS: Example = {"documents": [DOCUMENT], "next_page_token": ""}
TEXT: Example = {"text": f"# Leave\n\n{SENTENCE}", "revision": 1}
REVISIONS: Example = {
    "revisions": [
        {
            "revision": 1,
            "content_sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "size_bytes": 46,
            "content_type": "text/markdown",
            "deleted": False,
            "created_at": _MOMENT,
        }
    ],
    "next_page_token": "",
}
JOB: Example = {
    "job_id": JOB_ID,
    "collection": "handbook",
    "document_id": "leave.md",
    "revision": 1,
    "state": "SUCCEEDED",
    "stage": "done",
    "percent": 100,
    "created_at": _MOMENT,
    "started_at": _MOMENT,
    "ended_at": _MOMENT,
    "timings_ms": {"parse": 3.1, "chunk": 0.4, "embed": 9.8, "write": 1.2, "publish": 2.0},
    "counts": {"chunks": 1, "embedded": 1},
}
JOBS: Example = {"jobs": [JOB], "next_page_token": ""}
DEAD_LETTER: Example = {
    "dead_letter_id": DEAD_LETTER_ID,
    "at": _MOMENT,
    "collection": "handbook",
    "document_id": "scan.pdf",
    "revision": 1,
    "index_version": VERSION,
    "error": FAILURE,
    "attempts": 1,
    "origin": {
        "topic": "ragmesh.indexing.document-received.v1",
        "consumer_group": "ragmesh.indexer.documents",
        "job_id": JOB_ID,
    },
}
DEAD_LETTERS: Example = {"dead_letters": [DEAD_LETTER], "next_page_token": ""}
REPLAYED: Example = {"replayed": 1, "superseded": 0, "gone": 0}
REPAIRED: Example = {"compared": 128, "different": 0}
USED: Example = {
    "tenant": "default",
    "since": "2026-03-01T00:00:00Z",
    "until": "2026-04-01T00:00:00Z",
    "model": "gpt-4o-mini",
    "requests": 120,
    "cached_requests": 85,
    "failed_requests": 1,
    "documents": 0,
    "prompt_tokens": 48_000,
    "completion_tokens": 5_200,
    "cost_dollars": 0.0103,
    "duration_seconds": 61.5,
}
USAGES: Example = {"usage": [USED], "next_page_token": ""}
AUDIT_ENTRY: Example = {
    "entry_id": "42",
    "at": _MOMENT,
    "tenant": "default",
    "actor": "ada",
    "key_id": "",
    "action": "UpdateDocument",
    "resource": "collections/handbook/documents/leave.md",
    "details": {"revision": "1", "changed": "access", "access": "people"},
    "refusal": "",
    "reason": "",
    "request_id": REQUEST_ID,
}
AUDIT: Example = {"entries": [AUDIT_ENTRY], "next_page_token": ""}
SIGHT: Example = {
    "at": _MOMENT,
    "tenant": "default",
    "actor": "mia",
    "key_id": "",
    "action": "Ask",
    "collection": "handbook",
    "document_id": "leave.md",
    "document_uid": f"{_UID}5",
    "chunk_ids": [f"{_UID}6"],
    "request_id": REQUEST_ID,
}
SIGHTS: Example = {"sights": [SIGHT], "next_page_token": ""}
_SPAN: Example = {"start": 9, "end": 46}
CITATION: Example = {
    "marker": "[1]",
    "document_id": "leave.md",
    "revision": 1,
    "title": "Leave",
    "chunk_id": "leave.md#0",
    "quote": SENTENCE,
    "headings": ["Leave"],
    "span": _SPAN,
}
FINISH: Example = {
    "status": "ANSWERED",
    "confidence": 0.93,
    "groundedness": 1.0,
    "cached": False,
    "model": "extractive",
    "timings_ms": {"search": 12.5, "generate": 3.2},
    "index_version": VERSION,
    "degraded": [],
    "request_id": REQUEST_ID,
}
USAGE: Example = {"prompt_tokens": 0, "completion_tokens": 0, "cost_dollars": 0.0}
ANSWER: Example = {
    "answer": f"{SENTENCE} [1]",
    "citations": [CITATION],
    "usage": USAGE,
    **FINISH,
}
SEARCH: Example = {
    "hits": [
        {
            "chunk_id": "leave.md#0",
            "document_id": "leave.md",
            "revision": 1,
            "title": "Leave",
            "text": f"# Leave\n\n{SENTENCE}",
            "score": 0.87,
            "headings": ["Leave"],
            "span": {"start": 0, "end": 46},
            "metadata": {"lang": "en", "year": 2024},
        }
    ],
    "index_version": VERSION,
    "heads_sequence": 1,
    "degraded": [],
    "timings_ms": {"embed": 2.1, "find": 1.4},
}
HEALTH: Example = {"status": "ready"}
