"""The spec of an index version as text, the same in every store."""

from __future__ import annotations

import json
from dataclasses import asdict

from ragmesh.core.index import IndexSpec
from ragmesh.core.metadata import SortableField, SortKind
from ragmesh.core.vectors import Fingerprint, SentenceKind


def encode_spec(spec: IndexSpec) -> str:
    """The spec as JSON."""
    return json.dumps(
        {
            **asdict(spec),
            "fingerprint": {
                **asdict(spec.fingerprint),
                "sentences": spec.fingerprint.sentences.value,
            },
            "sortable": [[one.name, one.kind.value, one.slot] for one in spec.sortable],
        },
        ensure_ascii=False,
        sort_keys=True,
    )


def decode_spec(text: str) -> IndexSpec:
    """The spec of its JSON; ValueError, KeyError or TypeError when it is none."""
    fields = json.loads(text)
    fingerprint = fields["fingerprint"]
    fields["fingerprint"] = Fingerprint(
        **{**fingerprint, "sentences": SentenceKind(fingerprint["sentences"])}
    )
    fields["sortable"] = tuple(
        SortableField(name, SortKind(kind), slot) for name, kind, slot in fields["sortable"]
    )
    return IndexSpec(**fields)
